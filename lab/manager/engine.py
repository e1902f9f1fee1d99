"""The workflow engine: lets executions begin, take their time, end, be cancelled, and queue.

Nothing is executed. A run has a length, an end (well or with an error), things it reports, and an
effect on the stores that happens when it ends well. Executions go on over a power cut of their
manager and over a failover, as resumable workflows do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lab.manager.exceptions import ExistingRunningExecutionError, IllegalActionError
from lab.manager.stores.events import Event, Events
from lab.manager.stores.executions import Execution, Executions
from lab.manager.transitions import Appointment, Schedule

Effect = Callable[[float], "str | None"]
"""What a run does when it ends well, at that time; it may return an error after all."""


@dataclass
class Run:
    """How an execution goes.

    Attributes:
        pending_seconds, seconds: how long it is pending, and then started.
        linger_seconds: how long it is still started after its effect.
        error: Why it fails; empty when it does not.
        reports: `(message, is_log)` in order, spread over its time.
        effect: Called when it has ended well.
        failure: Called with the error when it has failed.
        cancel_seconds: How long it is cancelling.
        ready: False while something outside delays its end.
    """

    pending_seconds: float = 0.0
    seconds: float = 0.0
    linger_seconds: float = 0.0
    error: str = ""
    reports: list[tuple[str, bool]] = field(default_factory=list)
    effect: Effect | None = None
    failure: Callable[[str, float], None] | None = None
    cancel_seconds: float = 0.0
    ready: Callable[[], bool] | None = None


@dataclass
class Script:
    """How the next executions of a workflow are to go, told from outside.

    Attributes:
        deployment_id: Only of this deployment; None: of any.
        seconds: None: as long as the settings say.
        effects: False: it ends well and has done nothing.
        times: For how many executions it holds.
    """

    workflow_id: str
    deployment_id: str | None = None
    error: str = ""
    seconds: float | None = None
    events: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    effects: bool = True
    times: int = 1

    @classmethod
    def of_blueprint(cls, workflow_id: str, told: Any) -> Script | None:
        """From a blueprint's `dsl_definitions.lab.WORKFLOW`."""
        if not isinstance(told, dict):
            return None
        seconds = told.get("seconds")
        return cls(
            workflow_id,
            error=str(told.get("error") or ""),
            seconds=float(seconds) if seconds is not None else None,
            events=tuple(map(str, told.get("events") or ())),
            logs=tuple(map(str, told.get("logs") or ())),
        )


_NOT_READY_PAUSE_SECONDS = 0.02
_NOBODY_HEARS_PAUSE_SECONDS = 1.0


