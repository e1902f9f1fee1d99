"""A cluster of Tier 1 managers as one thing to talk to, of whichever generation it is.

Generation 4 has one member that serves, the leader; in generation 5 any living member does. Whoever uses this
does not know which one answered, and not that another did before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeVar

from cmom.clients.executions import ExecutionApi
from cmom.clients.manager import ManagerClient
from cmom.clients.pacing import Pacer
from cmom.clients.resources import ResourceApi
from cmom.clients.snapshots import SnapshotApi
from cmom.models import ManagerAccess, Version
from cmom.services.connection import DEFAULT_WAIT_SECONDS, ActiveManagers, Connection
from cmom.services.generations import generation_of
from cmom.services.waiting import Clock, SystemClock

Outcome = TypeVar("Outcome")


class Tier1Api(ResourceApi, ExecutionApi, SnapshotApi):
    """Everything that is asked of one Tier 1 manager."""


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
    return Tier1(generation_of(version).connect(addresses, access, logger, clock), version, clock=clock)


def connect_alone(
    address: str, access: ManagerAccess, version: Version, *, clock: Clock | None = None
) -> Tier1:
    """Connect to a manager that is in no cluster (yet), of either generation; nothing is sent yet."""
    alone = ActiveManagers([address], lambda address: ManagerClient(address, access), clock=clock)
    return Tier1(alone, version, clock=clock)
