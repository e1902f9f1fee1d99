"""What every operation needs: Tier 2, errors translated once, runtime properties changed safely."""

from __future__ import annotations

import fcntl
import functools
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from cloudify import ctx as current_context
from cloudify.decorators import operation as cloudify_operation
from cloudify.exceptions import NonRecoverableError, RecoverableError
from cloudify.manager import get_rest_client
from cloudify.utils import exception_to_error_cause
from cloudify.workflows import api
from cloudify_rest_client.exceptions import CloudifyClientError

from cmom_meta.clients.local import LocalTier2
from cmom_meta.clients.local_runs import LocalRuns
from cmom_meta.clients.rest import RestTier2
from cmom_meta.clients.tier2 import Tier2
from cmom_meta.errors import RETRY_AFTER_SECONDS, ActionRequired, TryAgainLater
from cmom_meta.runtime import Properties

Outcome = TypeVar("Outcome")

_MAX_CONFLICTS = 50
_HTTP_CONFLICT = 409
_WRITE_SECONDS = 30.0
_REST_TIMEOUTS = (5, 30)  # to connect, to answer
_CANCEL_CHECK_SECONDS = 5.0
_CANCELLING = frozenset({"cancelling", "force_cancelling", "kill_cancelling", "cancelled"})


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the plugin's errors into the two that Cloudify's engine knows; the message goes on as it is."""
    try:
        yield
    except ActionRequired as error:
        cause = exception_to_error_cause(error, sys.exc_info()[2])
        raise NonRecoverableError(str(error), causes=[cause]) from error
    except TryAgainLater as error:
        cause = exception_to_error_cause(error, sys.exc_info()[2])
        raise RecoverableError(str(error), causes=[cause], retry_after=round(RETRY_AFTER_SECONDS)) from error


def operation(function: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Make an operation of a function whose first argument is the context."""

    @functools.wraps(function)
    def run(**inputs: Any) -> Outcome:
        inputs.pop("ctx", None)
        with translated_errors():
            return function(current_context, **inputs)

    run.__dict__.pop("__wrapped__", None)  # the engine inspects signatures; ours takes whatever is given
    decorated: Callable[..., Outcome] = cloudify_operation(run)
    return decorated


@contextmanager
def tier2_of(ctx: Any) -> Iterator[Tier2]:
    """Open the Tier 2 on which we run, as far as the tenant of our deployment goes."""
    tier2: Tier2
    if runs_in_local_profile(ctx):
        folder = _deployment_folder(ctx)
        deployments = folder.parent.parent
        # CFY_WORKDIR/.cloudify/profiles/local/deployments, see `cloudify_cli.env`.
        tier2 = LocalTier2(deployments, LocalRuns(folder / "runs", deployments.parents[3]))
    else:
        client = get_rest_client()
        client._client.default_timeout_sec = _REST_TIMEOUTS  # the client takes none from outside
        tier2 = RestTier2(client)
    try:
        yield tier2
    finally:
        tier2.close()


def runs_in_local_profile(ctx: Any) -> bool:
    """Tell whether Tier 2 is no manager, but the local profile of ``cfy``."""
    return bool(getattr(ctx, "_local", False))


def cancellation(ctx: Any) -> Callable[[], bool]:
    """Return what tells whether the execution that we are part of is being cancelled."""
    if runs_in_local_profile(ctx):
        found: Callable[[], bool] = api.has_cancel_request
        return found
    client = get_rest_client()
    client._client.default_timeout_sec = _REST_TIMEOUTS
    asked_at, answer = float("-inf"), False

    def cancelled() -> bool:
        nonlocal asked_at, answer
        if time.monotonic() - asked_at >= _CANCEL_CHECK_SECONDS:
            asked_at = time.monotonic()
            try:
                execution = client.executions.get(ctx.execution_id, _include=["id", "status"])
            except (CloudifyClientError, OSError):
                return answer  # Tier 2 does not answer now; that is no reason to cancel anything
            answer = execution["status"] in _CANCELLING
        return answer

    return cancelled


def change_properties(instance: Any, change: Callable[[Properties], Outcome]) -> Outcome:
    """Read an instance's runtime properties afresh, change them, and store them at once.

    Several workflows may do this to the meta manager at the same time: when another was faster, the change
    is made again on what it left.

    Args:
        instance: ``ctx.instance``.
        change: Changes the properties in place; it may be called more than once.

    Raises:
        TryAgainLater: Others kept being faster.
    """
    for _ in range(_MAX_CONFLICTS):
        with _alone(current_context):
            instance.refresh(force=True)
            outcome = change(instance.runtime_properties)
            try:
                instance.update()
            except _conflicts(current_context) as error:
                if getattr(error, "status_code", _HTTP_CONFLICT) != _HTTP_CONFLICT:
                    raise
                continue
        return outcome
    raise TryAgainLater(
        f"The runtime properties of {instance.id} were changed by others {_MAX_CONFLICTS} times in a row."
    )


def _conflicts(ctx: Any) -> type[Exception]:
    """Return the kind of error by which Tier 2 says that another was faster; a manager's is wider."""
    if not runs_in_local_profile(ctx):
        return cast(type[Exception], CloudifyClientError)
    # Imported here: it needs more than cloudify-common alone, and is there where workflows run locally.
    from cloudify.workflows.local import StorageConflictError

    return cast(type[Exception], StorageConflictError)


def _deployment_folder(ctx: Any) -> Path:
    """Return the working folder of our deployment, which the plugin's own lies two levels below."""
    return Path(ctx.plugin.workdir).parent.parent


@contextmanager
def _alone(ctx: Any) -> Iterator[None]:
    """Keep other processes from writing: the local profile's storage only keeps threads apart."""
    if not runs_in_local_profile(ctx):
        yield
        return
    path = _deployment_folder(ctx) / "properties.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        ends_at = time.monotonic() + _WRITE_SECONDS
        while not _grab(lock):
            if time.monotonic() >= ends_at:
                raise TryAgainLater(f"Another process has held {path} for {_WRITE_SECONDS:.0f} s.")
            time.sleep(0.01)
        yield
    finally:
        os.close(lock)


def _grab(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
