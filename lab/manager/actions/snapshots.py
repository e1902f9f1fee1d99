"""Making a snapshot, and restoring one: executions that have the whole manager for themselves."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.manager import snapshot_content
from lab.manager.engine import Run
from lab.manager.exceptions import (
    ExistingRunningExecutionError,
    IllegalActionError,
    SnapshotActionError,
)
from lab.manager.generation import parse_version
from lab.manager.stores.executions import Execution
from lab.manager.stores.snapshots import Snapshot
from lab.manager.stores.tenants import check_identifier

if TYPE_CHECKING:
    from lab.manager.models import Manager

CREATE = "create_snapshot"
RESTORE = "restore_snapshot"
_AT_ONCE_BYTES = 1 << 20


@dataclass(frozen=True)
class CreateRequest:
    """What `PUT /snapshots/ID` asks for."""

    snapshot_id: str
    tenant: str
    user: str
    visibility: str = "private"
    include_events: bool = True
    include_logs: bool = True
    queue: bool = False


def create(manager: Manager, request: CreateRequest) -> Execution:
    """Begin to make a snapshot of everything.

    Raises:
        ConflictError: There is one of this name.
        ExistingRunningExecutionError: Something runs, and it is not to wait.
    """
    database, now, settings = manager.database, manager.now(), manager.settings
    check_identifier(request.snapshot_id, "snapshot_id")
    database.snapshots.check_free(request.tenant, request.snapshot_id)
    execution = _execution(
        manager,
        request.tenant,
        request.user,
        CREATE,
        {
            "snapshot_id": request.snapshot_id,
            "include_events": request.include_events,
            "include_logs": request.include_logs,
        },
    )
    snapshot = Snapshot(
        request.snapshot_id,
        request.tenant,
        request.visibility,
        request.user,
        now,
        execution_id=execution.id,
    )
    run = Run(
        settings.execution_pending_seconds,
        settings.snapshot_seconds,
        settings.snapshot_linger_seconds,
        cancel_seconds=settings.cancel_seconds,
    )
    _refuse_if_busy(manager, execution, request.queue)
    writing = _Writing()

    def effect(at: float) -> str | None:
        if writing.failure is not None:
            return writing.failure
        snapshot.status = "created"
        manager.replicate_files()
        return None

    def ready() -> bool:
        if not writing.begun and not run.error:
            writing.begin(manager, snapshot, request)
        return writing.task is None or writing.task.done()

    def failure(error: str, at: float) -> None:
        snapshot.status, snapshot.error = "failed", error

    run.effect, run.ready, run.failure = effect, ready, failure
    database.engine.apply_script(run, database.engine.script_for(CREATE, None))
    database.engine.submit(execution, run, now=now, queue=request.queue)
    database.snapshots.add(snapshot)
    return execution


class _Writing:
    """The archive on its way to the disk: a small one at once, a large one in a thread."""

    def __init__(self) -> None:
        self.begun = False
        self.task: asyncio.Task[None] | None = None
        self.failure: str | None = None

    def begin(self, manager: Manager, snapshot: Snapshot, request: CreateRequest) -> None:
        """Take down what there is, and write it."""
        self.begun = True
        taken = snapshot_content.capture(
            manager.database,
            manager.version,
            include_events=request.include_events,
            include_logs=request.include_logs,
        )
        padding = manager.settings.snapshot_padding_bytes
        target = manager.files.path(snapshot.file)
        if snapshot_content.size_of(taken, manager.files, padding) > _AT_ONCE_BYTES:
            self.task = asyncio.get_running_loop().create_task(self._write(taken, manager, target, padding))
            return
        snapshot_content.write(taken, manager.files, target, padding)

    async def _write(
        self, taken: snapshot_content.Capture, manager: Manager, target: Any, padding: int
    ) -> None:
        try:
            await asyncio.to_thread(snapshot_content.write, taken, manager.files, target, padding)
        except OSError as error:
            self.failure = f"Failed to write the snapshot: {error.strerror}"


@dataclass(frozen=True)
class RestoreRequest:
    """What `POST /snapshots/ID/restore` asks for."""

    snapshot: Snapshot
    tenant: str
    user: str
    force: bool = False
    parameters: dict[str, Any] | None = None


def restore(manager: Manager, request: RestoreRequest) -> Execution:
    """Begin to replace everything by a snapshot.

    Raises:
        IllegalActionError: The cluster has more than one node (generation 4).
        SnapshotActionError: The snapshot is not whole.
        ExistingRunningExecutionError: Something runs; generation 5 leaves a `pending` execution
            behind that everything after it waits for.
    """
    database, now, settings = manager.database, manager.now(), manager.settings
    cluster = manager.seat.cluster
    if cluster is not None and len(cluster.nodes) > 1:
        raise IllegalActionError("Cannot restore a snapshot on a cluster with more than one node")
    snapshot = request.snapshot
    if snapshot.status not in ("created", "uploaded"):
        raise SnapshotActionError(
            f"Snapshot {snapshot.id} cannot be restored: it is in status {snapshot.status}"
        )
    execution = _execution(
        manager,
        request.tenant,
        request.user,
        RESTORE,
        {
            "snapshot_id": snapshot.id,
            "force": request.force,
            **(request.parameters or {}),
        },
    )
    try:
        _refuse_if_busy(manager, execution, queue=False)
    except ExistingRunningExecutionError:
        if manager.traits.leaves_pending_restore:
            database.engine.leave_pending(execution)
        raise
    run = Run(settings.execution_pending_seconds, settings.restore_seconds)

    def effect(at: float) -> str | None:
        return _put_back(manager, request, at)

    run.effect = effect
    database.engine.apply_script(run, database.engine.script_for(RESTORE, None))
    return database.engine.submit(execution, run, now=now, queue=False)


def _put_back(manager: Manager, request: RestoreRequest, now: float) -> str | None:
    database = manager.database
    dirty = [kind.kind for kind in (database.blueprints, database.plugins, database.deployments) if len(kind)]
    if dirty and not request.force:
        return (
            "Snapshot restoration on a dirty manager is not permitted "
            f"(found: {', '.join(dirty)}). Use the force flag to restore anyway"
        )
    try:
        taken = snapshot_content.read(manager.files.path(request.snapshot.file), manager.files)
    except snapshot_content.BadSnapshot as error:
        return str(error)
    if parse_version(taken.version) > parse_version(manager.version):
        return (
            f"Cannot restore a newer manager's snapshot on this manager [{taken.version} > {manager.version}]"
        )
    snapshot_content.put_back(taken, database, now)
    manager.outage_until = now + manager.settings.restore_outage_seconds
    return None


def check_deletable(manager: Manager, snapshot: Snapshot) -> None:
    """Refuse to delete a snapshot that an execution is still busy with.

    Raises:
        SnapshotActionError: One is.
    """
    for execution in manager.database.executions.active():
        named = execution.parameters.get("snapshot_id")
        if execution.workflow_id in (CREATE, RESTORE) and named == snapshot.id:
            raise SnapshotActionError(
                f"Snapshot {snapshot.id} cannot be deleted: execution {execution.id} "
                f"({execution.workflow_id}) is still running"
            )


def _refuse_if_busy(manager: Manager, execution: Execution, queue: bool) -> None:
    running = manager.database.engine.blocking(execution)
    if running and not queue:
        raise ExistingRunningExecutionError(
            f"You cannot start an execution of {execution.workflow_id} since there are running "
            f"executions: {', '.join(e.id for e in running)}"
        )


def _execution(
    manager: Manager, tenant: str, user: str, workflow_id: str, parameters: dict[str, Any]
) -> Execution:
    return Execution(
        str(uuid.uuid4()),
        tenant,
        "tenant",
        user,
        manager.now(),
        workflow_id=workflow_id,
        parameters=parameters,
        is_system_workflow=True,
        alone=True,
    )
