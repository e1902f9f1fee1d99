"""Running a workflow on Tier 1, with Tier 2's own cancellation passed on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cloudify.manager import get_rest_client
from cloudify.workflows import api
from cloudify_rest_client.exceptions import CloudifyClientError

from cmom import runtime
from cmom.clients.executions import Execution
from cmom.operations.connections import tier1_of
from cmom.operations.glue import change_properties, operation, runs_in_local_profile
from cmom.services.execution_request import parse_request
from cmom.services.executions import WorkflowRunner

_CANCELLING = frozenset({"cancelling", "force_cancelling", "kill_cancelling", "cancelled"})
_ASK_EVERY_SECONDS = 5.0


class _Ended(BaseException):
    """This process is told to end."""


@operation
def execute_workflow(ctx: Any, **inputs: Any) -> None:
    """Run a workflow on Tier 1 to its end; leave its id, status and error in the runtime properties."""
    request = parse_request(inputs)
    before = runtime.ExecutionRecord.load(ctx.instance.runtime_properties)
    # Run again after a crash, or by a retry: the execution is there already.
    started = before.execution_id if before and before.tier2_execution_id == ctx.execution_id else None

    def remember(execution: Execution) -> None:
        nonlocal started
        started = execution.id
        record = runtime.ExecutionRecord(
            execution_id=execution.id,
            status=execution.status,
            error=execution.error,
            workflow_id=request.workflow_id,
            deployment_id=request.deployment_id,
            tenant_name=request.tenant,
            tier2_execution_id=ctx.execution_id,
        )
        change_properties(ctx.instance, record.store)

    with tier1_of(ctx, ctx.logger) as tier1:
        runner = WorkflowRunner(tier1, ctx.logger, remember=remember, cancelled=_cancellation(ctx))
        try:
            with _told_to_end():
                runner.run(request, started)
        except _Ended:
            if started is not None:
                runner.cancel_now(request, started)
            raise SystemExit(1) from None


def _cancellation(ctx: Any) -> Callable[[], bool]:
    """Return what tells whether the execution on Tier 2 that we are part of is being cancelled.

    On a manager the workflow runs in another process, and what was asked of it stands in the database; in the
    local profile it is this process, and the workflow says so itself.
    """
    if runs_in_local_profile(ctx):
        found: Callable[[], bool] = api.has_cancel_request
        return found
    asked_at = time.monotonic()

    def cancelled() -> bool:
        nonlocal asked_at
        if time.monotonic() - asked_at < _ASK_EVERY_SECONDS:
            return False
        asked_at = time.monotonic()
        try:
            status = get_rest_client().executions.get(ctx.execution_id, _include=["status"]).status
        except (CloudifyClientError, OSError):
            return False  # Tier 2 does not answer now; that is no reason to cancel anything
        return status in _CANCELLING

    return cancelled


@contextmanager
def _told_to_end() -> Iterator[None]:
    """Turn SIGTERM, which a manager sends five seconds before it kills, into an exception."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: Any) -> None:
        raise _Ended

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
