"""Databases: etcd's members, and PostgreSQL under patroni with one leader.

A `DatabaseNode` is what a database run leaves on a machine; nodes of one configuration become a
`DatabaseCluster`, whose data lives as long as the cluster does.

As in the field: the members are those that the configuration lists, whether they came or not; the
cluster forms when a majority is there; it serves while a majority of the members is in touch, has a
leader, and (`synchronous_mode_strict`) a replica that is in step; a replica leads after
`database_failover_seconds` without a leader. Nothing runs in the background: whoever looks lets
first happen what was due.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.manager.host import Machine, Settings

if TYPE_CHECKING:
    from lab.manager.five.tables import ClusterData


@dataclass(frozen=True)
class DatabaseSecrets:
    """What has to be the same on every member."""

    cluster_token: str = field(repr=False)
    root_password: str = field(repr=False)
    patroni_password: str = field(repr=False)
    rest_password: str = field(repr=False)
    replicator_password: str = field(repr=False)
    postgres_password: str = field(repr=False)


@dataclass(eq=False)
class DatabaseNode:
    """A database on the disk of one machine.

    Attributes:
        address: What the configuration calls it; of a database alone its private address.
        nodes: The addresses of the cluster's members; empty for a database alone.
        authority: The CA its certificate is from, in DER.
        client_certificates: Whether it wants a certificate of whoever connects.
        apart: Why it never comes to its cluster; empty when it does.
        cluster: None until the cluster has formed.
        ready_at: When it has all data.
        running: False from the machine's death, or the service's stop, to the next start.
        off_since: When it stopped; None while it runs.
    """

    machine: Machine
    address: str
    nodes: tuple[str, ...]
    secrets: DatabaseSecrets
    authority: bytes
    client_certificates: bool = False
    apart: str = ""
    cluster: DatabaseCluster | None = None
    ready_at: float = 0.0
    running: bool = True
    off_since: float | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs and takes part."""
        return self.running and not self.apart

    def reaches(self, other: DatabaseNode) -> bool:
        """Whether the two run and can talk to each other."""
        if not (self.alive and other.alive):
            return False
        return self is other or self.machine.reachable_by_peer(other.machine)

    def power_off(self) -> None:
        """It stops; what it has stays on its disk."""
        if not self.running:
            return
        if self.cluster is not None:
            self.cluster.settle()
        self.running, self.off_since = False, self.machine.clock.now()

    def power_on(self) -> None:
        """It starts again; a replica has to catch up."""
        if self.running:
            return
        now = self.machine.clock.now()
        if self.cluster is not None:
            self.cluster.settle()
            if self.address not in self.cluster.members:
                self.apart = "it was removed from the cluster"
            elif self.cluster.leader != self.address:
                self.ready_at = now + Settings.of(self.machine).replicate_seconds
        self.running, self.off_since = True, None
        if self.cluster is None and self.nodes:
            form(self)


