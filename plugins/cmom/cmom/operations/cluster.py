"""The cluster's node: started on its first member, joined and left by the others, looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from cmom import runtime
from cmom.errors import ActionRequired, CmomError
from cmom.models import Host
from cmom.operations.connections import (
    LEADER_SECONDS,
    WHOLE_UNINSTALL,
    cluster_of,
    common_version,
    hosts_of,
    member_records,
    member_sites,
    missing_members,
)
from cmom.operations.glue import change_properties, operation
from cmom.operations.snapshots import last_backup
from cmom.services.finishing import finish
from cmom.services.generations import generation_of
from cmom.services.healing.record import status_output
from cmom.services.status import ClusterStatus, Previous, summarise

# How long to look for a leader when the cluster is going anyway.
_FAREWELL_SECONDS = 10.0


@operation
def create(ctx: Any, **_: Any) -> None:
    """Bring the first member so far that a snapshot can be restored onto it, where that takes more."""
    with cluster_of(ctx, ctx) as cluster:
        if cluster.prepare():
            ctx.logger.info("The first manager serves.")


@operation
def start(ctx: Any, **_: Any) -> None:
    """Start the cluster on its first member; a cluster that is there already is left as it is."""
    with cluster_of(ctx, ctx) as cluster:
        first = hosts_of(member_records(ctx.instance))[0]
        if cluster.form():
            ctx.logger.info("The cluster is started on %s.", first.public_ip)


@operation
def join(ctx: Any, **_: Any) -> None:
    """Make one manager a member of the cluster."""
    host = _target_host(ctx)
    if host is None:
        raise ActionRequired(f"{ctx.target.instance.id} is not installed and cannot join the cluster.")
    with cluster_of(ctx, ctx.source) as cluster:
        if cluster.rejoin(host):
            ctx.logger.info("%s has joined the cluster.", host.public_ip)
    outcomes = finish_late(ctx, ctx.source.instance, ctx.target.node, host)

    def remember(stored: runtime.Properties) -> None:
        stored.pop(runtime.LEAVING, None)
        if outcomes is not None:
            stored[runtime.SCRIPTS] = outcomes

    change_properties(ctx.target.instance, remember)
    look(ctx, ctx.source)


def finish_late(ctx: Any, cluster: Any, manager: Any, host: Host) -> list[dict[str, Any]] | None:
    """Copy files and run scripts where the manager did not serve before it was a member.

    Args:
        ctx: The operation's context.
        cluster: The instance of the cluster's node.
        manager: The node of the manager.
        host: Its machine.

    Returns:
        How each script ended; None where that was done when the manager was installed.
    """
    version = common_version(member_records(cluster))
    if generation_of(version).serves_when_installed(manager.properties):
        return None
    with member_sites(ctx, cluster)(host, ctx.logger) as site:
        return [asdict(outcome) for outcome in finish(site)]


@operation
def leave(ctx: Any, **_: Any) -> None:
    """Make one manager leave the cluster, handing over leadership first if it leads.

    When the deployment goes as a whole, so does its cluster: then the leader is left alone, and a cluster
    that does not answer is nothing to wait for.
    """
    host = _target_host(ctx)
    if host is None:
        return
    if ctx.workflow_id == WHOLE_UNINSTALL:
        try:
            with cluster_of(ctx, ctx.source, leader_seconds=_FAREWELL_SECONDS) as cluster:
                cluster.say_farewell(host, survived=bool(ctx.target.node.properties["external_database"]))
        except CmomError as error:
            ctx.logger.info("%s goes with the cluster as a whole (%s)", host.public_ip, error)
        return
    with _leaving(ctx.target.instance), cluster_of(ctx, ctx.source, leader_seconds=LEADER_SECONDS) as cluster:
        changed = cluster.remove(host)
    if changed:
        ctx.logger.info("%s has left the cluster.", host.public_ip)
    is_last = len(member_records(ctx.source.instance)) == 1
    look(ctx, ctx.source, gone=None if is_last else host)


@contextmanager
def _leaving(manager: Any) -> Iterator[None]:
    """Note on a manager why it has not left, for the engine goes on after an ``unlink`` that failed.

    What is noted keeps `cmom.operations.manager.stop` from letting the machine go.
    """

    def note(reason: str) -> None:
        change_properties(manager, lambda stored: stored.update({runtime.LEAVING: reason}))

    note("it was interrupted while it left")
    try:
        yield
    except CmomError as error:
        note(str(error))
        raise
    change_properties(manager, lambda stored: stored.pop(runtime.LEAVING, None))


@operation
def delete(ctx: Any, **_: Any) -> None:
    """Forget the cluster."""
    change_properties(ctx.instance, lambda properties: properties.clear())


@operation
def get_status(ctx: Any, **_: Any) -> None:
    """Look at the cluster, within a bounded time, and leave what was seen in the runtime properties."""
    seen = look(ctx, ctx)
    ctx.logger.info("The cluster is %s.%s", seen.condition.value, f" {seen.reason}" if seen.reason else "")


def _target_host(ctx: Any) -> Host | None:
    return runtime.load_host(ctx.target.instance.runtime_properties)


def look(ctx: Any, subject: Any, gone: Host | None = None) -> ClusterStatus:
    """Collect the status, store it, and return it.

    Args:
        ctx: The operation's context.
        subject: Has the cluster's node and instance.
        gone: A member that has just left, and is installed still.
    """
    before = subject.instance.runtime_properties
    previous = Previous(before.get(runtime.STATUS) or {}, before.get(runtime.CLUSTER_IPS) or {})
    seen = _seen(ctx, subject, previous, gone)
    output = {**seen.status_output(), runtime.LAST_BACKUP: last_backup(ctx, subject)}

    def store(properties: runtime.Properties) -> None:
        properties[runtime.STATUS] = {**output, **status_output(properties, datetime.now(timezone.utc))}
        properties[runtime.CLUSTER_IPS] = seen.addresses_output()

    change_properties(subject.instance, store)
    return seen


def _seen(ctx: Any, subject: Any, previous: Previous, gone: Host | None) -> ClusterStatus:
    if not member_records(subject.instance):
        return summarise((), {}, previous, datetime.now(timezone.utc))
    wait_seconds = float(subject.node.properties["status_timeout_seconds"])
    with cluster_of(ctx, subject, missing=missing_members(subject.instance), gone=gone) as cluster:
        return cluster.status(previous, wait_seconds=wait_seconds)
