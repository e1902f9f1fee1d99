"""What every operation needs: errors translated once, runtime properties changed safely."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from cloudify import ctx as current_context
from cloudify.decorators import operation as cloudify_operation
from cloudify.exceptions import NonRecoverableError, RecoverableError
from cloudify.utils import exception_to_error_cause
from cloudify.workflows.local import StorageConflictError
from cloudify_rest_client.exceptions import CloudifyClientError

from cmom.errors import ActionRequired, TryAgainLater
from cmom.runtime import Properties
from cmom.services import activity
from cmom.services.healing import HEAL_WORKFLOW
from cmom.services.locks import file_lock

Outcome = TypeVar("Outcome")

_MAX_CONFLICTS = 50
_HTTP_CONFLICT = 409
_WRITE_SECONDS = 30.0

# They hold up no heal and no heal holds them up: the heal itself, those that steer it, and those that only
# look.
UNOBTRUSIVE_WORKFLOWS = frozenset(
    {HEAL_WORKFLOW, "pause_healing", "resume_healing", "get_status", "list_backups"}
)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the product's errors into the two that Cloudify's engine knows.

    The message goes on as it is; the cause (with its traceback, for whoever reads the execution's details) is
    attached in Cloudify's own form.
    """
    try:
        yield
    except ActionRequired as error:
        cause = exception_to_error_cause(error, sys.exc_info()[2])
        raise NonRecoverableError(str(error), causes=[cause]) from error
    except TryAgainLater as error:
        cause = exception_to_error_cause(error, sys.exc_info()[2])
        raise RecoverableError(
            str(error), causes=[cause], retry_after=round(error.retry_after_seconds)
        ) from error


def operation(function: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Make an operation of a function whose first argument is the context.

    Every operation of ours converges and may be run again from any point: what ``resumable`` promises.
    """

    @functools.wraps(function)
    def run(**inputs: Any) -> Outcome:
        inputs.pop("ctx", None)
        with translated_errors():
            _take_part(current_context)
            return function(current_context, **inputs)

    run.__dict__.pop("__wrapped__", None)  # the engine inspects signatures; ours takes whatever is given
    decorated: Callable[..., Outcome] = cloudify_operation(run, resumable=True)
    return decorated


def deployment_folder(ctx: Any) -> Path:
    """Return the working folder of the deployment that an operation is run for."""
    return activity.folder_of_plugin(Path(ctx.plugin.workdir))


def _take_part(ctx: Any) -> None:
    """Let a heal know that an execution runs, and keep out while a heal does; see `services.activity`."""
    if runs_in_local_profile(ctx) and ctx.workflow_id not in UNOBTRUSIVE_WORKFLOWS:
        activity.hold(deployment_folder(ctx), ctx.execution_id)


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes from writing: the local profile's storage only keeps threads apart."""
    try:
        folder = deployment_folder(current_context) if runs_in_local_profile(current_context) else None
    except RuntimeError:  # a thread that an operation has started knows no context
        folder = None
    if folder is None:
        yield
        return
    path = folder / "properties.lock"
    what = "a change of runtime properties"
    with file_lock(path, what, wait_seconds=_WRITE_SECONDS, poll_seconds=0.01):
        yield


def runs_in_local_profile(ctx: Any) -> bool:
    """Tell whether Tier 2 is no manager, but the local profile of ``cfy``."""
    return bool(getattr(ctx, "_local", False))


def change_properties(instance: Any, change: Callable[[Properties], Outcome]) -> Outcome:
    """Read an instance's runtime properties afresh, change them, and store them at once.

    Several operations may do this to one instance at the same time (members that take from one pool, joins
    that report to one cluster): when another was faster, the change is made again on what it left.

    Args:
        instance: ``ctx.instance``, or that of a relationship's source or target.
        change: Changes the properties in place; it may be called more than once.

    Raises:
        TryAgainLater: Others kept being faster.
    """
    for _ in range(_MAX_CONFLICTS):
        with _alone():
            instance.refresh(force=True)
            outcome = change(instance.runtime_properties)
            try:
                instance.update()
            except StorageConflictError:
                continue
            except CloudifyClientError as error:
                if error.status_code != _HTTP_CONFLICT:
                    raise
                continue
        return outcome
    raise TryAgainLater(
        f"The runtime properties of {instance.id} were changed by others {_MAX_CONFLICTS} times in a row."
    )
