"""The meta plugin against a Tier 2 that answers over a real socket, through the real REST client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timezone

import pytest

from benchmarks.fleet.tier2 import Deployment, ServedTier2, SimulatedTier2, status_of
from cmom_meta.clients.rest import RestTier2
from cmom_meta.errors import ActionRequired, Busy, TryAgainLater
from cmom_meta.models import Order, Outcome
from cmom_meta.services.fleet import GET_STATUS, FleetStatus
from cmom_meta.services.runner import Limits, Runner

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
Serve = Callable[..., ServedTier2]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve a simulated Tier 2."""
    with ExitStack() as stack:

        def begin(*deployments: Deployment, at_once: int | None = None) -> ServedTier2:
            return stack.enter_context(ServedTier2(SimulatedTier2(deployments, at_once=at_once)))

        yield begin


def test_deployments_and_their_clusters_are_read_over_several_requests(serve: Serve) -> None:
    names = [f"cluster-{number:03}" for number in range(300)]
    clusters = [Deployment(name, properties={"status": status_of("ready", NOW)}) for name in names]
    served = serve(*clusters, Deployment("foreign", properties=None))
    tier2 = RestTier2(served.client())
    assert tier2.existing([*names, "foreign", "gone"]) == {*names, "foreign"}
    found = tier2.clusters([*names, "foreign"])
    assert set(found) == set(names)
    assert found[names[-1]].properties["status"]["condition"] == "ready"


def test_a_workflow_is_started_and_its_end_is_told(serve: Serve) -> None:
    served = serve(Deployment("well"), Deployment("broken", error="Traceback\nNonRecoverableError: no route"))
    tier2 = RestTier2(served.client())
    runs = [tier2.start(name, GET_STATUS) for name in ("well", "broken")]
    states = tier2.states(runs)
    assert states[runs[0].id].outcome is Outcome.SUCCEEDED
    assert states[runs[1].id].outcome is Outcome.FAILED
    assert states[runs[1].id].error == "NonRecoverableError: no route"


def test_another_workflow_in_the_way_is_named(serve: Serve) -> None:
    deployment = Deployment("a", seconds=None)
    served = serve(deployment)
    execution = served.tier2.add_execution(deployment, "heal_tier1_manager")
    with pytest.raises(Busy, match=f"heal_tier1_manager runs on it .execution {execution.id}"):
        RestTier2(served.client()).start("a", GET_STATUS)


def test_a_get_status_that_runs_already_is_waited_for(serve: Serve) -> None:
    deployment = Deployment("a", seconds=None)
    served = serve(deployment)
    execution = served.tier2.add_execution(deployment, "get_status")
    tier2 = RestTier2(served.client())
    assert tier2.start("a", GET_STATUS).id == execution.id
    with pytest.raises(Busy):
        tier2.start("a", Order("get_status"))


def test_refusals_and_outages_are_told_apart(serve: Serve) -> None:
    served = serve(
        Deployment("busy", refuses=(503, "", "too many requests")),
        Deployment("old", refuses=(400, "nonexistent_workflow_error", "Workflow get_status does not exist")),
    )
    tier2 = RestTier2(served.client())
    with pytest.raises(TryAgainLater):
        tier2.start("busy", GET_STATUS)
    with pytest.raises(ActionRequired, match="Workflow get_status does not exist"):
        tier2.start("old", GET_STATUS)


def test_a_silent_tier2_is_given_up(serve: Serve) -> None:
    served = serve(Deployment("a"))
    served.tier2.silent = True
    with pytest.raises(TryAgainLater, match="Tier 2 does not answer"):
        RestTier2(served.client(timeout_seconds=0.3)).existing(["a"])


def test_deployments_are_found_by_their_labels(serve: Serve) -> None:
    served = serve(
        Deployment("a", labels={"tier": "one", "env": "prod"}),
        Deployment("b", labels={"tier": "one", "env": "test"}),
        Deployment("c"),
    )
    tier2 = RestTier2(served.client())
    assert tier2.labelled(["tier=one"]) == ("a", "b")
    assert tier2.labelled(["tier=one", "env!=test"]) == ("a",)
    assert tier2.labelled(["tier is null"]) == ("c",)


def test_an_execution_that_is_gone_has_failed(serve: Serve) -> None:
    served = serve(Deployment("a"))
    tier2 = RestTier2(served.client())
    run = tier2.start("a", GET_STATUS)
    served.tier2.executions.clear()
    assert tier2.states([run])[run.id].outcome is Outcome.FAILED


def test_a_fleet_is_asked_side_by_side_on_a_tier2_that_bounds_it(serve: Serve) -> None:
    fleet = [
        Deployment(f"c{number:02}", 0.05, properties={"status": status_of("down", NOW)})
        for number in range(30)
    ]
    served = serve(
        *fleet, Deployment("dead", None, properties={"status": status_of("ready", NOW)}), at_once=5
    )
    tier2 = RestTier2(served.client())
    runner = Runner(tier2, Limits(10, each_seconds=5.0, all_seconds=60.0, poll_seconds=0.1))
    first: list[int] = []
    try:
        look = FleetStatus(tier2, runner, lambda status: first.append(status["summary"]["fresh"]))
        found = look.collect(dict.fromkeys(served.tier2.deployments, "by name"))
    finally:
        runner.close()
    assert first[0] == 0
    assert served.tier2.most_running <= 5
    assert found["summary"]["conditions"] == {"ready": 30}
    assert found["summary"]["no_answer"] == {"timed_out": 1}
