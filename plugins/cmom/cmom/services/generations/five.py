"""Generation 5 (5.1 - 7.0): managers that are all active over a cluster of databases and one of brokers.

A member that is to be one of several gets its package and its certificates while it is installed, side
by side with the others; its services come when the cluster is formed, in an order that holds across machines.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from cmom.clients.active_api import ActiveApi
from cmom.clients.manager import ManagerClient
from cmom.errors import TryAgainLater
from cmom.models import Host, ManagerAccess, Member, Version
from cmom.services.connection import ActiveManagers, Connection
from cmom.services.generation5.changes import Waits
from cmom.services.generation5.check import check
from cmom.services.generation5.forming import Forming
from cmom.services.generation5.joining import Joining
from cmom.services.generation5.layout import Layout, Service, layout_of
from cmom.services.generation5.leadership import let_known_lead
from cmom.services.generation5.leaving import Leaving
from cmom.services.generation5.machines import Machines
from cmom.services.generation5.managers import Managers
from cmom.services.generation5.member import MemberMachine
from cmom.services.generation5.status import summarise
from cmom.services.generations.interface import ClusterSpec, Site
from cmom.services.machine import Machine
from cmom.services.manager_install import ManagerInstaller
from cmom.services.status import DEFAULT_WAIT_SECONDS, ClusterStatus, Previous
from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import Findings
from cmom.services.waiting import Clock
from cmom.services.wanted import DEFAULT_NUM_OF_INSTANCES

_LAST_TO_FIRST = (Service.MANAGER, Service.BROKER, Service.DATABASE)


class Generation5:
    """What is particular to managers of generation 5."""

    number = 5
    join_goes_on = True

    def check(self, version: Version, fields: Fields, findings: Findings) -> None:
        """See `cmom.services.generation5.check`."""
        check(version, fields, findings)

    def install(self, site: Site) -> bool:
        """Put certificates and licence onto the machine; install everything where it is to be alone."""
        machine = MemberMachine(site, [site.host])
        changed = machine.ensure_files()
        return machine.ensure_all_installed() or changed if machine.layout.single else changed

    def serves_when_installed(self, properties: Mapping[str, Any]) -> bool:
        """Tell whether it is to be alone."""
        return layout_of(
            int(properties.get("num_of_instances") or DEFAULT_NUM_OF_INSTANCES),
            external_database=bool(properties.get("external_database")),
            external_brokers=bool(properties.get("external_brokers")),
        ).single

    def uninstall(self, installer: ManagerInstaller) -> bool:
        """Take the services, the package and our files off a machine."""
        alone = layout_of(1, external_database=False, external_brokers=False).single_run
        return installer.remove((*(service.run for service in _LAST_TO_FIRST), alone))

    def restarting(self, machine: Machine) -> Sequence[Sequence[str]]:
        """Return a command for each service that was installed by a run of its own.

        Without its configuration the installer takes a member's database for one that stands alone, and
        starts that beside it (`PostgresqlServer.start`). A database or a broker that runs is not stopped: a
        majority of the others may need it.
        """
        paths = {service: service.run.config_path for service in Service}
        there = machine.find_files(*paths.values())
        found = [(service, path) for service, path in paths.items() if path in there]
        return [
            ("restart" if service is Service.MANAGER else "start", "-c", path) for service, path in found
        ] or [("restart",)]

    def cluster(self, spec: ClusterSpec) -> Cluster5:
        """Return the cluster that some machines form, or are to form."""
        return Cluster5(spec)

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
        """Tell whether others have joined it: a snapshot is restored before they do."""
        with ActiveApi(first.public_ip, access) as manager:
            return len(manager.list_managers()) > 1


class Cluster5:
    """A cluster of generation 5; or a manager that is alone with everything on it.

    Args:
        spec: Its machines, and how they are talked to.
    """

    def __init__(self, spec: ClusterSpec) -> None:
        self._spec = spec
        self._managers = Managers(spec.hosts, spec.access, spec.version, spec.clock)

    def prepare(self) -> bool:
        """See `Forming.prepare`."""
        with self._changing():
            return Forming(self._spec).prepare()

    def form(self) -> bool:
        """See `Forming.finish`."""
        with self._changing():
            return Forming(self._spec).finish()

    def rejoin(self, host: Host) -> bool:
        """See `Joining.join`."""
        with self._changing():
            return Joining(self._spec, self._managers).join(host)

    def remove(self, host: Host, *, dead: bool = False) -> bool:
        """See `Leaving.remove`."""
        with self._changing():
            return Leaving(self._spec, self._managers).remove(host, dead=dead)

    def say_farewell(self, host: Host, *, survived: bool) -> bool:
        """Each member takes its services with it; see `Leaving.forget` for what is not on its machine."""
        return survived and Leaving(self._spec, self._managers).forget(host)

    def mend(self) -> bool:
        """See `let_known_lead`."""
        with self._changing():
            return let_known_lead(self._spec, Waits(self._spec, self._managers))

    def members(self) -> tuple[Member, ...]:
        """List the members by the word of all managers; the databases themselves have a say on the dead."""
        members = self._managers.members()
        if self._spec.open_site is None or all(member.online for member in members):
            return members
        return self._confirmed(members)

    def status(
        self, previous: Previous | None = None, *, wait_seconds: float = DEFAULT_WAIT_SECONDS
    ) -> ClusterStatus:
        """Look at the cluster; bounded, and never raising for what is dead."""
        told = self._managers.ask(wait_seconds, services=True)
        return summarise(self._spec.hosts, told, previous or Previous(), datetime.now(timezone.utc))

    def close(self) -> None:
        """Do nothing: every look connects anew."""

    def _changing(self) -> AbstractContextManager[object]:
        return nullcontext() if self._spec.lock is None else self._spec.lock()

    def _confirmed(self, members: tuple[Member, ...]) -> tuple[Member, ...]:
        """Ask etcd of those that the managers call dead; one it sees alive is only out of their sight."""
        asked = next((host for host in self._spec.hosts if _is_well(members, host)), None)
        if asked is None:
            return members
        with Machines(self._spec) as machines:
            layout: Layout = machines[asked].layout
            if layout.single or Service.DATABASE not in layout.services:
                return members
            try:
                alive = {node.address for node in machines.commands(asked).databases() if node.alive}
            except TryAgainLater as error:
                self._spec.logger.warning("%s", error)
                return members
        return tuple(
            replace(member, online=True) if member.host_ip in alive and not member.online else member
            for member in members
        )


def _is_well(members: Sequence[Member], host: Host) -> bool:
    return any(member.host_ip == host.ip and member.healthy for member in members)