class Engine:
    """Runs the executions of one database."""

    def __init__(self, executions: Executions, events: Events, schedule: Schedule) -> None:
        self._executions = executions
        self._events = events
        self._schedule = schedule
        self._runs: dict[str, Run] = {}
        self._due: dict[str, Appointment] = {}
        self.scripts: list[Script] = []
        self.can_begin: Callable[[], bool] = lambda: True
        """Whether anybody takes what is pending: without a broker no worker hears of it."""

    def script_for(self, workflow_id: str, deployment_id: str | None) -> Script | None:
        """The script that holds for a new execution; it is used up by being asked for."""
        for script in self.scripts:
            if script.workflow_id == workflow_id and script.deployment_id in (None, deployment_id):
                script.times -= 1
                if script.times <= 0:
                    self.scripts.remove(script)
                return script
        return None

    def apply_script(self, run: Run, script: Script | None) -> None:
        """Let a run go as a script says."""
        if script is None:
            return
        run.error = script.error or run.error
        if script.seconds is not None:
            run.seconds = script.seconds
        run.reports += [(event, False) for event in script.events]
        run.reports += [(line, True) for line in script.logs]
        if not script.effects:
            run.effect = None

    def submit(self, execution: Execution, run: Run, *, now: float, queue: bool) -> Execution:
        """Let an execution begin now, or, with `queue`, when nothing is in its way any more.

        Raises:
            ExistingRunningExecutionError: Something is in its way, and it is not to wait.
        """
        blocking = self.blocking(execution)
        if blocking and not queue:
            raise ExistingRunningExecutionError(
                f"The following executions are currently running: "
                f'{[e.id for e in blocking]}. To execute this workflow anyway, pass "force=true" '
                f"as a query parameter to this request"
                if execution.deployment_id
                else f"You cannot start an execution of {execution.workflow_id} since there are "
                f"running executions: {[e.id for e in blocking]}"
            )
        self._runs[execution.id] = run
        self._executions.add(execution)
        if blocking:
            execution.status = "queued"
        elif execution.scheduled_for is not None and execution.scheduled_for > now:
            execution.status = "scheduled"
            self._appoint(execution, execution.scheduled_for, self._scheduled)
        else:
            self._begin(execution, now)
        return execution

    def blocking(self, execution: Execution) -> list[Execution]:
        """What is in the way of an execution: on its deployment, or on the whole manager."""
        if execution.alone:
            others = self._executions.active()
        else:
            others = self._executions.alone()
            if execution.deployment_id is not None and not execution.force:
                others = others + self._executions.active(
                    tenant=execution.tenant, deployment_id=execution.deployment_id
                )
        return [other for other in others if other is not execution]

    def cancel(self, execution: Execution, action: str, now: float) -> None:
        """Cancel, force-cancel or kill an execution.

        Raises:
            IllegalActionError: It has ended.
        """
        if execution.ended:
            raise IllegalActionError(
                f"Can't {action} execution {execution.id} because it's in status "
                f"{execution.status}. Can only cancel executions in statuses pending, started, "
                f"queued, scheduled"
            )
        run = self._runs.get(execution.id, Run())
        self._withdraw(execution, now)
        if execution.status in ("queued", "scheduled", "pending"):
            self._end(execution, "cancelled", "", now)
            return
        execution.status = {
            "cancel": "cancelling",
            "force-cancel": "force_cancelling",
            "kill": "kill_cancelling",
        }[action]
        self._appoint(execution, now + run.cancel_seconds, self._cancelled)

    def leave_pending(self, execution: Execution) -> None:
        """Keep an execution that will never begin."""
        self._executions.add(execution)

    def _begin(self, execution: Execution, now: float) -> None:
        execution.status = "pending"
        run = self._runs[execution.id]
        self._appoint(execution, now + run.pending_seconds, self._started)

    def _scheduled(self, execution: Execution, now: float) -> None:
        execution.status = "queued"
        self._release(now)

    def _started(self, execution: Execution, now: float) -> None:
        if not self.can_begin():
            self._appoint(execution, now + _NOBODY_HEARS_PAUSE_SECONDS, self._started)
            return
        run = self._runs[execution.id]
        execution.status, execution.started_at = "started", now
        self._report(
            execution, now, f"Starting '{execution.workflow_id}' workflow execution", "workflow_started"
        )
        pause = run.seconds / (len(run.reports) + 1)
        for position, (message, is_log) in enumerate(run.reports, start=1):
            self._report(execution, now + pause * position, message, "workflow_event", is_log=is_log)
        self._appoint(execution, now + run.seconds, self._finished)

    def _finished(self, execution: Execution, now: float) -> None:
        run = self._runs[execution.id]
        if run.ready is not None and not run.ready():
            self._appoint(execution, now + _NOT_READY_PAUSE_SECONDS, self._finished)
            return
        error = run.error
        if not error and run.effect is not None and not execution.is_dry_run:
            error = run.effect(now) or ""
        if error and run.failure is not None:
            run.failure(error, now)
        run.failure = None
        status = "failed" if error else "terminated"
        self._appoint(
            execution,
            now + run.linger_seconds,
            lambda execution, at: self._end(execution, status, error, at),
        )

    def _cancelled(self, execution: Execution, now: float) -> None:
        self._end(execution, "cancelled", "", now)

    def _end(self, execution: Execution, status: str, error: str, now: float) -> None:
        execution.status, execution.error, execution.ended_at = status, error, now
        words = {
            "terminated": ("succeeded", "workflow_succeeded"),
            "failed": (f"failed: {error}", "workflow_failed"),
            "cancelled": ("cancelled", "workflow_cancelled"),
        }[status]
        self._report(execution, now, f"'{execution.workflow_id}' workflow execution {words[0]}", words[1])
        run = self._runs.pop(execution.id, None)
        self._due.pop(execution.id, None)
        if status == "cancelled" and run is not None and run.failure is not None:
            run.failure("cancelled", now)
        self._release(now)

    def _release(self, now: float) -> None:
        for execution in [e for e in self._executions if e.status == "queued"]:
            if execution.id in self._runs and not self.blocking(execution):
                self._begin(execution, now)

    def _report(
        self,
        execution: Execution,
        at: float,
        message: str,
        event_type: str,
        *,
        is_log: bool = False,
    ) -> None:
        self._events.all.append(
            Event(
                at,
                execution.id,
                execution.tenant,
                message,
                is_log,
                event_type,
                execution.deployment_id,
                execution.blueprint_id,
                execution.workflow_id,
            )
        )

    def _appoint(self, execution: Execution, due: float, change: Callable[[Execution, float], None]) -> None:
        self._due[execution.id] = self._schedule.at(due, lambda at: change(execution, at))

    def _withdraw(self, execution: Execution, now: float) -> None:
        appointment = self._due.pop(execution.id, None)
        if appointment is not None:
            appointment.cancel()
        self._events.withdraw(execution.id, now)
