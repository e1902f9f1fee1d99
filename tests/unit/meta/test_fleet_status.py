"""One question to many clusters: what has no answer is one row with its reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cmom_meta.errors import ActionRequired, TryAgainLater
from cmom_meta.services.fleet import FleetStatus
from tests.unit.meta.fleet import BEGAN, Fleet, Time, busy, runner_of, status

BEFORE = BEGAN - timedelta(hours=2)


def known(condition: str = "ready", **more: Any) -> dict[str, Any]:
    """Return the properties of a cluster that was asked two hours ago."""
    return {"status": status(condition, observed=BEFORE), **more}


def ask(
    fleet: Fleet, names: list[str] | None = None, **limits: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ask a fleet; return the last status and all that were published."""
    published: list[dict[str, Any]] = []
    look = FleetStatus(fleet, runner_of(fleet, **limits), published.append, now=fleet.time.now)
    return look.collect(dict.fromkeys(names or list(fleet.found), "by name")), published


def row_of(found: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the row of a deployment."""
    (row,) = [row for row in found["clusters"] if row["deployment_id"] == name]
    assert isinstance(row, dict)
    return row


def test_each_cluster_answers_for_itself() -> None:
    fleet = Fleet(Time(), {"a": known(), "b": known()})
    fleet.after = {"a": status("ready"), "b": status("degraded", reason="10.0.0.2 is offline.")}
    found, _ = ask(fleet)
    assert found["summary"]["conditions"] == {"degraded": 1, "ready": 1}
    assert found["summary"]["need_somebody"] == ["b"]
    assert row_of(found, "b")["detail"] == "10.0.0.2 is offline."
    assert [row["deployment_id"] for row in found["clusters"]] == ["b", "a"]


def test_one_that_fails_to_start_costs_the_others_nothing() -> None:
    fleet = Fleet(Time(), {"a": known(), "b": known()})
    fleet.refusals = {
        "a": [ActionRequired("Starting get_status on deployment a: Tier 2 answered No such workflow")]
    }
    found, _ = ask(fleet)
    assert row_of(found, "a")["problem"] == "not_started"
    assert "No such workflow" in row_of(found, "a")["detail"]
    assert row_of(found, "b")["fresh"]


def test_all_that_end_on_the_last_look_before_the_deadline_are_counted() -> None:
    fleet = Fleet(Time(), {"a": known(), "b": known()})
    fleet.takes = {"a": 599.0, "b": 599.0}
    found, _ = ask(fleet, each_seconds=1000.0, all_seconds=600.25)
    assert found["summary"]["fresh"] == 2


def test_a_dead_deployment_is_reported_with_its_last_status_and_its_age() -> None:
    fleet = Fleet(Time(), {"dead": known("degraded"), "well": known()})
    fleet.takes = {"dead": None}
    found, _ = ask(fleet)
    row = row_of(found, "dead")
    assert (row["fresh"], row["problem"], row["condition"]) == (False, "timed_out", "degraded")
    assert 7200 + 20 <= row["age_seconds"] < 7200 + 30
    assert row["execution"] == "execution run-dead"
    assert fleet.abandoned == ["dead"]
    assert found["summary"]["no_answer"] == {"timed_out": 1}
    assert row_of(found, "well")["fresh"]


def test_every_reason_is_told() -> None:
    fleet = Fleet(Time(), {"foreign": None, "failing": known(), "busy": known(), "well": known()})
    fleet.errors = {"failing": "The CA certificate is not there."}
    fleet.refusals = {"busy": [busy("heal_tier1_manager")]}
    found, _ = ask(fleet, ["gone", "foreign", "failing", "busy", "well"])
    problems = {row["deployment_id"]: row["problem"] for row in found["clusters"]}
    assert problems == {
        "gone": "missing",
        "foreign": "no_cluster",
        "failing": "failed",
        "busy": "busy",
        "well": "",
    }
    assert row_of(found, "failing")["detail"] == "The CA certificate is not there."
    assert row_of(found, "busy")["detail"] == "heal_tier1_manager runs on it (execution e1)."
    assert found["summary"]["need_somebody"] == ["gone", "foreign", "failing"]


def test_success_without_a_status_is_no_answer() -> None:
    found, _ = ask(Fleet(Time(), {"a": {}}))
    assert row_of(found, "a")["problem"] == "no_status"
    assert found["summary"]["need_somebody"] == ["a"]


def test_what_is_known_is_published_before_anything_was_asked() -> None:
    fleet = Fleet(Time(), {"a": known(), "b": known("down")})
    fleet.after = {"a": status("ready")}
    found, published = ask(fleet)
    first = published[0]["summary"]
    assert (first["complete"], first["fresh"], first["last_known_conditions"]) == (
        False,
        0,
        {"down": 1, "ready": 1},
    )
    assert [row["age_seconds"] for row in published[0]["clusters"]] == [7200, 7200]
    assert found["summary"]["complete"]


def test_a_bound_is_held_and_what_was_not_well_is_asked_first() -> None:
    fleet = Fleet(Time(), {f"c{number}": known("down" if number == 7 else "ready") for number in range(9)})
    fleet.takes = dict.fromkeys(fleet.found, 5.0)
    found, _ = ask(fleet, parallel=3)
    assert fleet.most_running == 3
    assert fleet.started[0] == "c7"
    assert found["summary"]["fresh"] == 9


def test_fresh_answers_replace_the_last_known_while_others_wait() -> None:
    fleet = Fleet(Time(), {f"c{number}": known() for number in range(6)})
    fleet.takes = dict.fromkeys(fleet.found, 10.0)
    _, published = ask(fleet, parallel=2)
    fresh = [one["summary"]["fresh"] for one in published]
    assert fresh == sorted(fresh)
    assert {0, 2, 4, 6} <= set(fresh)


def test_time_in_the_queue_of_tier2_is_not_the_clusters_fault() -> None:
    fleet = Fleet(Time(), {"a": known()})
    fleet.begins, fleet.takes = {"a": 100.0}, {"a": 5.0}
    found, _ = ask(fleet, each_seconds=20.0)
    assert row_of(found, "a")["fresh"]


def test_the_deadline_for_all_ends_it() -> None:
    fleet = Fleet(Time(), {"queued": known(), "running": known(), "waiting": known()})
    fleet.begins, fleet.takes = {"queued": 1000.0}, {"running": None}
    found, _ = ask(fleet, ["queued", "running", "waiting"], parallel=2, each_seconds=500.0, all_seconds=60.0)
    assert fleet.time.seconds == pytest.approx(60.0)
    problems = {row["deployment_id"]: row["problem"] for row in found["clusters"]}
    assert problems == {"queued": "waiting", "running": "timed_out", "waiting": "waiting"}
    assert "before its turn came" in row_of(found, "waiting")["detail"]


def test_an_answer_that_comes_late_is_taken_while_others_are_waited_for() -> None:
    fleet = Fleet(Time(), {"late": known(), "slow": known()})
    fleet.takes, fleet.begins = {"late": 30.0, "slow": 10.0}, {"slow": 40.0}
    found, _ = ask(fleet, each_seconds=20.0)
    assert row_of(found, "late")["fresh"]


def test_a_start_without_an_answer_ends_at_its_deadline() -> None:
    fleet = Fleet(Time(), {"a": known(), "b": known()})
    fleet.refusals = {"a": [NotImplementedError()]}
    found, _ = ask(fleet)
    assert row_of(found, "a")["problem"] == "timed_out"
    assert "did not start it within 20 s" in row_of(found, "a")["detail"]
    assert row_of(found, "b")["fresh"]


def test_a_tier2_that_is_too_busy_is_asked_again() -> None:
    fleet = Fleet(Time(), {"a": known()})
    fleet.refusals = {"a": [TryAgainLater("503"), TryAgainLater("503")]}
    assert ask(fleet)[0]["summary"]["fresh"] == 1
    fleet.refusals = {"a": [TryAgainLater("503")] * 3}
    assert ask(fleet)[0]["summary"]["no_answer"] == {"not_started": 1}


def test_a_tier2_that_falls_silent_meanwhile_leaves_rows_with_its_words() -> None:
    fleet = Fleet(Time(), {"a": known()})
    fleet.trouble = TryAgainLater("Tier 2 does not answer.")
    found, _ = ask(fleet)
    assert row_of(found, "a")["problem"] == "timed_out"
    assert "Tier 2 does not answer." in row_of(found, "a")["detail"]


def test_a_fault_of_ours_in_one_is_told_and_costs_no_other() -> None:
    fleet = Fleet(Time(), {"a": known(), "b": known()})
    fleet.refusals = {"a": [KeyError("surprise")]}
    found, _ = ask(fleet)
    assert row_of(found, "a")["detail"] == "KeyError: 'surprise'"
    assert row_of(found, "b")["fresh"]


def test_the_summary_names_the_oldest_backup_and_the_clusters_being_healed() -> None:
    journals = {
        "manager_1": {"hostname": "m1", "failed": ""},
        "manager_2": {"hostname": "m2", "failed": "no"},
    }
    old = status("degraded", last_backup={"created_at": "2025-12-30T12:00:00Z"})
    new = status("ready", last_backup={"created_at": "2025-12-31T12:00:00Z"})
    fleet = Fleet(
        Time(),
        {
            "a": {"status": new},
            "b": {"status": old, "healing": {"journals": journals}},
            "c": {"status": status("ready", last_backup=None)},
        },
    )
    found, _ = ask(fleet)
    summary = found["summary"]
    assert summary["oldest_backup"]["deployment_id"] == "b"
    assert summary["oldest_backup"]["created_at"] == "2025-12-30T12:00:00Z"
    assert summary["oldest_backup"]["age_seconds"] >= 2 * 86400
    assert summary["without_backup"] == 1
    assert summary["being_healed"] == ["b"]
    assert row_of(found, "b")["being_healed"] == ["m1"]


def test_a_cancelled_look_tells_what_it_has() -> None:
    fleet = Fleet(Time(), {"a": known(), "b": known()})
    fleet.takes = {"a": None}
    found, _ = ask(fleet, cancelled=lambda: fleet.time.seconds > 3)
    assert row_of(found, "b")["fresh"]
    assert "cancelled" in row_of(found, "a")["detail"]


def test_an_empty_fleet_is_no_error() -> None:
    found, _ = ask(Fleet(Time(), {}))
    assert (found["clusters"], found["summary"]["clusters"]) == ([], 0)
