"""The engine and the times at which things happen."""

from __future__ import annotations

import pytest

from lab.manager.engine import Engine, Run, Script
from lab.manager.exceptions import ExistingRunningExecutionError, IllegalActionError
from lab.manager.stores.events import Events
from lab.manager.stores.executions import Execution, Executions
from lab.manager.transitions import Schedule, timestamp


class Bench:
    """An engine with its stores."""

    def __init__(self) -> None:
        self.executions, self.events, self.schedule = Executions(), Events(), Schedule()
        self.engine = Engine(self.executions, self.events, self.schedule)

    def submit(
        self, name: str, run: Run, *, now: float = 0.0, queue: bool = False, **fields: object
    ) -> Execution:
        given: dict[str, object] = {"deployment_id": "dep", "workflow_id": "install", **fields}
        execution = Execution(name, "default_tenant", "tenant", "admin", now, **given)  # type: ignore[arg-type]
        return self.engine.submit(execution, run, now=now, queue=queue)

    def messages(self, now: float) -> list[str]:
        return [event.message for event in self.events.seen("default_tenant", now)]


def test_changes_happen_in_the_order_of_their_times_with_their_times() -> None:
    schedule, seen = Schedule(), []
    schedule.at(3, lambda at: seen.append(("late", at)))
    schedule.at(1, lambda at: schedule.at(at + 1, lambda at: seen.append(("second", at))))
    schedule.at(1, lambda at: seen.append(("first", at)))
    schedule.at(2.5, lambda at: seen.append(("cancelled", at))).cancel()
    schedule.settle(2)
    assert seen == [("first", 1), ("second", 2)]
    schedule.settle(10)
    assert seen[-1] == ("late", 3)


def test_a_time_is_written_as_a_manager_writes_it() -> None:
    assert timestamp(1600000000.1239) == "2020-09-13T12:26:40.123Z"
    assert timestamp(None) is None


def test_a_run_is_pending_then_started_then_ended() -> None:
    bench, done = Bench(), []

    def effect(at: float) -> str | None:
        done.append(at)
        return None

    execution = bench.submit("e", Run(2, 5, linger_seconds=1, effect=effect))
    for now, status in ((1, "pending"), (2, "started"), (7, "started"), (8, "terminated")):
        bench.schedule.settle(now)
        assert execution.status == status
    assert done == [7]
    assert (execution.started_at, execution.ended_at) == (2, 8)


def test_an_effect_can_fail_the_run() -> None:
    bench, failures = Bench(), []
    execution = bench.submit(
        "e", Run(effect=lambda _: "no", failure=lambda why, at: failures.append((why, at)))
    )
    bench.schedule.settle(0)
    assert (execution.status, execution.error, failures) == ("failed", "no", [("no", 0)])


def test_a_dry_run_has_no_effect() -> None:
    bench, done = Bench(), []

    def effect(at: float) -> str | None:
        done.append(at)
        return None

    execution = bench.submit("e", Run(effect=effect), is_dry_run=True)
    bench.schedule.settle(0)
    assert (execution.status, done) == ("terminated", [])


def test_reports_are_seen_when_their_time_has_come_and_taken_back_by_a_cancel() -> None:
    bench = Bench()
    run = Run(0, 30, reports=[("one", False), ("two", True)], cancel_seconds=5)
    execution = bench.submit("e", run)
    bench.schedule.settle(10)
    assert bench.messages(10)[1:] == ["one"]
    bench.engine.cancel(execution, "cancel", 15)
    bench.schedule.settle(20)
    assert execution.status == "cancelled"
    assert bench.messages(100)[1:] == ["one", "'install' workflow execution cancelled"]
    with pytest.raises(IllegalActionError):
        bench.engine.cancel(execution, "cancel", 21)


def test_what_waits_in_the_queue_begins_when_the_way_is_free() -> None:
    bench = Bench()
    first = bench.submit("first", Run(0, 10))
    with pytest.raises(ExistingRunningExecutionError):
        bench.submit("second", Run(0, 10))
    second = bench.submit("second", Run(0, 10), queue=True)
    third = bench.submit("third", Run(0, 10), queue=True)
    other = bench.submit("other", Run(0, 1), deployment_id="elsewhere")
    bench.schedule.settle(12)
    assert [e.status for e in (first, second, third, other)] == [
        "terminated",
        "started",
        "queued",
        "terminated",
    ]
    bench.schedule.settle(30)
    assert third.ended_at == 30


def test_what_is_alone_waits_for_all_and_lets_all_wait() -> None:
    bench = Bench()
    bench.submit("first", Run(0, 10))
    snapshot = bench.submit("snap", Run(0, 10), deployment_id=None, alone=True, queue=True)
    bench.schedule.settle(15)
    assert snapshot.status == "started"
    with pytest.raises(ExistingRunningExecutionError):
        bench.submit("other", Run(), now=15, deployment_id="elsewhere", force=True)


def test_what_is_not_ready_ends_later() -> None:
    bench, ready = Bench(), []
    execution = bench.submit("e", Run(ready=lambda: bool(ready)))
    bench.schedule.settle(0)
    assert execution.status == "started"
    ready.append(True)
    bench.schedule.settle(1)
    assert execution.status == "terminated"


def test_what_is_scheduled_begins_at_its_time() -> None:
    bench = Bench()
    execution = bench.submit("e", Run(0, 5), scheduled_for=100.0)
    bench.schedule.settle(99)
    assert execution.status == "scheduled"
    bench.schedule.settle(101)
    assert (execution.status, execution.started_at) == ("started", 100)


def test_a_script_holds_as_often_as_it_says() -> None:
    engine = Bench().engine
    engine.scripts.append(Script("install", deployment_id="dep", error="x", times=2))
    assert engine.script_for("install", "other") is None
    assert engine.script_for("install", "dep") is not None
    assert engine.script_for("install", "dep") is not None
    assert engine.script_for("install", "dep") is None
