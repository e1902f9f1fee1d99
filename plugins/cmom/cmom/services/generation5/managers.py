"""The managers of a cluster: all asked at once how it is, and one that serves told what is to change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from cmom.clients.active_api import ActiveApi
from cmom.clients.limits import Timeouts, time_limit
from cmom.clients.manager import ManagerClient
from cmom.clients.snapshots import SnapshotApi
from cmom.errors import ActionRequired, ManagerUnreachable, TryAgainLater
from cmom.models import Host, ManagerAccess, Member, Version
from cmom.services.connection import ActiveManagers
from cmom.services.generation5.survey import Word, members_by
from cmom.services.parallel import ask_in_parallel
from cmom.services.waiting import Clock

Outcome = TypeVar("Outcome")

_ROUND_SECONDS = 15.0
# How a manager answers everything while its databases have no leader.
_NO_DATABASE = "OperationalError"
_LEADERLESS = (
    "The databases have no leader: fewer than a majority of them are alive, or one is just being chosen. "
    "Nothing is removed from the cluster, and nothing joins it, until they have one."
)


class NobodyTells(ManagerUnreachable):
    """No manager that sees the cluster answers: all are dead, or have just been started."""


class Managers:
    """The managers of some machines.

    Args:
        hosts: The machines.
        access: To their REST service.
        version: Of the managers.
        clock: For tests.
    """

    def __init__(
        self, hosts: Sequence[Host], access: ManagerAccess, version: Version, clock: Clock | None = None
    ) -> None:
        self.hosts = tuple(hosts)
        self._access = access
        self._version = version
        self._clock = clock

    def ask(
        self, wait_seconds: float = _ROUND_SECONDS, *, services: bool = False
    ) -> dict[str, Word | Exception]:
        """Ask all of them once how the cluster is; nothing of those that are too slow.

        Args:
            wait_seconds: For how long.
            services: Whether they are asked for their own services, too.

        Returns:
            By private address what each one says, or why it does not.
        """

        def question(host: Host) -> Callable[[], Word]:
            return lambda: self._word(host, 0.9 * wait_seconds, services)

        return ask_in_parallel({host.ip: question(host) for host in self.hosts}, wait_seconds=wait_seconds)

    def members(self) -> tuple[Member, ...]:
        """List the members by the word of all managers that see the cluster.

        Raises:
            NobodyTells: None does.
            ActionRequired: All that answer refuse us.
        """
        answers = self.ask()
        settled = [one for one in answers.values() if isinstance(one, Word) and one.settled]
        if settled:
            return members_by(settled)
        heard = [one for one in answers.values() if not isinstance(one, ManagerUnreachable)]
        for answer in heard:
            if isinstance(answer, Exception) and not isinstance(answer, ActionRequired | TryAgainLater):
                raise answer
        if heard and all(isinstance(one, ActionRequired) for one in heard):
            raise next(one for one in heard if isinstance(one, ActionRequired))
        said = [_in_words(host, answers.get(host.ip)) for host in self.hosts]
        leaderless = [_LEADERLESS] if any(_NO_DATABASE in words for words in said) else []
        raise NobodyTells(" ".join(leaderless + said))

    def tell(
        self,
        function: Callable[[ActiveApi], Outcome],
        doing: str,
        *,
        but: Host | None = None,
        wait_seconds: float = 120.0,
    ) -> Outcome:
        """Do something on a manager that answers.

        Args:
            function: Gets the client; it must be right when it is called twice.
            doing: A phrase for messages.
            but: Whom not to ask.
            wait_seconds: For how long to try.
        """
        hosts = [host for host in self.hosts if but is None or host.ip != but.ip]
        made: dict[str, ActiveApi] = {}

        def connect(address: str) -> ManagerClient:
            return made.setdefault(address, ActiveApi(address, self._access))

        connection = ActiveManagers([host.public_ip for host in hosts], connect, clock=self._clock)
        try:
            return connection.call(
                lambda manager: function(made[manager.address]), doing, wait_seconds=wait_seconds
            )
        finally:
            connection.close()

    def running_executions(self, *, but: Host | None = None) -> tuple[str, ...]:
        """Return in words what is executed on the cluster, in any tenant."""
        executions = self.tell(
            lambda manager: SnapshotApi(manager, self._version).list_active_executions(),
            "listing the executions that run",
            but=but,
        )
        return tuple(
            f"{one.workflow_id} on {one.deployment_id or 'no deployment'} ({one.id})" for one in executions
        )

    def _word(self, host: Host, wait_seconds: float, services: bool) -> Word:
        timeouts = Timeouts(
            connect_seconds=min(3.0, wait_seconds / 2),
            read_seconds=wait_seconds,
            total_seconds=wait_seconds,
        )
        with ActiveApi(host.public_ip, self._access, timeouts=timeouts) as manager, time_limit(wait_seconds):
            report, listed = manager.cluster_status(), manager.list_managers()
            return Word(host.ip, report, listed, manager.status().services if services else ())


def _in_words(host: Host, answer: Word | Exception | None) -> str:
    if answer is None:
        return f"Manager {host.public_ip} gave no answer in time."
    if isinstance(answer, Word):
        return f"Manager {host.public_ip} has just been started, and does not see the cluster yet."
    return str(answer)
