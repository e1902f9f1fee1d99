"""The cluster of generation 4: one leader, replicas, and who becomes leader when it dies.

What the wire calls things: the leader is `master`, a member is a `node`. How a manager comes to be
one is told by its `lab.manager.seat`.

Choices where the real thing is more complicated:

- There is no quorum: of two members, the one that is left becomes leader, as in 4.x. The leader
  counts as dead when it is off, or cut off from every other living member; after
  `election_seconds` the living replica that joined first and has replicated becomes leader.
- There is never more than one leader. One that was cut off answers until its replacement is
  elected, and as a replica from then on; what was written to it meanwhile is kept.
- A leader that comes back before anybody was elected is leader again; one that comes back later
  is a replica, online after `replicate_seconds`.
- Nothing runs in the background: whoever asks a member lets first happen what was due. A death by
  power cut counts from the cut, a partition from the first time anybody asked.
"""

from __future__ import annotations

import enum
import secrets
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.manager.exceptions import (
    ConflictError,
    IllegalActionError,
    NotFoundError,
)

if TYPE_CHECKING:
    from lab.manager.models import Manager

_CLUSTERS: weakref.WeakValueDictionary[str, Cluster] = weakref.WeakValueDictionary()
"""Clusters by the token in their nodes' credentials: how a joining manager finds its cluster."""


class SeatState(enum.Enum):
    """Where a manager stands with clusters."""

    NONE = "none"
    INITIALISING = "initialising"
    JOINING = "joining"
    MEMBER = "member"
    REMOVED = "removed"


@dataclass
class Node:
    """A member, or one that is expected to join.

    Attributes:
        manager: Who sits here; None until it has joined.
        online_at: When its replication has caught up; None until it has joined.
        missed_since: Since when it cannot be reached; None while it can.
        synced: Whether it has the leader's files.
    """

    name: str
    host_ip: str
    public_ip: str
    secret: str
    options: dict[str, Any] = field(default_factory=dict)
    manager: Manager | None = None
    online_at: float | None = None
    missed_since: float | None = None
    synced: bool = False

    def reaches(self, other: Node) -> bool:
        """Whether the two run and can talk to each other."""
        mine, theirs = self.manager, other.manager
        if mine is None or theirs is None or not (mine.running and theirs.running):
            return False
        return mine is theirs or mine.machine.reachable_by_peer(theirs.machine)


