"""What differs between generations of Tier 1, behind one interface: who is in a cluster, and how it is.

The layers above ask for `Generation` and do not know which one they got. Differences of installation
(``config.yaml``) are elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

from cmom.clients.cluster_api import ClusterApi
from cmom.errors import ActionRequired
from cmom.models import Host, ManagerAccess, Member, Version
from cmom.services.cluster import ClusterService
from cmom.services.formation import ClusterTimes
from cmom.services.leader import ClusterConnection
from cmom.services.status import DEFAULT_WAIT_SECONDS, ClusterStatus, Previous, collect, request_timeouts
from cmom.services.waiting import Clock

GENERATION_4 = 4


class Generation(Protocol):
    """A cluster of one generation. Every ``ensure_`` converges and tells whether it changed anything."""

    def ensure_started(self, first: Host) -> bool:
        """Make sure that there is a cluster with this machine in it."""

    def ensure_joined(self, host: Host) -> bool:
        """Make sure that a machine is a working member; also how a rebuilt one comes back."""

    def ensure_left(self, host: Host, *, hand_over: bool = True) -> bool:
        """Make sure that a machine, alive or dead, is not a member."""

    def members(self) -> tuple[Member, ...]:
        """List the members by the cluster's own word."""

    def status(
        self, previous: Previous | None = None, *, wait_seconds: float = DEFAULT_WAIT_SECONDS
    ) -> ClusterStatus:
        """Look at the cluster; bounded, and never raising for what is dead."""

    def close(self) -> None:
        """Let go of all connections."""


class Generation4:
    """Generation 4: one leader, replicas.

    Args:
        hosts: All machines that are, or are to be, members.
        access: To their managers.
        logger: Gets the progress.
        clock: For tests.
        times: See `ClusterTimes`.
        lock: See `ClusterService`.
    """

    def __init__(
        self,
        hosts: Sequence[Host],
        access: ManagerAccess,
        logger: logging.Logger,
        *,
        clock: Clock | None = None,
        times: ClusterTimes | None = None,
        lock: Callable[[], AbstractContextManager[object]] | None = None,
    ) -> None:
        self._hosts = tuple(hosts)
        self._access = access
        self.connection = ClusterConnection(
            [host.public_ip for host in self._hosts],
            lambda address: ClusterApi(address, access),
            clock=clock,
            logger=logger,
        )
        self._service = ClusterService(
            self._hosts, self.connection, logger, clock=clock, times=times, lock=lock
        )

    def __enter__(self) -> Generation4:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ensure_started(self, first: Host) -> bool:
        """See `ClusterService.ensure_started`."""
        return self._service.ensure_started(first)

    def ensure_joined(self, host: Host) -> bool:
        """See `ClusterService.ensure_joined`."""
        return self._service.ensure_joined(host)

    def ensure_left(self, host: Host, *, hand_over: bool = True) -> bool:
        """See `ClusterService.ensure_left`."""
        return self._service.ensure_left(host, hand_over=hand_over)

    def hand_over_leadership(self, away_from: Host) -> bool:
        """See `ClusterService.hand_over_leadership`."""
        return self._service.hand_over_leadership(away_from)

    def members(self) -> tuple[Member, ...]:
        """See `ClusterService.members`."""
        return self._service.members()

    def status(
        self, previous: Previous | None = None, *, wait_seconds: float = DEFAULT_WAIT_SECONDS
    ) -> ClusterStatus:
        """See `collect`."""
        timeouts = request_timeouts(wait_seconds)
        return collect(
            self._hosts,
            lambda address: ClusterApi(address, self._access, timeouts=timeouts),
            previous=previous,
            wait_seconds=wait_seconds,
        )

    def close(self) -> None:
        """Let go of all connections."""
        self.connection.close()


def generation_for(
    version: Version,
    hosts: Sequence[Host],
    access: ManagerAccess,
    logger: logging.Logger,
    *,
    clock: Clock | None = None,
    times: ClusterTimes | None = None,
    lock: Callable[[], AbstractContextManager[object]] | None = None,
) -> Generation:
    """Choose the generation by the version of the managers.

    Raises:
        ActionRequired: It is a generation that is not supported.
    """
    if version.generation != GENERATION_4:
        raise ActionRequired(
            f"Managers of version {version} are of generation {version.generation}, whose clusters are not "
            "supported yet: use an install RPM of 4.3 - 4.6."
        )
    return Generation4(hosts, access, logger, clock=clock, times=times, lock=lock)
