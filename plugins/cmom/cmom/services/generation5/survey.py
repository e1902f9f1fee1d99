"""Who is in a cluster, and how each one is, by the word of the managers that can tell. No I/O, no clock.

A manager whose REST service has just started says ``Fail`` of everything for 10 to 15 seconds, until its
Prometheus has looked at everybody: it also says so of itself, while it answers. So who does not see even
itself is not asked about others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cmom.clients.active_api import ClusterReport, ListedManager, NodeState
from cmom.clients.manager_status import ServiceState
from cmom.models import Member
from cmom.services.generation5.layout import Service

# What the services are called on the wire, in `Service`'s order.
KIND_OF = {Service.DATABASE: "db", Service.BROKER: "broker", Service.MANAGER: "manager"}


@dataclass(frozen=True)
class Word:
    """What one manager says of the cluster.

    Attributes:
        ip: Its private address.
        report: How everybody is.
        managers: Who is in the cluster.
        services: Its own services, where they were asked for.
    """

    ip: str
    report: ClusterReport
    managers: tuple[ListedManager, ...]
    services: tuple[ServiceState, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether it sees itself."""
        return any(node.ok for node in self.report.of("manager") if node.private_ip == self.ip)


def members_by(words: Iterable[Word]) -> tuple[Member, ...]:
    """Make one list of members of what all settled managers say.

    A node is well when any of them sees it well: it takes all to call it dead.

    Args:
        words: Of settled managers; at least one.
    """
    listed: dict[str, ListedManager] = {}
    well: dict[tuple[str, str], bool] = {}
    for word in words:
        listed.update({manager.private_ip: manager for manager in word.managers})
        for node in word.report.nodes:
            key = (node.private_ip, node.kind)
            well[key] = well.get(key, False) or node.ok
    return tuple(_member(manager, well) for manager in listed.values())


def _member(manager: ListedManager, well: Mapping[tuple[str, str], bool]) -> Member:
    checks = {
        service.value: well[manager.private_ip, kind]
        for service, kind in KIND_OF.items()
        if (manager.private_ip, kind) in well
    }
    return Member(
        name=manager.hostname,
        host_ip=manager.private_ip,
        public_ip=manager.public_ip,
        online=any(checks.values()),
        initialized=True,
        active=True,
        checks=checks,
    )


def merged_nodes(words: Sequence[Word]) -> tuple[NodeState, ...]:
    """Return every node once, as the manager sees it that sees it best."""
    best: dict[tuple[str, str], NodeState] = {}
    for word in words:
        for node in word.report.nodes:
            key = (node.kind, node.private_ip or node.name)
            if key not in best or (node.ok and not best[key].ok):
                best[key] = node
    return tuple(sorted(best.values(), key=lambda node: (list(KIND_OF.values()).index(node.kind), node.name)))