class DatabaseCluster:
    """The members, which of them leads, and the data.

    Args:
        first: The node that leads at first.
        members: The addresses of all members, also of those that have not come yet.
        ready_at: When it can be used.
    """

    def __init__(self, first: DatabaseNode, members: tuple[str, ...], ready_at: float) -> None:
        self.members: dict[str, DatabaseNode | None] = dict.fromkeys(members)
        self.secrets, self.authority = first.secrets, first.authority
        self.alone = not first.nodes
        self.leader: str = first.address
        self.data: ClusterData | None = None
        self._clock = first.machine.clock
        self._leaderless_since: float | None = None
        self._settings = first.machine
        self.take(first, ready_at)

    def take(self, node: DatabaseNode, ready_at: float) -> None:
        """A member has come, and has all data at `ready_at`."""
        self.members[node.address] = node
        node.cluster, node.ready_at = self, ready_at

    def nodes(self) -> list[DatabaseNode]:
        """The members that have ever come."""
        return [node for node in self.members.values() if node is not None]

    def quorate(self, node: DatabaseNode) -> bool:
        """Whether a node is in touch with a majority of the members, itself included."""
        return 2 * sum(node.reaches(other) for other in self.nodes()) > len(self.members)

    def settle(self) -> None:
        """Notice a leader that is gone, and let another one lead when it is time."""
        now = self._clock.now()
        leader = self.members.get(self.leader)
        if leader is not None and leader.alive and self.quorate(leader):
            self._leaderless_since = None
            return
        if self._leaderless_since is None:
            off = leader.off_since if leader is not None else None
            self._leaderless_since = now if off is None else off
        wait = Settings.of(self._settings).database_failover_seconds
        if now - self._leaderless_since < wait:
            return
        for node in self._replicas_before(self._leaderless_since):
            self.leader, self._leaderless_since = node.address, None
            return

    def _replicas_before(self, moment: float) -> list[DatabaseNode]:
        """Who may lead: in step when the leader was lost, and with a majority."""
        return [
            node
            for node in self.nodes()
            if node.address != self.leader and node.ready_at <= moment and self.quorate(node)
        ]

    def acting_leader(self) -> DatabaseNode | None:
        """The leader, if it is there, has a majority and has begun; None otherwise."""
        self.settle()
        node = self.members.get(self.leader)
        if node is None or not node.alive or node.ready_at > self._clock.now() or not self.quorate(node):
            return None
        return node

    def sync_replica(self) -> DatabaseNode | None:
        """The replica that every write waits for; None when there is none, and nothing can be written."""
        leader = self.acting_leader()
        if leader is None:
            return None
        now = self._clock.now()
        for node in self.nodes():
            if node is not leader and leader.reaches(node) and node.ready_at <= now:
                return node
        return None

    def serving(self) -> DatabaseNode | None:
        """The leader, if it can be written to."""
        if self.alone:
            return self.acting_leader()
        return self.acting_leader() if self.sync_replica() is not None else None

    def lead(self, address: str) -> None:
        """Let a member lead from now on."""
        self.settle()
        self.leader, self._leaderless_since = address, None

    def forget(self, address: str) -> None:
        """Remove a member."""
        self.settle()
        node = self.members.pop(address, None)
        if node is not None:
            node.apart = "it was removed from the cluster"


def peer_node(machine: Machine, address: str) -> DatabaseNode | None:
    """The database at an address, as a machine sees it; None when it does not answer."""
    node = _node_at(machine, address)
    if node is None or not node.running:
        return None
    if node.machine is not machine and not machine.reachable_by_peer(node.machine):
        return None
    return node


def cluster_of(node: DatabaseNode) -> DatabaseCluster | None:
    """The cluster of a node, formed now if that has become possible; None when it has none."""
    if node.cluster is None and node.nodes and node.alive:
        form(node)
    return node.cluster


def _node_at(machine: Machine, address: str) -> DatabaseNode | None:
    if address in (machine.ip, machine.public_ip, machine.hostname, "localhost", "127.0.0.1"):
        return machine.backing.database
    other: Any = machine.find_peer(address)
    return None if other is None else other.backing.database


def form(node: DatabaseNode) -> None:
    """Form the cluster, or come to the one that a majority has formed, as far as it is possible now."""
    peers = [peer_node(node.machine, address) for address in node.nodes if address != node.address]
    settings, now = Settings.of(node.machine), node.machine.clock.now()
    there = [
        one
        for one in peers
        if one is not None
        and not one.apart
        and (one.secrets, one.authority) == (node.secrets, node.authority)
    ]
    formed = [peer.cluster for peer in there if peer.cluster is not None]
    for cluster in formed:
        if cluster.members.get(node.address, node) is None:
            # Listed from the start, and here at last.
            cluster.take(node, now + settings.replicate_seconds)
            return
    if formed:
        return
    came = [*there, node]
    if 2 * len(came) <= len(node.nodes):
        return
    cluster = DatabaseCluster(came[0], node.nodes, now + settings.database_form_seconds)
    for one in came[1:]:
        cluster.take(one, now + settings.database_form_seconds)
