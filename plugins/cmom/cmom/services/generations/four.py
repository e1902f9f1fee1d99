"""Generation 4 (4.3 - 4.6): one leader, replicas; each manager is whole by itself before it joins."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from cmom.clients.cluster_api import ClusterApi
from cmom.errors import NotClusterMaster, RemovedFromCluster
from cmom.models import Host, ManagerAccess, Member, Version
from cmom.services import certificates
from cmom.services.cluster import ClusterService
from cmom.services.cluster_times import ClusterTimes
from cmom.services.connection import Connection
from cmom.services.generations.interface import ClusterSpec, Site
from cmom.services.installation import InstallerRun
from cmom.services.leader import ClusterConnection
from cmom.services.machine import Machine
from cmom.services.manager_config import (
    ManagerSettings,
    check_additional_config,
    generation_4_config,
    generation_4_identity,
)
from cmom.services.manager_install import ManagerInstaller, RemoteFiles
from cmom.services.status import DEFAULT_WAIT_SECONDS, ClusterStatus, Previous, collect, request_timeouts
from cmom.services.validation.external import EXTERNAL_INPUTS
from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import Findings
from cmom.services.validation.manager import read_additional_config
from cmom.services.waiting import Clock


class Generation4:
    """What is particular to managers of generation 4."""

    number = 4
    join_goes_on = False

    def check(self, version: Version, fields: Fields, findings: Findings) -> None:
        """Judge `additional_config`, and name the inputs that mean nothing here."""
        check_additional_config(read_additional_config(fields), findings)
        for name in EXTERNAL_INPUTS:
            if fields.given(name) and fields.raw(name) != {}:
                findings.warn(name, f"means nothing to generation {self.number}, and is ignored")

    def install(self, site: Site) -> bool:
        """Issue the certificates, write config.yaml, and run the installer."""
        inputs, host = site.inputs, site.host
        settings = ManagerSettings(
            admin_username=inputs.admin_username,
            admin_password=inputs.admin_password,
            ldap=inputs.ldap,
            additional_config=inputs.additional_config,
        )
        return site.installer.configure(
            generation_4_config(host, settings),
            _remote_files(certificates.issue(host, site.authority, site.now), settings),
            lambda _path, there: certificates.fits(there, host, site.authority, site.now),
            generation_4_identity(host, settings),
        )

    def serves_when_installed(self, properties: Mapping[str, Any]) -> bool:
        """Tell that a manager serves once it is installed, whatever becomes of the cluster."""
        return True

    def uninstall(self, installer: ManagerInstaller) -> bool:
        """Take the manager, its package and our files off a machine."""
        return installer.remove((InstallerRun(),))

    def restarting(self, machine: Machine) -> Sequence[Sequence[str]]:
        """Return the one command for all of them."""
        return (("restart",),)

    def cluster(self, spec: ClusterSpec) -> Cluster4:
        """Return the cluster that some machines form, or are to form."""
        return Cluster4(
            spec.hosts, spec.access, spec.logger, clock=spec.clock, times=spec.times, lock=spec.lock
        )

    def connect(
        self,
        addresses: Sequence[str],
        access: ManagerAccess,
        logger: logging.Logger,
        clock: Clock | None = None,
    ) -> Connection:
        """Return the connection to the one member that serves: the leader, whoever that is."""
        return ClusterConnection(
            addresses, lambda address: ClusterApi(address, access), clock=clock, logger=logger
        )

    def is_beyond_restoring(self, first: Host, access: ManagerAccess) -> bool:
        """Tell whether the first member is in a cluster already; then nothing can be restored onto it."""
        with ClusterApi(first.public_ip, access) as manager:
            try:
                return manager.get_cluster().initialized
            except (NotClusterMaster, RemovedFromCluster):
                return True


class Cluster4:
    """A cluster of generation 4: one leader, replicas.

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

    def __enter__(self) -> Cluster4:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def prepare(self) -> bool:
        """Do nothing: a manager of this generation serves before there is a cluster."""
        return False

    def form(self) -> bool:
        """See `ClusterService.ensure_started`; the others come in by `rejoin`."""
        return self._service.ensure_started(self._hosts[0])

    def rejoin(self, host: Host) -> bool:
        """See `ClusterService.ensure_joined`."""
        return self._service.ensure_joined(host)

    def remove(self, host: Host, *, dead: bool = False) -> bool:
        """See `ClusterService.ensure_left`."""
        return self._service.ensure_left(host, hand_over=not dead, dead=dead)

    def mend(self) -> bool:
        """Do nothing: the members elect a leader themselves, and all of them know it."""
        return False

    def say_farewell(self, host: Host, *, survived: bool) -> bool:
        """See `ClusterService.ensure_left`: the leader stays until the end."""
        return self._service.ensure_left(host, hand_over=False)

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


def _remote_files(issued: certificates.MachineCertificates, settings: ManagerSettings) -> RemoteFiles:
    """Say which certificate and key goes where; keys for root's eyes only."""
    paths = settings.certificates
    return {
        paths.external_certificate: (issued.external.certificate_pem, 0o644),
        paths.external_key: (issued.external.key_pem, 0o600),
        paths.internal_certificate: (issued.internal.certificate_pem, 0o644),
        paths.internal_key: (issued.internal.key_pem, 0o600),
        paths.ca_certificate: (issued.ca_certificate_pem, 0o644),
    }
