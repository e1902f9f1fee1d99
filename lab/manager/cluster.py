"""The cluster of generation 4: one leader, replicas, and who becomes leader when it dies.

What the wire calls things: the leader is `master`, a member is a `node`. A manager has a `Seat`:
empty, taking its place (initialising or joining), member of a `Cluster`, or removed from one.

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
    BadParametersError,
    ConflictError,
    IllegalActionError,
    NotClusterMasterError,
    NotFoundError,
    RemovedFromClusterError,
)
from lab.manager.transitions import timestamp

if TYPE_CHECKING:
    from lab.manager.models import Manager

_CLUSTERS: weakref.WeakValueDictionary[str, Cluster] = weakref.WeakValueDictionary()
"""Clusters by the token in their nodes' credentials: how a joining manager finds its cluster."""

CLUSTER_FILE = "/etc/cloudify/cluster"
"""Left on the disk of each member, as in the field."""


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
            node for node in self.nodes.values()
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
        there = node.missed_since is None or (
            now - node.missed_since < node.manager.settings.offline_seconds
        )
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
            raise IllegalActionError(
                f"Node {name} is the cluster master. Make another node the master first"
            )
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


@dataclass
class _Plan:
    """What `PUT /cluster` asked for, kept until it is due."""

    due: float
    host_ip: str
    node_name: str
    options: dict[str, Any]
    credentials: dict[str, Any] = field(default_factory=dict)
    required: dict[str, Any] = field(default_factory=dict)
    join_addrs: list[str] = field(default_factory=list)


