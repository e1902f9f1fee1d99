"""A workflow on a fleet, in waves, stopping after failures."""

from __future__ import annotations

from typing import Any

from cmom_meta.models import Order
from cmom_meta.services.waves import FleetRun, Plan, Waves
from tests.unit.meta.fleet import Fleet, Time, busy, runner_of

UPGRADE = Order("upgrade")


def go(fleet: Fleet, plan: Plan, **more: Any) -> tuple[dict[str, str], FleetRun]:
    """Run it; return the outcomes by deployment, and the whole."""
    waves = Waves(fleet, lambda: runner_of(fleet, parallel=plan.wave_size), lambda _: None, **more)
    run = waves.run(plan, UPGRADE)
    return {result.deployment_id: result.outcome.value for _, result in run.rows}, run


def test_a_wave_begins_when_all_of_the_one_before_have_ended() -> None:
    fleet = Fleet(Time(), {name: {} for name in "abcd"})
    fleet.takes = {"a": 10.0, "b": 3.0, "c": 10.0}
    outcomes, run = go(fleet, Plan(tuple("abcd"), 2, 1))
    assert set(outcomes.values()) == {"succeeded"}
    assert fleet.started == ["a", "b", "c", "d"]
    assert fleet.most_running == 2
    assert 20 <= fleet.time.seconds < 25
    assert [wave for wave, _ in run.rows] == [1, 1, 2, 2]


def test_no_wave_begins_after_so_many_failures() -> None:
    fleet = Fleet(Time(), {name: {} for name in "abcdef"})
    fleet.errors = {"a": "broken", "c": "broken too"}
    outcomes, run = go(fleet, Plan(tuple("abcdef"), 2, 2))
    assert outcomes == {
        "a": "failed", "b": "succeeded", "c": "failed", "d": "succeeded", "e": "held_back", "f": "held_back",
    }  # fmt: skip
    assert fleet.started == ["a", "b", "c", "d"]
    assert [one.deployment_id for one in run.failures] == ["a", "c"]
    held = run.as_plain_data()["deployments"][4]
    assert held["detail"] == "It was not started, because 2 failed before wave 3: a, c."


def test_zero_never_stops() -> None:
    fleet = Fleet(Time(), {name: {} for name in "abc"})
    fleet.errors = dict.fromkeys("abc", "broken")
    assert set(go(fleet, Plan(tuple("abc"), 1, 0))[0].values()) == {"failed"}


def test_what_cannot_be_asked_counts_as_a_failure() -> None:
    fleet = Fleet(Time(), {"a": {}, "foreign": None, "z": {}})
    fleet.refusals = {"a": [busy()]}
    outcomes, _ = go(fleet, Plan(("a", "foreign", "gone", "z"), 3, 3))
    assert outcomes == {"a": "busy", "foreign": "no_cluster", "gone": "missing", "z": "held_back"}


def test_what_is_too_slow_goes_on_and_counts_as_a_failure() -> None:
    fleet = Fleet(Time(), {"a": {}, "b": {}})
    fleet.takes = {"a": None}
    outcomes, _ = go(fleet, Plan(("a", "b"), 1, 1))
    assert outcomes == {"a": "timed_out", "b": "held_back"}
    assert fleet.abandoned == []


def test_a_cancelled_run_begins_no_further_wave() -> None:
    fleet = Fleet(Time(), {"a": {}, "b": {}})
    outcomes, _ = go(fleet, Plan(("a", "b"), 1, 1), cancelled=lambda: bool(fleet.started))
    assert outcomes == {"a": "succeeded", "b": "held_back"}


def test_the_output_counts_and_has_a_row_for_each() -> None:
    fleet = Fleet(Time(), {"a": {}, "b": {}})
    fleet.errors = {"b": "broken"}
    summary = go(fleet, Plan(("a", "b"), 2, 1))[1].as_plain_data()["summary"]
    assert summary == {
        "workflow_id": "upgrade", "complete": True, "deployments": 2,
        "outcomes": {"failed": 1, "succeeded": 1},
    }  # fmt: skip
