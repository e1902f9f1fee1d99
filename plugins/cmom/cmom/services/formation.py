"""One manager's way into a cluster of generation 4: starting one, or joining one.

Both are looked at again and again, and each look reads where the manager stands and does the one thing that
is missing. So it does not matter what was done before and by whom: a request whose answer was lost, a Tier 2
that was killed between two steps, or a start that is under way since yesterday all look the same from here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from cmom.clients.cluster_api import ClusterApi, ClusterState, JoinCredentials, ListedNode
from cmom.clients.rest_errors import NOT_FOUND
from cmom.errors import ActionRequired, ManagerRefused, NotClusterMaster, RemovedFromCluster, TryAgainLater
from cmom.models import Host
from cmom.services.cluster_times import ClusterTimes
from cmom.services.leader import ClusterConnection
from cmom.services.waiting import Clock

JOIN_ATTEMPTS = 2
REINSTALL = (
    "It must be installed anew before it can be a member: take it out of its cluster, run "
    "'cfy_manager remove -f' on it and remove its package, or rebuild the machine, and install it again."
)


class Formation:
    """Brings one manager into the cluster.

    Args:
        host: The machine whose manager it is.
        connection: To all members.
        logger: Gets the progress.
        clock: For tests.
        times: See `ClusterTimes`.
        alone: Whether the caller has made sure that nobody else changes the membership meanwhile.

    Attributes:
        changed: Whether anything was changed so far.
    """

    def __init__(
        self,
        host: Host,
        connection: ClusterConnection,
        logger: logging.Logger,
        clock: Clock,
        times: ClusterTimes,
        *,
        alone: bool,
    ) -> None:
        self.changed = False
        self._host = host
        self._connection = connection
        self._logger = logger
        self._clock = clock
        self._times = times
        self._alone = alone
        self._manager: ClusterApi = connection.member(host.public_ip)
        self._log = _Log(logger, host.public_ip)
        self._told: ClusterState | None = None
        self._attempts = 0
        self._began = clock.monotonic()

    def start(self) -> None:
        """Make it the leader of a cluster of one.

        Raises:
            ActionRequired: It failed, or the manager was removed from a cluster.
            DeadlinePassed: It takes longer.
        """
        what = f"the cluster on {self._host.public_ip} to start"
        self._times.wait_until_formed(self._started, what, self._clock)

    def join(self) -> None:
        """Make it a member of the cluster that has a leader.

        Raises:
            ActionRequired: It failed twice, or the manager belongs to another cluster.
            DeadlinePassed: It takes longer.
        """
        what = f"{self._host.public_ip} to join the cluster"
        self._times.wait_until_formed(self._joined, what, self._clock)

    def _started(self) -> bool:
        try:
            state = self._manager.get_cluster()
        except RemovedFromCluster as error:
            raise ActionRequired(f"{error} {REINSTALL}") from error
        self._log.follow(state)
        if state.initialized:
            return True
        if self._failed(state, attempts=1):
            raise ActionRequired(
                f"Starting the cluster on {self._host.public_ip} failed: {state.error}. {REINSTALL}"
            )
        if self._may_tell(state):
            self._logger.info("Starting the cluster on %s as %s.", self._host.public_ip, self._host.hostname)
            self._tell(state, lambda: self._manager.start(self._host.ip, self._host.hostname))
        return False

    def _joined(self) -> bool:
        try:
            state = self._manager.get_cluster()
        except NotClusterMaster:
            return self._is_listed()  # a replica: this is what having joined looks like
        except RemovedFromCluster as error:
            raise ActionRequired(f"{error} {REINSTALL}") from error
        if state.initialized:
            return self._is_listed()  # it joined, and leads by now
        self._log.follow(state)
        if self._failed(state, attempts=JOIN_ATTEMPTS):
            raise ActionRequired(
                f"{self._host.public_ip} failed to join the cluster: {state.error}. {REINSTALL}"
            )
        if self._may_tell(state):
            again = bool(state.error)
            nodes, given = self._connection.call(
                lambda leader: self._announce(leader, anew=again),
                f"announcing {self._host.ip} to the cluster",
                wait_seconds=self._times.leader_seconds,
            )
            addresses = _join_addresses(nodes, self._host)
            self._logger.info(
                "%s joins the cluster as %s.%s",
                self._host.public_ip,
                self._host.hostname,
                f" (It failed before: {state.error})" if again else "",
            )
            self._tell(
                state, lambda: self._manager.join(self._host.ip, self._host.hostname, given, addresses)
            )
        return False

    def _is_listed(self) -> bool:
        nodes = self._connection.call(
            lambda leader: leader.list_nodes(),
            "listing the members of the cluster",
            wait_seconds=self._times.leader_seconds,
        )
        if _find(nodes, self._host) is None:
            raise ActionRequired(
                f"{self._host.public_ip} says that it is a member of a cluster, but that of "
                f"{', '.join(node.member.host_ip for node in nodes)} does not list it: it belongs to "
                f"another one, or was removed from this one just now. {REINSTALL}"
            )
        return True

    def _failed(self, state: ClusterState, attempts: int) -> bool:
        """Tell whether the last of its attempts failed. An error of before our first request is not ours."""
        if not state.error or self._told is None or state == self._told:
            return False
        return self._attempts >= attempts

    def _may_tell(self, state: ClusterState) -> bool:
        if state.in_progress:
            return False
        # Between our request and the first trace of it in the manager's answers it must not be repeated.
        return self._told is None or state != self._told

    def _tell(self, before: ClusterState, request: Callable[[], ClusterState]) -> None:
        """Send the request that begins a start or a join.

        A manager that refuses it because it has one already under way (told by somebody else, or by a request
        of ours whose answer was lost) is what we want; another refusal is an error.
        """
        try:
            request()
        except ManagerRefused:
            if self._manager.get_cluster() == before:
                raise
            return
        self._told = before
        self._attempts += 1
        self.changed = True

    def _announce(self, leader: ClusterApi, *, anew: bool) -> tuple[Sequence[ListedNode], JoinCredentials]:
        """Make the leader expect this machine. Converges, so it is right on the next leader as well.

        Args:
            leader: The leader.
            anew: Do not use an earlier announcement.
        """
        nodes = leader.list_nodes()
        for node in nodes:
            if node.member.name == self._host.hostname and node.member.host_ip != self._host.ip:
                raise ActionRequired(
                    f"The cluster has a member named {self._host.hostname} already, {node.member.host_ip}. "
                    f"Give {self._host.ip} another hostname, or remove that member first."
                )
        listed = _find(nodes, self._host)
        if listed is not None:
            if listed.member.online:
                raise TryAgainLater(
                    f"The leader {leader.address} still lists {self._host.ip} as online, while the manager "
                    "there is in no cluster."
                )
            fresh = not listed.member.initialized and not anew
            if fresh and listed.join and listed.member.name == self._host.hostname:
                return nodes, listed.join
            self._logger.info("Removing the old entry of %s from the cluster.", listed.member.name)
            remove_node(leader, listed.member.name)
        self._wait_for_others(nodes)
        given = leader.add_node(self._host.ip, self._host.hostname)
        self.changed = True
        return nodes, given

    def _wait_for_others(self, nodes: Sequence[ListedNode]) -> None:
        joining = [
            node.member.name
            for node in nodes
            if not (node.member.online or node.member.initialized or node.member.host_ip == self._host.ip)
        ]
        if not joining or self._alone:
            return
        if self._clock.monotonic() - self._began < self._times.settle_seconds:
            raise TryAgainLater(f"{', '.join(joining)} is joining the cluster; one joins at a time.")
        self._logger.warning("%s was announced to the cluster and did not join.", ", ".join(joining))


class _Log:
    """Passes on what is new in the log that a manager keeps of its way into a cluster."""

    def __init__(self, logger: logging.Logger, address: str) -> None:
        self._logger = logger
        self._address = address
        self._seen: set[tuple[str, str, str]] = set()

    def follow(self, state: ClusterState) -> None:
        for line in state.logs:
            key = (line.cursor, line.timestamp, line.message)
            if key not in self._seen:
                self._seen.add(key)
                self._logger.info("%s: %s", self._address, line.message)


def remove_node(leader: ClusterApi, name: str) -> None:
    """Remove a node, or find it gone."""
    try:
        leader.remove_node(name)
    except ManagerRefused as error:
        if error.error_code != NOT_FOUND:
            raise


def _find(nodes: Sequence[ListedNode], host: Host) -> ListedNode | None:
    return next((node for node in nodes if node.member.host_ip == host.ip), None)


def _join_addresses(nodes: Sequence[ListedNode], host: Host) -> list[str]:
    """Choose by whom the cluster is found: the members, the leader first; not those that never joined."""
    members = [
        node.member
        for node in nodes
        if node.member.host_ip != host.ip and (node.member.online or node.member.initialized)
    ]
    return [member.host_ip for member in sorted(members, key=lambda member: not member.leader)]
