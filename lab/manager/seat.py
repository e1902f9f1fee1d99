"""A manager's place in a cluster of generation 4, and its way there.

The seat is empty, being taken (initialising a cluster, or joining one), a member's, or that of a
removed node. What is asked for by `PUT /cluster` comes true, or fails, when it is due; why it
failed is then said by `GET /cluster`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.manager.cluster import Cluster, SeatState
from lab.manager.exceptions import (
    BadParametersError,
    ConflictError,
    NotClusterMasterError,
    NotFoundError,
    RemovedFromClusterError,
)
from lab.manager.transitions import timestamp

if TYPE_CHECKING:
    from lab.manager.models import Manager

CLUSTER_FILE = "/etc/cloudify/cluster"
"""Left on the disk of each member, as in the field."""


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
        self.logs.append({"message": message, "timestamp": timestamp(now), "cursor": str(len(self.logs) + 1)})
