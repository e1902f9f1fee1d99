"""Who is a member of a cluster of generation 4: read, compare, change.

Everything here converges, so each function may be killed anywhere and called again. A cluster of one is
started, too: that is how a member can be added later by scaling.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

from cmom.clients.cluster_api import ClusterApi, ClusterState
from cmom.errors import (
    ActionRequired,
    ManagerRefused,
    ManagerUnreachable,
    NotClusterMaster,
    RemovedFromCluster,
    TryAgainLater,
)
from cmom.models import Host, Member
from cmom.services.cluster_times import ClusterTimes
from cmom.services.formation import REINSTALL, Formation, remove_node
from cmom.services.leader import ClusterConnection
from cmom.services.removal import demand_still_dead
from cmom.services.waiting import Clock, SystemClock, wait_for


class ClusterService:
    """The cluster that some machines form, or are to form.

    Args:
        hosts: All machines that are to be members, installed or not.
        connection: To the managers on them, by their public addresses.
        logger: Gets the progress.
        clock: For tests.
        times: See `ClusterTimes`.
        lock: Makes a lock that only one change of the membership holds at a time (a file lock, say), for
            when several processes or threads change it. Without one, joins by others are noticed by what the
            leader says, which leaves a small gap between looking and announcing.
    """

    def __init__(
        self,
        hosts: Iterable[Host],
        connection: ClusterConnection,
        logger: logging.Logger,
        *,
        clock: Clock | None = None,
        times: ClusterTimes | None = None,
        lock: Callable[[], AbstractContextManager[object]] | None = None,
    ) -> None:
        self.hosts = tuple(hosts)
        self._connection = connection
        self._logger = logger
        self._clock = clock or SystemClock()
        self._times = times or ClusterTimes()
        self._lock = lock

    def members(self) -> tuple[Member, ...]:
        """List the members, by the leader's word.

        Raises:
            NoLeader: Nobody leads.
        """
        return self._call(lambda leader: leader.list_members(), "listing the members of the cluster")

    def ensure_started(self, first: Host) -> bool:
        """Make sure that there is a cluster with `first` in it.

        When there is a cluster already, with another leader, `first` joins it: a second one is never made
        beside it.

        Returns:
            Whether anything was changed.

        Raises:
            ActionRequired: A machine belongs to another cluster, or starting failed.
            TryAgainLater: It takes longer; or a machine does not answer, so that nobody knows whether there
                is a cluster.
        """
        with self._changing():
            if self._connection.find_leader() is not None:
                self._refuse_strangers(self.members())
                return self._join(first)
            self._refuse_while_unknown(first)
            formation = self._formation(first)
            formation.start()
            self._connection.forget()
            self._wait_until_online(first)
            return formation.changed

    def ensure_joined(self, host: Host) -> bool:
        """Make sure that a machine's manager is a member, online, and replicating.

        Returns:
            Whether anything was changed.

        Raises:
            ActionRequired: It belongs to another cluster, was removed from this one, or joining failed.
            TryAgainLater: It takes longer, or no member leads.
        """
        with self._changing():
            return self._join(host)

    def ensure_left(self, host: Host, *, hand_over: bool = True, dead: bool = False) -> bool:
        """Make sure that a machine is not a member; its manager need not be alive.

        The leader is never removed while there are others: it hands over first. The last member stays, for a
        cluster ends with its last manager.

        Args:
            host: Which machine.
            hand_over: Whether leadership may be handed over for it.
            dead: Whether it is removed only because it is dead.

        Returns:
            Whether anything was changed.

        Raises:
            CameBack: It was dead, and is no more.
            ActionRequired: It leads and may not hand over, or no replica is alive to take over.
            TryAgainLater: No member leads, or the hand-over takes longer.
        """
        with self._changing():
            if self._connection.find_leader() is None and self._is_no_cluster():
                return False
            members = self.members()
            member = _find(members, host)
            if member is None:
                return False
            if member.leader:
                if len(members) == 1:
                    self._logger.info("%s is the last member and stays: its cluster ends with it.", host.ip)
                    return False
                if not hand_over:
                    raise ActionRequired(
                        f"{member.name} ({host.ip}) leads the cluster and cannot be removed before another "
                        "member leads. Hand over leadership first."
                    )
                self._hand_over(host, members)
            if dead:
                demand_still_dead(host, members)
            self._remove(host, member.name)
            return True

    def hand_over_leadership(self, away_from: Host) -> bool:
        """Make sure that a machine does not lead.

        Returns:
            Whether anything was changed.

        Raises:
            ActionRequired: It leads, and no replica is alive to take over.
            TryAgainLater: It takes longer.
        """
        with self._changing():
            members = self.members()
            member = _find(members, away_from)
            if member is None or not member.leader:
                return False
            self._hand_over(away_from, members)
            return True

    def _changing(self) -> AbstractContextManager[object]:
        return nullcontext() if self._lock is None else self._lock()

    def _call(self, function: Callable[[ClusterApi], tuple[Member, ...]], doing: str) -> tuple[Member, ...]:
        return self._connection.call(function, doing, wait_seconds=self._times.leader_seconds)

    def _formation(self, host: Host) -> Formation:
        alone = self._lock is not None
        return Formation(host, self._connection, self._logger, self._clock, self._times, alone=alone)

    def _join(self, host: Host) -> bool:
        formation = self._formation(host)
        formation.join()
        self._wait_until_online(host)
        return formation.changed

    def _refuse_strangers(self, members: tuple[Member, ...]) -> None:
        """Refuse a cluster that has members beyond our machines: most probably it is somebody else's."""
        ours = {host.ip for host in self.hosts}
        strangers = [f"{member.name} ({member.host_ip})" for member in members if member.host_ip not in ours]
        if strangers:
            raise ActionRequired(
                f"There is a cluster on {self._addresses()} already, and it has members that are not ours: "
                f"{', '.join(strangers)}. If they are left over from this deployment, remove them from the "
                "cluster (cfy cluster nodes remove). If not, these machines belong to another deployment."
            )

    def _refuse_while_unknown(self, first: Host) -> None:
        """Refuse to start a cluster while another machine may be leading one already, or be about to."""
        answers = self._connection.ask_members()
        for host in self.hosts:
            answer = answers.get(host.public_ip)
            if host == first:
                continue
            doubt = "Nobody can tell whether there is a cluster already"
            if answer is None:
                raise TryAgainLater(f"{doubt}: {host.public_ip} gave no answer.")
            if isinstance(answer, ManagerUnreachable | NotClusterMaster):
                raise TryAgainLater(f"{doubt}: {answer}") from answer
            if isinstance(answer, ActionRequired):
                raise answer
            if isinstance(answer, ClusterState) and (answer.initialized or answer.in_progress):
                raise TryAgainLater(f"{host.public_ip} is becoming the leader of a cluster, or joining one.")
        if isinstance(answers.get(first.public_ip), NotClusterMaster):
            raise ActionRequired(
                f"{first.public_ip} is a replica of a cluster that none of {self._addresses()} leads: it "
                f"belongs to another one. {REINSTALL}"
            )

    def _is_no_cluster(self) -> bool:
        """Tell whether all say that they are in none, as after an installation that stopped early."""
        answers = self._connection.ask_members()
        return all(
            isinstance(answer, RemovedFromCluster)
            or (isinstance(answer, ClusterState) and not answer.initialized and not answer.in_progress)
            for answer in (answers.get(host.public_ip) for host in self.hosts)
        )

    def _wait_until_online(self, host: Host) -> None:
        last = ""

        def look() -> bool:
            nonlocal last
            member = _find(self.members(), host)
            stand = _stand(member)
            if stand != last:
                last = stand
                self._logger.info("%s is %s.", host.public_ip, stand)
            return member is not None and member.healthy

        wait_for(
            look,
            f"{host.public_ip} to be online in the cluster with all checks passing",
            wait_seconds=self._times.online_seconds,
            interval_seconds=self._times.poll_seconds,
            clock=self._clock,
        )

    def _hand_over(self, host: Host, members: tuple[Member, ...]) -> None:
        others = [member for member in members if member.host_ip != host.ip]
        fit = [member for member in others if member.healthy]
        if not fit:
            stands = ", ".join(f"{member.name} is {_stand(member)}" for member in others)
            text = f"No member can take over the cluster from {host.ip}: {stands or 'there is no other'}."
            if any(member.online for member in others):
                raise TryAgainLater(text)
            raise ActionRequired(f"{text} Bring one of them back, or remove them from the cluster first.")
        successor = fit[0]
        self._logger.info("Handing over the cluster from %s to %s.", host.ip, successor.name)
        self._connection.call(
            lambda leader: leader.set_active(successor.name),
            f"making {successor.name} the leader",
            wait_seconds=self._times.leader_seconds,
        )

        def look() -> bool:
            self._connection.forget()
            leader = self._connection.find_leader()
            found = [] if leader is None else [one for one in leader.list_members() if one.leader]
            return bool(found) and found[0].host_ip != host.ip

        wait_for(
            look,
            f"{successor.name} to lead the cluster instead of {host.ip}",
            wait_seconds=self._times.hand_over_seconds,
            interval_seconds=self._times.hand_over_poll_seconds,
            clock=self._clock,
        )

    def _remove(self, host: Host, name: str) -> None:
        self._logger.info("Removing %s (%s) from the cluster.", name, host.ip)
        doing = f"removing {name} from the cluster"
        wait = self._times.leader_seconds
        try:
            self._connection.call(lambda leader: remove_node(leader, name), doing, wait_seconds=wait)
        except ManagerRefused as error:
            member = _find(self.members(), host)
            if member is not None and member.leader:
                raise TryAgainLater(f"{name} has become the leader just now: {error}") from error
            raise
        wait_for(
            lambda: _find(self.members(), host) is None,
            f"{name} to be gone from the cluster",
            wait_seconds=wait,
            interval_seconds=self._times.poll_seconds,
            clock=self._clock,
        )

    def _addresses(self) -> str:
        return ", ".join(host.public_ip for host in self.hosts)


def _find(members: Iterable[Member], host: Host) -> Member | None:
    return next((member for member in members if member.host_ip == host.ip), None)


def _stand(member: Member | None) -> str:
    if member is None:
        return "not listed"
    failing = ", ".join(name for name, passes in member.checks.items() if not passes)
    if not member.checks:
        return f"{member.state}, its checks unknown"
    return f"{member.state}, failing: {failing}" if failing else f"{member.state}, all checks OK"