class Seat:
    """A manager's place in a cluster, or its way there."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self.state = SeatState.NONE
        self.cluster: Cluster | None = None
        self.node_name: str | None = None
        self.error: str | None = None
        self.logs: list[dict[str, Any]] = []
        self._plan: _Plan | None = None
        self._removed_at: float | None = None

    @property
    def is_leader(self) -> bool:
        """Whether this manager leads its cluster."""
        return self.cluster is not None and self.cluster.leader == self.node_name

    def member_of(self) -> Cluster:
        """The cluster this manager leads, for calls that need one.

        Raises:
            NotFoundError: It is in none.
        """
        if self.cluster is None or self.state is not SeatState.MEMBER:
            raise NotFoundError("This manager is not part of a Cloudify Manager cluster")
        return self.cluster

    def check_answering(self, now: float) -> None:
        """Refuse every request that a replica or a removed node does not serve.

        Raises:
            NotClusterMasterError: It is a replica, or was one until just now.
            RemovedFromClusterError: It was removed.
        """
        if self.state is SeatState.REMOVED:
            lingers = self._manager.settings.removed_replica_seconds
            if self._removed_at is not None and now - self._removed_at < lingers:
                raise NotClusterMasterError
            raise RemovedFromClusterError
        if self.state is SeatState.MEMBER and not self.is_leader:
            raise NotClusterMasterError

    def start(self, host_ip: str, node_name: str, options: dict[str, Any]) -> None:
        """Begin a cluster of one (`PUT /cluster` without `join_addrs`)."""
        self._take(_Plan(0.0, host_ip, node_name, options), SeatState.INITIALISING)

    def join(
        self,
        host_ip: str,
        node_name: str,
        options: dict[str, Any],
        credentials: dict[str, Any],
        required: dict[str, Any],
        join_addrs: list[str],
    ) -> None:
        """Begin to join the cluster of the members at `join_addrs`.

        Raises:
            BadParametersError: The credentials are missing.
        """
        if not credentials:
            raise BadParametersError("credentials are required for joining a cluster")
        plan = _Plan(0.0, host_ip, node_name, options, credentials, required, join_addrs)
        cluster = Cluster.find(credentials.get("cluster_token"))
        self._take(plan, SeatState.JOINING)
        if cluster is not None:
            cluster.joining.append(self._manager)

    def _take(self, plan: _Plan, state: SeatState) -> None:
        if self.state is not SeatState.NONE:
            raise ConflictError("This manager is already part of a Cloudify Manager cluster")
        settings, now = self._manager.settings, self._manager.now()
        joining = state is SeatState.JOINING
        plan.due = now + (settings.join_seconds if joining else settings.initialise_seconds)
        self._plan, self.state, self.error = plan, state, None
        self._log(now, "Joining the cluster" if joining else "Initializing the cluster")
        self._log(now, "Configuring consul")
        self.settle(now)

    def settle(self, now: float) -> None:
        """Let the initialising, the joining and the cluster's elections come to their ends."""
        plan = self._plan
        if plan is not None and plan.due <= now and self._manager.powered:
            self._plan = None
            if self.state is SeatState.INITIALISING:
                self._finish_start(plan)
            elif self.state is SeatState.JOINING:
                self._finish_join(plan)
        if self.cluster is not None and self.state is SeatState.MEMBER:
            self.cluster.settle(now)

    def _finish_start(self, plan: _Plan) -> None:
        own = self._manager.configuration.private_ip
        if plan.host_ip != own:
            self._fail(plan.due, f"Could not bind to {plan.host_ip}: this manager is {own}")
            return
        self.cluster = Cluster(self._manager, plan.node_name, plan.options)
        self._become_member(plan, "Cluster initialized")

    def _finish_join(self, plan: _Plan) -> None:
        cluster = Cluster.find(plan.credentials.get("cluster_token"))
        problem = self._why_not(cluster, plan)
        if problem is not None or cluster is None:
            self._fail(plan.due, problem or "unknown cluster")
            return
        node = cluster.nodes[plan.node_name]
        node.manager = self._manager
        node.online_at = plan.due + self._manager.settings.replicate_seconds
        node.missed_since = None
        node.public_ip = self._manager.configuration.public_ip
        self.cluster = cluster
        self._manager.database = cluster.database
        self._become_member(plan, "Node joined the cluster")

    def _why_not(self, cluster: Cluster | None, plan: _Plan) -> str | None:
        if plan.host_ip != self._manager.configuration.private_ip:
            return f"Could not bind to {plan.host_ip}"
        if cluster is None:
            return f"Could not join the cluster at {', '.join(plan.join_addrs)}: bad credentials"
        node = cluster.nodes.get(plan.node_name)
        if node is None or node.host_ip != plan.host_ip:
            return f"Node {plan.node_name} ({plan.host_ip}) is not expected by the cluster"
        if plan.credentials.get("node_secret") != node.secret:
            return f"Could not join the cluster as {plan.node_name}: bad credentials"
        if self._manager.version != cluster.version:
            return (
                f"The cluster runs version {cluster.version}, this manager is of version "
                f"{self._manager.version}"
            )
        here = self._manager.machine
        for member in cluster.nodes.values():
            there = member.manager
            if (
                member.host_ip in plan.join_addrs
                and there is not None
                and there.running
                and here.reachable_by_peer(there.machine)
            ):
                return None
        return f"Could not connect to any of {', '.join(plan.join_addrs)}"

    def _become_member(self, plan: _Plan, message: str) -> None:
        self.state, self.node_name = SeatState.MEMBER, plan.node_name
        self._log(plan.due, message)
        marker = self._manager.machine.path(CLUSTER_FILE)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(f"{plan.node_name}\n", encoding="utf-8")

    def _fail(self, now: float, error: str) -> None:
        self.state, self.error = SeatState.NONE, error
        self._log(now, error)

    def leave(self, now: float) -> None:
        """The leader removed this node."""
        self.state, self.cluster = SeatState.REMOVED, None
        self._plan, self._removed_at = None, now

    def power_off(self) -> None:
        """An initialising or joining that was under way is lost."""
        if self._plan is not None:
            self._plan = None
            self._fail(self._manager.now(), "The operation was interrupted")

    def power_on(self, now: float) -> None:
        """A member that comes back has to catch up, unless it still leads."""
        if self.cluster is None or self.node_name is None:
            return
        self.cluster.settle(now)
        if not self.is_leader:
            catch_up = self._manager.settings.replicate_seconds
            node = self.cluster.nodes[self.node_name]
            node.online_at, node.synced = now + catch_up, False

    def _log(self, now: float, message: str) -> None:
        self.logs.append(
            {"message": message, "timestamp": timestamp(now), "cursor": str(len(self.logs) + 1)}
        )
