"""Backups of the cluster, what is restored onto it, and the agents that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cmom import runtime
from cmom.errors import CmomError
from cmom.operations.connections import (
    common_version,
    hosts_of,
    manager_access,
    member_records,
    tier1_of,
    tier2_deployments,
)
from cmom.operations.glue import change_properties, operation
from cmom.runtime import BackupRecord, RestoreRecord
from cmom.services.agent_report import AgentOutcome, AgentRow, load_rows, summary, table
from cmom.services.agents import AgentMover
from cmom.services.deployed import find_cluster
from cmom.services.relay import Relay
from cmom.services.snapshots import overview
from cmom.services.snapshots.backup import BackupSettings, SnapshotTaker, utc_now
from cmom.services.snapshots.creation import CreationTimes
from cmom.services.snapshots.initial import InitialRestore
from cmom.services.snapshots.requests import BackupRequest, RestoreRequest, meaningless
from cmom.services.snapshots.restore_patience import RestoreTimes
from cmom.services.snapshots.source import chosen_path
from cmom.services.snapshots.store import SnapshotStore, StoredSnapshot
from cmom.services.snapshots.verification import Verifier, raise_if_rotten
from cmom.services.tier1 import Tier1, connect
from cmom.services.validation.snapshots import RESTORE_INPUTS, parse_backup, parse_restore

_BACKUP_PARAMETERS = ("snapshot_id", "backup_params")


@operation
def backup(ctx: Any, **inputs: Any) -> None:
    """Take a verified snapshot of the cluster."""
    request = parse_backup({name: inputs.get(name) for name in _BACKUP_PARAMETERS})
    with tier1_of(ctx, ctx.logger) as tier1:
        take_backup(ctx, ctx, tier1, store_of(ctx, ctx), request)
    publish(ctx, ctx)


@operation
def verify_backups(ctx: Any, **_: Any) -> None:
    """Hash all snapshots of this deployment again, and fail when one is not what it was."""
    store = store_of(ctx, ctx)
    problems = Verifier(store, ctx.logger).verify()
    publish(ctx, ctx)
    raise_if_rotten(problems, store)
    ctx.logger.info("All snapshots in %s are what they were.", store.folder)


@operation
def list_backups(ctx: Any, **_: Any) -> None:
    """Show the snapshots of this deployment."""
    publish(ctx, ctx)
    store = store_of(ctx, ctx)
    snapshots = store.all()
    if not snapshots:
        ctx.logger.info("There are no snapshots in %s.", store.folder)
        return
    ctx.logger.info("Snapshots in %s:\n%s", store.folder, overview.table(snapshots, utc_now()))


@operation
def restore(ctx: Any, **_: Any) -> None:
    """Restore a snapshot onto the first member, before there is a cluster; at most once."""
    properties = ctx.node.properties
    request = parse_restore({name: properties[name] for name in RESTORE_INPUTS})
    if request is None:
        return
    records = member_records(ctx.instance)
    version = common_version(records)
    initial = InitialRestore(
        hosts_of(records),
        manager_access(properties),
        version,
        ctx.logger,
        choose=lambda wanted: _choose(ctx, wanted),
        remember=lambda record: change_properties(ctx.instance, record.store),
        times=_restore_times(properties),
    )
    if initial.ensure_restored(request, RestoreRecord.load(ctx.instance.runtime_properties)):
        for warning in meaningless(request.parameters, version.generation):
            ctx.logger.warning("restore_params: %s", warning)


@operation
def move_agents(ctx: Any, **_: Any) -> None:
    """Move the agents of what was restored; it runs when all members have joined."""
    if ctx.source.node.properties["restore"] and ctx.source.node.properties["transfer_agents"]:
        _move_agents(ctx, ctx.target)


@operation
def transfer_agents(ctx: Any, **_: Any) -> None:
    """Move the agents of all deployments whose agents were not moved yet."""
    _move_agents(ctx, ctx)


def _move_agents(ctx: Any, subject: Any) -> None:
    """Do it for the cluster whose node is `subject`, and leave the report in its runtime properties."""
    relay = Relay(ctx.logger)

    def remember(rows: Sequence[AgentRow]) -> None:
        listed = [row.as_plain_data() for row in rows]
        change_properties(subject.instance, lambda stored: stored.update({runtime.AGENTS: listed}))

    with tier1_of(subject, relay) as tier1:
        mover = AgentMover(tier1, relay, remember=remember)
        rows = mover.move(load_rows(subject.instance.runtime_properties.get(runtime.AGENTS)))
    if not rows:
        ctx.logger.info("There are no deployments whose agents could be moved.")
        return
    ctx.logger.info("Agents: %s\n%s", summary(rows), table(rows))
    failed = [row for row in rows if row.outcome is AgentOutcome.FAILED]
    if failed:
        ctx.logger.error(
            "The agents of %d deployments still work for the old managers. Mend what the reasons name, and "
            "run the "
            "workflow transfer_agents; keep the old cluster until then.",
            len(failed),
        )


def _choose(ctx: Any, request: RestoreRequest) -> Path:
    """Return the file to restore; a new backup of the old cluster if that is what is wanted."""
    path = chosen_path(request, Path(ctx.node.properties["snapshots_path"]))
    if path is not None:
        return path
    old = find_cluster(tier2_deployments(ctx), request.old_deployment_id or "")
    ctx.logger.info("Taking a backup of deployment %s.", old.deployment_id)
    addresses = [host.public_ip for host in old.hosts]
    with connect(addresses, old.access, old.version, ctx.logger) as tier1:
        store = store_of(ctx, ctx, old.deployment_id)
        # How many are kept of the old one is not for the new one to say.
        return take_backup(ctx, ctx, tier1, store, BackupRequest(), keep_snapshots=0).path


def _restore_times(properties: Mapping[str, Any]) -> RestoreTimes:
    timeout_seconds = float(properties["snapshot_timeout_seconds"])
    return RestoreTimes(
        poll_seconds=float(properties["poll_interval_seconds"]),
        busy_seconds=timeout_seconds,
        restore_seconds=timeout_seconds,
    )


def store_of(ctx: Any, subject: Any, deployment_id: str | None = None) -> SnapshotStore:
    """Return where the snapshots of a deployment lie; by default those of this one."""
    base = Path(subject.node.properties["snapshots_path"])
    return SnapshotStore(base, deployment_id or ctx.deployment.id, ctx.tenant_name or "")


def take_backup(
    ctx: Any,
    subject: Any,
    tier1: Tier1,
    store: SnapshotStore,
    request: BackupRequest,
    *,
    times: CreationTimes | None = None,
    keep_snapshots: int | None = None,
) -> StoredSnapshot:
    """Take a backup of a cluster; what is under way is kept on the cluster's node instance.

    Args:
        ctx: Of the operation.
        subject: Has the node and instance of the cluster whose settings apply.
        tier1: The cluster.
        store: Where its snapshots lie.
        request: What is wanted.
        times: Bounds other than those of an ordinary backup.
        keep_snapshots: Instead of the cluster's own.
    """
    properties = subject.node.properties
    timeout_seconds = float(properties["snapshot_timeout_seconds"])
    ordinary = CreationTimes(
        poll_seconds=float(properties["poll_interval_seconds"]),
        busy_seconds=timeout_seconds,
        create_seconds=timeout_seconds,
    )
    settings = BackupSettings(
        keep_snapshots=int(properties["keep_snapshots"]) if keep_snapshots is None else keep_snapshots,
        keep_on_tier1=bool(properties["keep_on_tier1"]),
        lock_seconds=timeout_seconds,
        times=times or ordinary,
    )

    def remember(record: BackupRecord | None) -> None:
        change_properties(subject.instance, lambda stored: BackupRecord.store(stored, record))

    taker = SnapshotTaker(
        tier1, store, ctx.logger, execution_id=ctx.execution_id, remember=remember, settings=settings
    )
    return taker.take(request, BackupRecord.load(subject.instance.runtime_properties))


def last_backup(ctx: Any, subject: Any) -> dict[str, Any] | None:
    """Return what the status says of the last verified snapshot; None when there is none that we can see."""
    try:
        return overview.last_verified(store_of(ctx, subject).newest_trusted(), utc_now())
    except CmomError as error:
        ctx.logger.warning("%s", error)
        return None


def publish(ctx: Any, subject: Any) -> None:
    """Leave in the runtime properties what there is of snapshots; outputs read it from there."""
    store = store_of(ctx, subject)
    snapshots, now = store.all(), utc_now()
    rows = overview.as_plain_data(snapshots, now)
    last = overview.last_verified(store.newest_trusted(), now)

    def change(stored: runtime.Properties) -> None:
        stored[runtime.BACKUPS] = rows
        status = stored.get(runtime.STATUS)
        if isinstance(status, Mapping):
            stored[runtime.STATUS] = {**status, runtime.LAST_BACKUP: last}

    change_properties(subject.instance, change)
