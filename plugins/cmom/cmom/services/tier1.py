"""A cluster of Tier 1 managers as one thing to talk to, of whichever generation it is.

Generation 4 has one member that serves, the leader; in generation 5 any living member does. Whoever uses this
does not know which one answered, and not that another did before.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, TypeVar

from cmom.clients.cluster_api import ClusterApi
from cmom.clients.executions import ExecutionApi
from cmom.clients.manager import ManagerClient
from cmom.clients.pacing import Pacer
from cmom.clients.resources import ResourceApi
from cmom.clients.snapshots import SnapshotApi
from cmom.errors import ActionRequired, CmomError, DeadlinePassed, ManagerUnreachable
from cmom.models import ManagerAccess, Version
from cmom.services.leader import ClusterConnection
from cmom.services.waiting import Clock, SystemClock

Outcome = TypeVar("Outcome")

DEFAULT_WAIT_SECONDS = 120.0
_PAUSE_SECONDS = 2.0


class Tier1Api(ResourceApi, ExecutionApi, SnapshotApi):
    """Everything that is asked of one Tier 1 manager."""


class Connection(Protocol):
    """What `ClusterConnection` and `ActiveManagers` have in common."""

    def call(
        self,
        function: Callable[[ManagerClient], Outcome],
        doing: str,
        *,
        wait_seconds: float = DEFAULT_WAIT_SECONDS,
        repeatable: bool = True,
    ) -> Outcome:
        """Do something on a manager that serves; see `ClusterConnection.call`."""

    def close(self) -> None:
        """Let go of all connections."""


class ActiveManagers:
    """The managers of a cluster of generation 5, all of which serve: the same one as long as it answers.

    Args:
        addresses: Of all members.
        connect: Makes the client of one address; called once for each.
        clock: For tests.
        pause_seconds: Between two rounds in which none answered.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        connect: Callable[[str], ManagerClient],
        *,
        clock: Clock | None = None,
        pause_seconds: float = _PAUSE_SECONDS,
    ) -> None:
        if not addresses:
            raise ActionRequired("The cluster has no members that could be asked.")
        self._addresses = list(dict.fromkeys(addresses))
        self._connect = connect
        self._clock = clock or SystemClock()
        self._pause_seconds = pause_seconds
        self._clients: dict[str, ManagerClient] = {}
        self._lock = threading.Lock()

    def call(
        self,
        function: Callable[[ManagerClient], Outcome],
        doing: str,
        *,
        wait_seconds: float = DEFAULT_WAIT_SECONDS,
        repeatable: bool = True,
    ) -> Outcome:
        """Do something on a member, and on the next one when that does not answer.

        Args:
            function: Gets the client; it must be right when it is called twice, unless not `repeatable`.
            doing: A phrase for messages.
            wait_seconds: For how long to try.
            repeatable: Whether it may be done again when nobody knows if it was done.

        Raises:
            DeadlinePassed: No member answered until the end of the wait.
            CmomError: Whatever else the function raises.
        """
        deadline = self._clock.monotonic() + wait_seconds
        while True:
            for address in tuple(self._addresses):
                try:
                    return function(self._member(address))
                except ManagerUnreachable as error:
                    self._put_last(address)
                    if not repeatable:
                        raise
                    trouble: CmomError = error
                if self._clock.monotonic() > deadline:
                    break
            if self._clock.monotonic() + self._pause_seconds > deadline:
                raise DeadlinePassed(
                    f"{doing[:1].upper()}{doing[1:]}: no member of {', '.join(self._addresses)} answered "
                    f"within {wait_seconds:.0f} s. The last answer: {trouble}"
                ) from trouble
            self._clock.sleep(self._pause_seconds)

    def close(self) -> None:
        """Let go of all connections."""
        for client in list(self._clients.values()):
            client.close()

    def _member(self, address: str) -> ManagerClient:
        with self._lock:
            if address not in self._clients:
                self._clients[address] = self._connect(address)
            return self._clients[address]

    def _put_last(self, address: str) -> None:
        """Ask this one after the others from now on."""
        with self._lock:
            if len(self._addresses) > 1 and self._addresses[0] == address:
                self._addresses = [*self._addresses[1:], address]


class Tier1:
    """A cluster, spoken to as its version wants it. It may be shared by threads.

    Args:
        connection: To its members.
        version: Of its managers.
        clock: For tests.
    """

    def __init__(self, connection: Connection, version: Version, *, clock: Clock | None = None) -> None:
        self._connection = connection
        self.version = version
        self._clock = clock or SystemClock()
        self._apis: dict[str, Tier1Api] = {}

    def __enter__(self) -> Tier1:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all connections."""
        self._connection.close()

    def call(
        self,
        function: Callable[[Tier1Api], Outcome],
        doing: str,
        *,
        wait_seconds: float = DEFAULT_WAIT_SECONDS,
        repeatable: bool = True,
    ) -> Outcome:
        """Do something on a member that serves; see `ClusterConnection.call`."""
        return self._connection.call(
            lambda manager: function(self._api(manager)),
            doing,
            wait_seconds=wait_seconds,
            repeatable=repeatable,
        )

    def _api(self, manager: ManagerClient) -> Tier1Api:
        api = self._apis.get(manager.address)
        if api is None:
            pacer = Pacer.for_generation(
                self.version.generation, monotonic=self._clock.monotonic, sleep=self._clock.sleep
            )
            # setdefault: all threads share the pacer of one member.
            api = self._apis.setdefault(manager.address, Tier1Api(manager, self.version, pacer))
        return api


def connect(
    addresses: Sequence[str],
    access: ManagerAccess,
    version: Version,
    logger: logging.Logger,
    *,
    clock: Clock | None = None,
) -> Tier1:
    """Connect to a cluster; nothing is sent yet.

    Args:
        addresses: Of its members, as Tier 2 reaches them.
        access: User, password, CA, port.
        version: Of its managers.
        logger: Is told when another member leads.
        clock: For tests.

    Raises:
        ActionRequired: It has no members.
    """
    if version.generation >= 5:
        active = ActiveManagers(addresses, lambda address: ManagerClient(address, access), clock=clock)
        return Tier1(active, version, clock=clock)
    cluster = ClusterConnection(
        addresses, lambda address: ClusterApi(address, access), clock=clock, logger=logger
    )
    return Tier1(cluster, version, clock=clock)


def connect_alone(
    address: str, access: ManagerAccess, version: Version, *, clock: Clock | None = None
) -> Tier1:
    """Connect to a manager that is in no cluster (yet), of either generation; nothing is sent yet."""
    alone = ActiveManagers([address], lambda address: ManagerClient(address, access), clock=clock)
    return Tier1(alone, version, clock=clock)
