"""Generation 5 (5.1 - 7.0), managers that are all active; so far only how one is talked to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NoReturn

from cmom.clients.manager import ManagerClient
from cmom.errors import ActionRequired
from cmom.models import Host, ManagerAccess, Version
from cmom.services.connection import ActiveManagers, Connection
from cmom.services.generations.interface import Cluster, ClusterSpec, Site
from cmom.services.manager_install import ManagerInstaller
from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import Findings
from cmom.services.waiting import Clock
from cmom.services.wanted import InstallInputs


class Generation5:
    """What is particular to managers of generation 5."""

    number = 5

    def check(self, version: Version, fields: Fields, findings: Findings) -> None:
        """Find nothing: the preflight refuses this generation as a whole."""

    def install(self, site: Site) -> bool:
        """Refuse."""
        _refuse(site.version)

    def serves_when_installed(self, inputs: InstallInputs) -> bool:
        """Tell that a manager serves once it is installed."""
        return True

    def uninstall(self, installer: ManagerInstaller) -> bool:
        """Take what there may be off a machine."""
        return installer.remove()

    def cluster(self, spec: ClusterSpec) -> Cluster:
        """Refuse."""
        _refuse(spec.version)

    def connect(
        self,
        addresses: Sequence[str],
        access: ManagerAccess,
        logger: logging.Logger,
        clock: Clock | None = None,
    ) -> Connection:
        """Return the connection to any of the members: all of them serve."""
        return ActiveManagers(addresses, lambda address: ManagerClient(address, access), clock=clock)

    def is_beyond_restoring(self, first: Host, access: ManagerAccess) -> bool:
        """Tell that it never is: they are a cluster from the start, of one or of several."""
        return False


def _refuse(version: Version) -> NoReturn:
    raise ActionRequired(
        f"Managers of version {version} are of generation 5, whose clusters are not supported yet: use an "
        "install RPM of 4.3 - 4.6."
    )