class Cluster:
    """The members, in the order they came, and which of them leads."""

    def __init__(self, first: Manager, node_name: str, options: dict[str, Any]) -> None:
        self.token = secrets.token_hex(16)
        self.version = first.version
        self.database = first.database
        node = Node(
            node_name,
            first.configuration.private_ip,
            first.configuration.public_ip,
            secrets.token_hex(8),
            options,
            manager=first,
            online_at=first.now(),
        )
        self.nodes: dict[str, Node] = {node_name: node}
        self.leader = node_name
        self.joining: list[Manager] = []
        self._next_leader: tuple[float, str] | None = None
        self._had_contact = False
        _CLUSTERS[self.token] = self

    @staticmethod
    def find(token: object) -> Cluster | None:
        """The cluster that handed out these credentials."""
        return _CLUSTERS.get(token) if isinstance(token, str) else None

    def settle(self, now: float) -> None:
        """Notice who is gone, and let the elections happen that were due until `now`."""
        for manager in [m for m in self.joining if m.seat.state is SeatState.JOINING]:
            manager.seat.settle(now)
        self.joining = [m for m in self.joining if m.seat.state is SeatState.JOINING]
        self._observe(now)
        if self._next_leader is not None and self._next_leader[0] <= now:
            name = self._next_leader[1]
            self._next_leader = None
            if name in self.nodes and self.is_online(self.nodes[name], now):
                self._lead(name)
        self._catch_up(now)
        leader = self.nodes[self.leader]
        if leader.missed_since is None or leader.manager is None:
            return
        if now - leader.missed_since >= leader.manager.settings.election_seconds:
            self._elect(leader.missed_since)
            self._observe(now)

    def _observe(self, now: float) -> None:
        leader = self.nodes[self.leader]
        alive = [n for n in self.nodes.values() if n.manager is not None and n.manager.running]
        others = [n for n in alive if n is not leader]
        for node in self.nodes.values():
            if node.manager is None:
                continue
            if node is leader:
                contact = any(node.reaches(n) for n in others)
                self._had_contact = self._had_contact or contact
                # Who was elected while it was alone goes on alone, or two would depose each
                # other for ever.
                there = node in alive and (contact or not others or not self._had_contact)
            else:
                there = leader.reaches(node) or (leader not in alive and node in alive)
            if there:
                node.missed_since = None
            elif node.missed_since is None:
                off = node.manager.off_since
                node.missed_since = now if off is None else min(now, off)

    def _catch_up(self, now: float) -> None:
        late = [
            node
            for node in self.nodes.values()
            if not node.synced and node.name != self.leader and self.is_online(node, now)
        ]
        for node in late:
            node.synced = True
        if late:
            self.replicate_files()

    def replicate_files(self) -> None:
        """Carry the leader's files to every replica that is there."""
        leader = self.nodes[self.leader]
        for node in self.nodes.values():
            if node is leader or not node.synced or leader.manager is None or node.manager is None:
                continue
            if leader.reaches(node):
                leader.manager.files.mirror(node.manager.files)
            else:
                node.synced = False

    def _elect(self, dead_since: float) -> None:
        leader = self.nodes[self.leader]
        for node in self.nodes.values():
            if node is leader or node.manager is None or not node.manager.running:
                continue
            if node.online_at is not None and node.online_at <= dead_since:
                self._lead(node.name)
                return

    def _lead(self, name: str) -> None:
        self.leader, self._had_contact = name, False

    def is_online(self, node: Node, now: float) -> bool:
        """Whether the leader shows this node as online: there, and replicated."""
        if node.manager is None or node.online_at is None or node.online_at > now:
            return False
        if node.missed_since is None:
            return True
        return now - node.missed_since < node.manager.settings.offline_seconds

    def checks(self, node: Node, now: float) -> dict[str, bool]:
        """What the leader says about a node's parts; nothing before it has joined."""
        if node.manager is None:
            return {}
        there = node.missed_since is None or (now - node.missed_since < node.manager.settings.offline_seconds)
        return {
            "consul": there,
            "services": there,
            "database": self.is_online(node, now),
            "heartbeat": there,
        }

    def get(self, name: str) -> Node:
        """The node of this name.

        Raises:
            NotFoundError: There is none.
        """
        try:
            return self.nodes[name]
        except KeyError:
            raise NotFoundError(f"Node {name} is not part of the cluster") from None

    def add(self, name: str, host_ip: str, public_ip: str, options: dict[str, Any]) -> Node:
        """Expect a manager to join under this name.

        Raises:
            ConflictError: The name or the address is taken, even by a node that is gone.
        """
        for node in self.nodes.values():
            if node.name == name or node.host_ip == host_ip:
                raise ConflictError(
                    f"A node named {node.name} with the address {node.host_ip} is already part "
                    "of the cluster. Remove it first"
                )
        node = Node(name, host_ip, public_ip, secrets.token_hex(8), options)
        self.nodes[name] = node
        return node

    def remove(self, name: str, now: float) -> Node:
        """Take a node out of the cluster.

        Raises:
            IllegalActionError: It is the leader.
        """
        node = self.get(name)
        if name == self.leader:
            raise IllegalActionError(f"Node {name} is the cluster master. Make another node the master first")
        del self.nodes[name]
        if node.manager is not None:
            node.manager.seat.leave(now)
        return node

    def set_active(self, name: str, now: float) -> None:
        """Let another online node lead, after `election_seconds`.

        Raises:
            IllegalActionError: It is not online.
        """
        node = self.get(name)
        if name == self.leader:
            return
        if node.manager is None or not self.is_online(node, now):
            raise IllegalActionError(f"Node {name} is not online and cannot become the master")
        self._next_leader = (now + node.manager.settings.election_seconds, name)
        self.settle(now)
