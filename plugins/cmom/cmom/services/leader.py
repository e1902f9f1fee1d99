"""Following the leader of a generation 4 cluster.

Only the leader serves requests; a replica says ``not_cluster_master``, a removed member
``removed_from_cluster``, a dead one nothing. So a client of the cluster keeps the addresses of all members
and asks the next one whenever it hears one of these.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from cmom.clients.cluster_api import ClusterApi, ClusterState
from cmom.errors import (
    AccessRefused,
    ActionRequired,
    CmomError,
    DeadlinePassed,
    ManagerUnreachable,
    NotClusterMaster,
    RemovedFromCluster,
)
from cmom.services.parallel import ask_in_parallel
from cmom.services.waiting import Clock, SystemClock

Outcome = TypeVar("Outcome")

DEFAULT_WAIT_SECONDS = 120.0
_ROUND_SECONDS = 15.0
_HEAD_START_SECONDS = 0.5
_PAUSE_SECONDS = 2.0


class NoLeader(ManagerUnreachable):
    """No member said that it leads: an election is under way, or nobody who could win it is alive."""


class ClusterConnection:
    """All members of a cluster, used as if they were one manager.

    Args:
        addresses: Of all members, as Tier 2 reaches them, the one to be asked first in front.
        connect: Makes the client of one address; called once for each.
        clock: For tests.
        logger: Is told when the leader is another than before.
        round_seconds: How long one round of asking everybody may take.
        pause_seconds: Between two rounds.

    It may be shared by threads.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        connect: Callable[[str], ClusterApi],
        *,
        clock: Clock | None = None,
        logger: logging.Logger | None = None,
        round_seconds: float = _ROUND_SECONDS,
        pause_seconds: float = _PAUSE_SECONDS,
    ) -> None:
        if not addresses:
            raise ActionRequired("The cluster has no members whose leader could be asked.")
        self.addresses = tuple(dict.fromkeys(addresses))
        self._connect = connect
        self._clock = clock or SystemClock()
        self._logger = logger or logging.getLogger(__name__)
        self._round_seconds = round_seconds
        self._pause_seconds = pause_seconds
        self._clients: dict[str, ClusterApi] = {}
        self._leader: str | None = None
        self._last_leader = self.addresses[0]
        self._last_round = ""

    def member(self, address: str) -> ClusterApi:
        """Return the client of one member, leader or not."""
        client = self._clients.get(address)
        if client is None:
            # Two threads may both make one; setdefault lets one of them win, and nothing was opened yet.
            client = self._clients.setdefault(address, self._connect(address))
        return client

    def close(self) -> None:
        """Let go of all connections."""
        for client in list(self._clients.values()):
            client.close()

    def forget(self) -> None:
        """Forget who leads; the next call asks."""
        self._leader = None

    def ask_members(self) -> dict[str, ClusterState | Exception]:
        """Ask all members once, at the same time, where they stand.

        Returns:
            By address what each one answered or the error it made; nothing for those too slow.
        """
        return self._ask()

    def find_leader(self) -> ClusterApi | None:
        """Ask all members once, at the same time, and return the one that leads.

        Returns:
            None when none does: all answered, or failed in a way that time may mend.

        Raises:
            ActionRequired: Nobody leads, and all of those that answered at all refused us
                (credentials, certificate), or one of them refused our credentials: a replica never looks at
                them, so that is the leader, and it locks the account of who asks again and again.
        """
        answers = self._ask(enough=lambda state: state.initialized)
        self._last_round = " ".join(
            self._in_words(answers.get(address), address) for address in self.addresses
        )
        for address, answer in answers.items():
            if isinstance(answer, ClusterState) and answer.initialized:
                return self._remember(address)
        failures = [answer for answer in answers.values() if isinstance(answer, Exception)]
        for failure in failures:
            if not isinstance(failure, CmomError):
                raise failure
        heard = [answer for answer in answers.values() if not isinstance(answer, ManagerUnreachable)]
        for failure in failures:
            if isinstance(failure, AccessRefused):
                raise failure
        if heard and all(isinstance(answer, ActionRequired) for answer in heard):
            raise next(failure for failure in failures if isinstance(failure, ActionRequired))
        return None

    def get_leader(self, wait_seconds: float = DEFAULT_WAIT_SECONDS) -> ClusterApi:
        """Return the member that leads, waiting through an election.

        Raises:
            NoLeader: None did until the end of the wait.
            ActionRequired: See `find_leader`.
        """
        return self.call(lambda leader: leader, "asking who leads the cluster", wait_seconds=wait_seconds)

    def call(
        self,
        function: Callable[[ClusterApi], Outcome],
        doing: str,
        *,
        wait_seconds: float = DEFAULT_WAIT_SECONDS,
        repeatable: bool = True,
    ) -> Outcome:
        """Do something on the leader, whoever that is.

        When the member turns out not to lead, nothing was done, and it is tried on the one that does. When
        the leader dies in the middle, nobody knows whether it was done: it is done again on the next leader
        if `repeatable`.

        Args:
            function: Gets the leader's client. It must be right when it is called twice, unless not
                `repeatable`.
            doing: A phrase for messages: ``listing the members``.
            wait_seconds: For how long to try.
            repeatable: See above.

        Raises:
            NoLeader: No member led until the end of the wait.
            DeadlinePassed: Leaders were found, but none of them lived long enough.
            CmomError: Whatever else the function raises.
        """
        deadline = self._clock.monotonic() + wait_seconds
        while True:
            leader = self._known_leader() or self.find_leader()
            trouble: CmomError | None = None
            if leader is not None:
                try:
                    return function(leader)
                except (NotClusterMaster, RemovedFromCluster) as error:
                    trouble = error
                except ManagerUnreachable as error:
                    if not repeatable:
                        self.forget()
                        raise
                    trouble = error
                self.forget()
            if self._clock.monotonic() + self._pause_seconds > deadline:
                raise self._give_up(doing, wait_seconds, trouble) from trouble
            self._clock.sleep(self._pause_seconds)

    def _known_leader(self) -> ClusterApi | None:
        address = self._leader  # read once: another thread may forget it
        return None if address is None else self.member(address)

    def _remember(self, address: str) -> ClusterApi:
        if address != self._last_leader:
            self._logger.info("The leader of the cluster is %s.", address)
        self._leader = self._last_leader = address
        return self.member(address)

    def _ask(
        self, enough: Callable[[ClusterState], bool] | None = None
    ) -> dict[str, ClusterState | Exception]:
        def question(address: str) -> Callable[[], ClusterState]:
            return lambda: self.member(address).get_cluster()

        return ask_in_parallel(
            {address: question(address) for address in self.addresses},
            wait_seconds=self._round_seconds,
            enough=enough,
            first=self._last_leader,
            head_start_seconds=_HEAD_START_SECONDS,
        )

    @staticmethod
    def _in_words(answer: ClusterState | Exception | None, address: str) -> str:
        if answer is None:
            return f"Manager {address} gave no answer in time."
        if isinstance(answer, Exception):
            return str(answer)
        return f"Manager {address} {'leads' if answer.initialized else 'is in no cluster'}."

    def _give_up(self, doing: str, wait_seconds: float, trouble: CmomError | None) -> CmomError:
        members = ", ".join(self.addresses)
        if trouble is None:
            return NoLeader(
                f"{doing[:1].upper()}{doing[1:]}: none of the members {members} led the cluster "
                f"within {wait_seconds:.0f} s. {self._last_round}"
            )
        return DeadlinePassed(
            f"{doing[:1].upper()}{doing[1:]}: the cluster of {members} did not answer "
            f"within {wait_seconds:.0f} s. The last answer: {trouble}"
        )
