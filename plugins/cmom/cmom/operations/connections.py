"""From node properties and runtime properties to what the services work with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from cloudify.manager import get_rest_client

from cmom.clients.probes import ssh_greeting
from cmom.clients.tier2 import Deployments, LocalDeployments, RestDeployments
from cmom.errors import ActionRequired
from cmom.models import Host, Version
from cmom.operations.access import manager_access, ssh_access
from cmom.operations.glue import runs_in_local_profile
from cmom.operations.sites import site_on
from cmom.runtime import ManagerRecord
from cmom.services.cluster_times import ClusterTimes
from cmom.services.generations import Cluster, ClusterSpec, OpenSite, Site, generation_of
from cmom.services.healing.record import journals
from cmom.services.locks import file_lock
from cmom.services.tier1 import Tier1, connect

__all__ = [
    "LEADER_SECONDS",
    "MEMBER_RELATIONSHIP",
    "cluster_of",
    "common_version",
    "hosts_of",
    "manager_access",
    "member_records",
    "missing_members",
    "ssh_access",
    "tier1_of",
    "tier2_deployments",
]

MEMBER_RELATIONSHIP = "cloudify.relationships.cmom.has_member"

_WHOLE_INSTALL = "install"
WHOLE_UNINSTALL = "uninstall"

# Longer than an election takes.
LEADER_SECONDS = 120.0


def member_records(cluster: Any) -> tuple[ManagerRecord, ...]:
    """Return what is known of the managers that a cluster's node instance is related to.

    Those that were never installed, or are deleted, have nothing to be known and are left out.
    """
    records = (
        ManagerRecord.load(relationship.target.instance.runtime_properties)
        for relationship in cluster.relationships
        if MEMBER_RELATIONSHIP in relationship.type_hierarchy
    )
    return tuple(record for record in records if record is not None)


def missing_members(cluster: Any) -> tuple[Host, ...]:
    """Return the machines of members that are being healed, and have no manager at present."""
    ids = {
        relationship.target.instance.id
        for relationship in cluster.relationships
        if MEMBER_RELATIONSHIP in relationship.type_hierarchy
    }
    installed = {host.ip for host in hosts_of(member_records(cluster))}
    return tuple(
        journal.host
        for journal in journals(cluster.runtime_properties)
        if journal.instance_id in ids and not installed & {journal.ip, journal.machine_ip}
    )


def member_sites(ctx: Any, cluster: Any) -> OpenSite:
    """Return what logs in to the machines of a cluster's members.

    All that takes the operation's context is read here: machines may be worked on by other threads, which
    have none.
    """
    known = _known_members(cluster)
    deployment_id = str(ctx.deployment.id)

    def open_site(host: Host, logger: logging.Logger) -> AbstractContextManager[Site]:
        if host.ip not in known:
            raise ActionRequired(f"No manager is installed on {host.ip}, so nothing can be done there.")
        record, properties = known[host.ip]
        return site_on(properties, record, logger, deployment_id, on_host_key=lambda _key: None)

    return open_site


def member_greetings(cluster: Any) -> Callable[[Host], bool]:
    """Return what tells whether a member's machine can be logged in to at this moment."""
    ports = {ip: int(properties["ssh_port"]) for ip, (_, properties) in _known_members(cluster).items()}
    return lambda host: host.ip in ports and bool(ssh_greeting(host.public_ip, ports[host.ip]))


def _known_members(cluster: Any) -> dict[str, tuple[ManagerRecord, dict[str, Any]]]:
    """Return what is recorded of the members, and the properties of their nodes, by address."""
    known: dict[str, tuple[ManagerRecord, dict[str, Any]]] = {}
    for relationship in cluster.relationships:
        if MEMBER_RELATIONSHIP in relationship.type_hierarchy:
            record = ManagerRecord.load(relationship.target.instance.runtime_properties)
            if record is not None:
                known[record.host.ip] = (record, dict(relationship.target.node.properties))
    return known


def hosts_of(records: Iterable[ManagerRecord]) -> tuple[Host, ...]:
    """Return the machines of some managers."""
    return tuple(record.host for record in records)


@contextmanager
def cluster_of(
    ctx: Any,
    subject: Any,
    *,
    leader_seconds: float = LEADER_SECONDS,
    at_most_seconds: float = float("inf"),
    missing: Iterable[Host] = (),
    gone: Host | None = None,
) -> Iterator[Cluster]:
    """Give the cluster whose node is `subject` (``ctx``, or a relationship's source).

    Only one operation of this deployment changes the membership at a time.

    Args:
        ctx: The operation's context.
        subject: Has the node and the instance of the cluster.
        leader_seconds: How long to look for a leader when one is needed.
        at_most_seconds: How long a start or a join is waited for, if that is less than the user says.
        missing: Members that are to be there and are not installed at present.
        gone: One that is installed and no member any more.

    Raises:
        ActionRequired: It has no managers, or they are of different versions.
    """
    properties = subject.node.properties
    records = member_records(subject.instance)
    version = common_version(records)
    timeout_seconds = float(properties["cluster_timeout_seconds"])

    def lock() -> AbstractContextManager[object]:
        path = Path(ctx.plugin.workdir) / "membership.lock"
        return file_lock(path, "a change of the cluster's membership", wait_seconds=timeout_seconds)

    times = ClusterTimes(
        poll_seconds=float(properties["poll_interval_seconds"]),
        form_seconds=min(timeout_seconds, at_most_seconds),
        online_seconds=min(timeout_seconds, at_most_seconds),
        leader_seconds=leader_seconds,
    )
    spec = ClusterSpec(
        hosts=(*(host for host in hosts_of(records) if host != gone), *missing),
        access=manager_access(properties),
        version=version,
        logger=ctx.logger,
        open_site=member_sites(ctx, subject.instance),
        greets=member_greetings(subject.instance),
        forming=ctx.workflow_id == _WHOLE_INSTALL,
        times=times,
        lock=lock,
    )
    cluster = generation_of(version).cluster(spec)
    try:
        yield cluster
    finally:
        cluster.close()


def common_version(records: Iterable[ManagerRecord]) -> Version:
    """Return the version that all managers of a cluster have.

    Raises:
        ActionRequired: There are none, or they are of different versions.
    """
    versions = {record.host.public_ip: record.manager_version for record in records}
    if not versions:
        raise ActionRequired("The cluster has no managers: none is installed.")
    if len(set(versions.values())) > 1:
        listed = ", ".join(f"{ip} has {version}" for ip, version in versions.items())
        raise ActionRequired(
            f"The members of one cluster must be of the same version, but {listed}. Uninstall those of the "
            "wrong version, and install them from the same RPM as the others."
        )
    return Version.parse(next(iter(versions.values())))


def tier1_of(subject: Any, logger: logging.Logger) -> Tier1:
    """Connect to the cluster whose node is `subject`, for what it holds and runs.

    Args:
        subject: ``ctx``, or a relationship's source or target.
        logger: Is told when another member leads; by whichever thread finds out.

    Raises:
        ActionRequired: It has no managers, or they are of different versions.
    """
    records = member_records(subject.instance)
    addresses = [host.public_ip for host in hosts_of(records)]
    return connect(addresses, manager_access(subject.node.properties), common_version(records), logger)


def tier2_deployments(ctx: Any) -> Deployments:
    """Return what tells of the other deployments of this Tier 2."""
    return LocalDeployments() if runs_in_local_profile(ctx) else RestDeployments(get_rest_client())
