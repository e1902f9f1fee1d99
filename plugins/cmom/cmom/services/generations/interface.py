"""What a generation of Tier 1 is to the rest of the product: how a manager is installed, and a cluster lives.

Nothing above asks which generation it has. What only the wire knows (how a blueprint is uploaded, how fast
requests may follow each other) stays in `cmom.clients`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from cmom.models import Host, ManagerAccess, Member, Version
from cmom.services.certificates import Authority
from cmom.services.cluster_times import ClusterTimes
from cmom.services.connection import Connection
from cmom.services.machine import Machine
from cmom.services.manager_install import ManagerInstaller
from cmom.services.status import DEFAULT_WAIT_SECONDS, ClusterStatus, Previous
from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import Findings
from cmom.services.waiting import Clock
from cmom.services.wanted import InstallInputs


@dataclass(frozen=True)
class Site:
    """One machine that is logged in to, and all that it takes to install a manager on it.

    Attributes:
        version: Of the manager that is to be there.
        deployment_id: Of the deployment on Tier 2 that it belongs to.
        access: To the REST service of its manager.
        poll_seconds: How often what takes long is looked at.
    """

    host: Host
    version: Version
    inputs: InstallInputs
    authority: Authority
    now: datetime
    installer: ManagerInstaller
    deployment_id: str
    access: ManagerAccess
    poll_seconds: float
    logger: logging.Logger


OpenSite = Callable[[Host, logging.Logger], AbstractContextManager[Site]]
"""Logs in to the machine of a member; the logger gets what happens there."""


@dataclass(frozen=True)
class ClusterSpec:
    """The machines of a cluster, and how they are talked to.

    Attributes:
        hosts: All machines that are, or are to be, members; the first one comes first in everything.
        open_site: None for whoever only looks.
        greets: Tells whether a machine can be logged in to at this moment; who opens a site waits for it.
        forming: Whether the cluster is being formed by this very workflow, so that its members know
            each other by their configuration.
        clock: For tests.
        times: See `ClusterTimes`.
        lock: Makes a lock that only one change of the membership holds at a time.
    """

    hosts: Sequence[Host]
    access: ManagerAccess
    version: Version
    logger: logging.Logger
    open_site: OpenSite | None = None
    greets: Callable[[Host], bool] = lambda _host: True
    forming: bool = False
    clock: Clock | None = None
    times: ClusterTimes | None = None
    lock: Callable[[], AbstractContextManager[object]] | None = None


class Cluster(Protocol):
    """A cluster. Everything that changes it converges, and tells whether it changed anything."""

    def prepare(self) -> bool:
        """Bring the first member so far that a snapshot can be restored onto it."""

    def form(self) -> bool:
        """Make sure that there is a cluster."""

    def rejoin(self, host: Host) -> bool:
        """Make sure that a machine is a working member; also how a rebuilt one comes back."""

    def remove(self, host: Host, *, dead: bool = False) -> bool:
        """Make sure that a machine, alive or dead, is not a member.

        Args:
            host: Which machine.
            dead: Whether it is removed because it is dead, and not because it is asked to leave.

        Raises:
            CameBack: It was to be removed because it is dead, and is no more.
        """

    def say_farewell(self, host: Host, *, survived: bool) -> bool:
        """Let go of a member while the cluster as a whole goes.

        Args:
            host: Which.
            survived: Whether its members are known to a database that stays.
        """

    def mend(self) -> bool:
        """Make right what an interrupted join has left, if that keeps the cluster from telling how it is."""

    def members(self) -> tuple[Member, ...]:
        """List the members by the cluster's own word."""

    def status(
        self, previous: Previous | None = None, *, wait_seconds: float = DEFAULT_WAIT_SECONDS
    ) -> ClusterStatus:
        """Look at the cluster; bounded, and never raising for what is dead."""

    def close(self) -> None:
        """Let go of all connections."""


class Generation(Protocol):
    """What differs between generations; an object without state."""

    @property
    def number(self) -> int:
        """Which one it is, for people."""

    @property
    def join_goes_on(self) -> bool:
        """Whether a heal that failed while its member joined goes on; else the machine is made anew."""

    def check(self, version: Version, fields: Fields, findings: Findings) -> None:
        """Judge what the user gave as strictly as the installer will, before any machine is touched.

        Args:
            version: Of the managers that are to be installed.
            fields: The inputs; what is wrong with each of them alone is known already.
            findings: Where faults and warnings go.
        """

    def install(self, site: Site) -> bool:
        """Have on a machine what a member needs before there is a cluster; tell whether anything changed."""

    def serves_when_installed(self, properties: Mapping[str, Any]) -> bool:
        """Tell whether `install` ends with a manager that serves, or whether that takes the cluster.

        Args:
            properties: Inputs by their names, as the manager's node has them.
        """

    def uninstall(self, installer: ManagerInstaller) -> bool:
        """Take everything off a machine; it takes no more than SSH."""

    def restarting(self, machine: Machine) -> Sequence[Sequence[str]]:
        """Return what to give ``cfy_manager``, one after the other, to restart a member's services."""

    def cluster(self, spec: ClusterSpec) -> Cluster:
        """Return the cluster that some machines form, or are to form."""

    def connect(
        self,
        addresses: Sequence[str],
        access: ManagerAccess,
        logger: logging.Logger,
        clock: Clock | None = None,
    ) -> Connection:
        """Return the connection to whichever member serves: where resources go, and backups are taken."""

    def is_beyond_restoring(self, first: Host, access: ManagerAccess) -> bool:
        """Tell whether the time in which a snapshot can be restored onto the first member is over."""
