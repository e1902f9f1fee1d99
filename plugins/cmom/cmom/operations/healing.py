"""The steps of a heal that the cluster has to do with: removed, backed up, rejoined, told.

Each is journaled on the cluster's node instance, and can be run again from any point.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmom.errors import ActionRequired, CameBack, CmomError, TryAgainLater
from cmom.models import Host
from cmom.operations.cluster import finish_late, look
from cmom.operations.connections import (
    LEADER_SECONDS,
    cluster_of,
    common_version,
    hosts_of,
    manager_access,
    member_records,
)
from cmom.operations.glue import change_properties, operation
from cmom.operations.heal_journal import (
    change_record,
    installed_manager,
    manager_relationships,
    utc_now,
)
from cmom.operations.snapshots import publish, store_of
from cmom.runtime import BackupRecord
from cmom.services.healing import evidence, notes, record
from cmom.services.healing.backup import PrecautionSettings, RunningOutClock, take_precaution
from cmom.services.healing.journal import Journal
from cmom.services.healing.situation import Phase
from cmom.services.tier1 import Tier1, connect
from cmom.services.waiting import wait_for

# All members are asked once, again and again.
_LOOK_SECONDS = 0.0
# Then it is seen to that the new machine lives, and the join goes on.
JOIN_SECONDS = 180.0


@operation
def remove(ctx: Any, node_instance_id: str, **_: Any) -> None:
    """Take the member out of the cluster, so that it can join it again; one that has come back stays."""
    journal = _journal(ctx, node_instance_id)
    with cluster_of(ctx, ctx, leader_seconds=LEADER_SECONDS) as cluster:
        try:
            removed = cluster.remove(journal.host, dead=True)
        except CameBack as error:
            ctx.logger.info("%s", error)
            _advance(ctx, node_instance_id, phase=Phase.REJOINED, machine="came back by itself")
            return
        if removed:
            ctx.logger.info("%s is removed from the cluster.", journal.name)
    _advance(ctx, node_instance_id, phase=Phase.REMOVED)


@operation
def backup(ctx: Any, node_instance_id: str, **_: Any) -> None:
    """Take a snapshot as a precaution; the heal goes on without one."""
    properties = ctx.node.properties

    def connect_to_survivors(clock: RunningOutClock) -> Tier1:
        records = member_records(ctx.instance)
        dead = _journal(ctx, node_instance_id).public_ip
        addresses = [host.public_ip for host in hosts_of(records) if host.public_ip != dead]
        return connect(
            addresses, manager_access(properties), common_version(records), ctx.logger, clock=clock
        )

    def remember(under_way: BackupRecord | None) -> None:
        change_properties(ctx.instance, lambda stored: BackupRecord.store(stored, under_way))

    outcome = take_precaution(
        connect_to_survivors,
        store_of(ctx, ctx),
        ctx.logger,
        execution_id=ctx.execution_id,
        remember=remember,
        before=BackupRecord.load(ctx.instance.runtime_properties),
        settings=PrecautionSettings(
            timeout_seconds=float(properties["heal_backup_timeout_seconds"]),
            poll_seconds=float(properties["poll_interval_seconds"]),
            keep_snapshots=int(properties["keep_snapshots"]),
            keep_on_tier1=bool(properties["keep_on_tier1"]),
        ),
        now=utc_now(),
    )
    _advance(ctx, node_instance_id, phase=Phase.BACKED_UP, backup=outcome)
    try:
        publish(ctx, ctx)
    except (CmomError, OSError) as error:
        ctx.logger.warning("The list of snapshots could not be renewed: %s", error)


@operation
def note(ctx: Any, node_instance_id: str, changes: Mapping[str, Any], **_: Any) -> None:
    """Note in the journal what the workflow has done.

    Args:
        ctx: The context.
        node_instance_id: Of the manager.
        changes: Fields of the `Journal`.
    """
    known = dict(changes)
    if "phase" in known:
        known["phase"] = Phase(known["phase"])
    _advance(ctx, node_instance_id, **known)


@operation
def settle(ctx: Any, node_instance_id: str, step: str, **_: Any) -> None:
    """Wait for some time whether something gentler than a rebuild has brought the member back."""
    journal = _journal(ctx, node_instance_id)
    interval_seconds = float(ctx.node.properties["poll_interval_seconds"])
    with cluster_of(ctx, ctx, leader_seconds=_LOOK_SECONDS) as cluster:

        def is_whole() -> bool:
            return any(member.healthy for member in cluster.members() if member.host_ip == journal.ip)

        try:
            wait_for(
                is_whole,
                f"{journal.name} to be back",
                wait_seconds=float(ctx.node.properties["heal_wait_seconds"]),
                interval_seconds=interval_seconds,
            )
        except TryAgainLater as error:
            ctx.logger.info("After %s: %s", step, error)
            _advance(ctx, node_instance_id, tried=(*journal.tried, step))
            return
    _advance(ctx, node_instance_id, phase=Phase.REJOINED, machine=f"came back after {step}")


@operation
def rejoin(ctx: Any, node_instance_id: str, **_: Any) -> None:
    """Make the new manager a member of the cluster."""
    found = installed_manager(ctx, node_instance_id)
    if found is None:
        raise ActionRequired(f"{node_instance_id} is not installed and cannot join the cluster.")
    manager = manager_relationships(ctx)[node_instance_id].target.node
    try:
        with cluster_of(ctx, ctx, at_most_seconds=JOIN_SECONDS) as cluster:
            if cluster.rejoin(found.host):
                ctx.logger.info("%s has joined the cluster again.", record.name_of(found.host))
        finish_late(ctx, ctx.instance, manager, found.host)
    except TryAgainLater as error:
        _demand_alive(ctx, found.host, int(manager.properties["ssh_port"]), error)
        raise
    _advance(ctx, node_instance_id, phase=Phase.REJOINED)


def _demand_alive(ctx: Any, host: Host, ssh_port: int, error: TryAgainLater) -> None:
    """Give up where a repetition is in vain: the machine that was made anew has died, too.

    Raises:
        ActionRequired: It shows no sign of life, and its peers do not see it either.
    """
    if evidence.signs_of_life(host, ssh_port, int(ctx.node.properties["rest_port"])).alive:
        return
    with cluster_of(ctx, ctx, leader_seconds=_LOOK_SECONDS) as cluster:
        members = evidence.ask_cluster(cluster).members
    if members is None or any(member.online for member in members if member.host_ip == host.ip):
        return
    raise ActionRequired(
        f"{record.name_of(host)} has died while it joined the cluster; the next heal begins with it. {error}"
    ) from error


@operation
def finish(ctx: Any, node_instance_id: str, **_: Any) -> None:
    """Close the journal, look at the cluster once more, and say what is left for people to do."""
    journal = _journal(ctx, node_instance_id)
    outcome = "healed" if journal.machine_ip or Phase.REINSTALLED.value in journal.reached else "recovered"
    seen = look(ctx, ctx)
    change_record(ctx, lambda stored: record.end_well(stored, node_instance_id, utc_now(), outcome))
    for line in notes.after_heal(journal, seen.leader_ip, outcome):
        ctx.logger.info("%s", line)


@operation
def fail(ctx: Any, node_instance_id: str, error: str, **_: Any) -> None:
    """Note that the heal failed; the next one goes on from what it has done."""
    if record.journal_of(ctx.instance.runtime_properties, node_instance_id) is None:
        return
    journal = change_record(ctx, lambda stored: record.fail(stored, node_instance_id, error, utc_now()))
    ctx.logger.error("The heal of %s failed after it was %s: %s", journal.name, journal.phase.value, error)


def _advance(ctx: Any, instance_id: str, **changes: Any) -> None:
    change_record(ctx, lambda stored: record.advance(stored, instance_id, utc_now(), **changes))


def _journal(ctx: Any, instance_id: str) -> Journal:
    found = record.journal_of(ctx.instance.runtime_properties, instance_id)
    if found is None:
        raise ActionRequired(
            f"The journal of the heal of {instance_id} is gone: somebody else has ended it. Start the heal "
            "again."
        )
    return found
