"""Running a workflow on Tier 1 as ``cfy executions start`` does, from Tier 2."""

from __future__ import annotations

import logging
from collections.abc import Callable

from cmom.clients.executions import Execution, can_queue
from cmom.errors import ActionRequired, CmomError, ManagerRefused, ManagerUnreachable, TryAgainLater
from cmom.services.execution_events import EventStream
from cmom.services.execution_request import ExecutionRequest
from cmom.services.tier1 import Tier1
from cmom.services.waiting import Clock, SystemClock, wait_for

POLL_SECONDS = 2.0
_CALL_SECONDS = 120.0
_CANCEL_SECONDS = 60.0
_ERROR_LINES = 15
# The deployment was created a moment ago, and its environment is still being made.
_ENVIRONMENT_CODES = frozenset(
    {
        "deployment_environment_creation_pending_error",
        "deployment_environment_creation_in_progress_error",
    }
)


class ExecutionFailed(ActionRequired):
    """The workflow ended, and not well."""


class ExecutionCancelled(ActionRequired):
    """The workflow was cancelled, because we were, or by somebody on Tier 1."""


class ExecutionGoesOn(ActionRequired):
    """We have waited as long as we were told to, and the workflow still runs."""


class WorkflowRunner:
    """Starts a workflow on Tier 1 and stays with it until it ends.

    Args:
        tier1: The cluster.
        logger: Gets its events as they come.
        remember: Is told each new state, to be kept: what it was told last is given to `run` after a crash.
        cancelled: Tells whether we ourselves were cancelled.
        clock: For tests.
        poll_seconds: Between two looks.
    """

    def __init__(
        self,
        tier1: Tier1,
        logger: logging.Logger | logging.LoggerAdapter[logging.Logger],
        *,
        remember: Callable[[Execution], None],
        cancelled: Callable[[], bool] = lambda: False,
        clock: Clock | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._tier1 = tier1
        self._logger = logger
        self._remember = remember
        self._cancelled = cancelled
        self._clock = clock or SystemClock()
        self._poll_seconds = poll_seconds

    def run(self, request: ExecutionRequest, execution_id: str | None = None) -> Execution:
        """Run it to its end.

        Args:
            request: What to run.
            execution_id: Of the execution that was started for this very request before we were killed: it
                is followed, and nothing is started.

        Returns:
            The execution, which completed.

        Raises:
            ExecutionFailed: It failed.
            ExecutionCancelled: It, or we, were cancelled.
            ExecutionGoesOn: It has not ended in time; it goes on.
            ManagerRefused: The manager does not run it.
            ActionRequired: The manager is too old for what is asked of it.
            CmomError: See `Tier1.call`.
        """
        deadline = self._clock.monotonic() + request.timeout_seconds
        if execution_id is None:
            execution = self._start(request)
            self._logger.info("Started %s on Tier 1: execution %s", request, execution.id)
            self._remember(execution)
        else:
            execution = Execution(execution_id, request.deployment_id, request.workflow_id, "")
            self._logger.info("Following execution %s of %s, started before", execution_id, request)
        return self._judge(request, self._follow(request, execution, deadline))

    def _start(self, request: ExecutionRequest) -> Execution:
        def list_ids() -> frozenset[str]:
            return self._tier1.call(
                lambda api: frozenset(
                    found.id
                    for found in api.list_executions(
                        request.tenant, request.deployment_id, request.workflow_id
                    )
                ),
                f"looking at deployment {request.deployment_id}",
            )

        self._check_capabilities(request)
        before = list_ids()

        def start() -> Execution | None:
            try:
                return self._send(request)
            except ManagerRefused as error:
                if error.error_code in _ENVIRONMENT_CODES:
                    raise TryAgainLater(str(error)) from error
                raise
            except ManagerUnreachable:
                # The answer was lost: it may run already.
                new = sorted(list_ids() - before)
                if new:
                    return Execution(new[-1], request.deployment_id, request.workflow_id, "")
                raise

        return wait_for(
            start,
            f"{request} to start",
            wait_seconds=max(request.timeout_seconds, _CALL_SECONDS),
            interval_seconds=self._poll_seconds,
            clock=self._clock,
        )

    def _send(self, request: ExecutionRequest) -> Execution:
        return self._tier1.call(
            lambda api: api.start_execution(
                request.tenant,
                request.deployment_id,
                request.workflow_id,
                request.parameters,
                allow_custom_parameters=request.allow_custom_parameters,
                force=request.force,
                queue=request.queue,
            ),
            f"starting {request}",
            repeatable=False,
        )

    def _check_capabilities(self, request: ExecutionRequest) -> None:
        """A manager takes no notice of what it does not know, and would run it at once."""
        if request.queue and not can_queue(self._tier1.version):
            raise ActionRequired(
                f"Starting {request}: managers of version {self._tier1.version} cannot queue executions (4.5 "
                "and later can). Run it without `queue`, when no other execution runs."
            )

    def _follow(self, request: ExecutionRequest, execution: Execution, deadline: float) -> Execution:
        """Pass on events until the execution has ended."""
        events = EventStream(self._tier1, request, execution.id, self._logger)
        asked_to_stop = False
        while True:
            execution = self._look(request, execution, events, deadline)
            if execution.ended:
                return execution
            if self._cancelled() and not asked_to_stop:
                asked_to_stop = True
                deadline = self._clock.monotonic() + _CANCEL_SECONDS
                execution = self._cancel(request, execution)
                continue
            if self._clock.monotonic() + self._poll_seconds > deadline:
                raise self._out_of_time(request, execution, asked_to_stop)
            self._clock.sleep(self._poll_seconds)

    def _look(
        self, request: ExecutionRequest, execution: Execution, events: EventStream, deadline: float
    ) -> Execution:
        """Look once; a cluster that does not answer is asked again as long as there is time."""
        wait_seconds = max(0.0, min(_CALL_SECONDS, deadline - self._clock.monotonic()))
        try:
            found = self._tier1.call(
                lambda api: api.get_execution(request.tenant, execution.id),
                f"looking at {request}",
                wait_seconds=wait_seconds,
            )
            events.pass_on(wait_seconds)
        except TryAgainLater as error:
            self._logger.warning("%s", error)
            return execution
        if found.status != execution.status:
            self._logger.info("Execution %s on Tier 1: %s", found.id, found.status)
            self._remember(found)
        return found

    def _cancel(self, request: ExecutionRequest, execution: Execution) -> Execution:
        self._logger.warning("Cancelled: asking Tier 1 to cancel execution %s of %s", execution.id, request)
        try:
            return self._tier1.call(
                lambda api: api.cancel_execution(request.tenant, execution.id), f"cancelling {request}"
            )
        except ManagerRefused as error:
            self._logger.info("%s", error)  # it has ended meanwhile
            return execution

    def cancel_now(self, request: ExecutionRequest, execution_id: str) -> None:
        """Ask Tier 1 to cancel, without waiting; for when this process is being ended."""
        try:
            self._tier1.call(
                lambda api: api.cancel_execution(request.tenant, execution_id),
                f"cancelling {request}",
                wait_seconds=0.0,
            )
        except CmomError as error:
            self._logger.warning("%s", error)

    def _out_of_time(
        self, request: ExecutionRequest, execution: Execution, asked_to_stop: bool
    ) -> ActionRequired:
        follow = (
            f"Follow it on the cluster: cfy executions get {execution.id} -t {request.tenant}; "
            f"cfy events list {execution.id} -t {request.tenant}"
        )
        status = execution.status or "in an unknown state"
        if asked_to_stop:
            return ExecutionCancelled(
                f"{_sentence(request)} was asked to stop, and is still {status} after "
                f"{_CANCEL_SECONDS:.0f} s. {follow}"
            )
        return ExecutionGoesOn(
            f"{_sentence(request)} has not ended within {request.timeout_seconds:.0f} s: it is {status} and "
            f"goes on. {follow}"
        )

    def _judge(self, request: ExecutionRequest, execution: Execution) -> Execution:
        if execution.status == "terminated":
            self._logger.info("%s has completed (execution %s)", _sentence(request), execution.id)
            return execution
        if execution.status == "cancelled":
            raise ExecutionCancelled(f"{_sentence(request)} was cancelled (execution {execution.id}).")
        lines = execution.error.strip().splitlines()[-_ERROR_LINES:]
        raise ExecutionFailed(
            f"{_sentence(request)} failed on Tier 1 (execution {execution.id}): "
            f"{chr(10).join(lines) or 'no reason given'}"
        )


def _sentence(request: ExecutionRequest) -> str:
    text = str(request)
    return text[:1].upper() + text[1:]
