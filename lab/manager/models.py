"""A manager: its version, its data, its place in a cluster, and whether it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.manager import certificates
from lab.manager.configuration import Configuration
from lab.manager.database import Database
from lab.manager.engine import Script
from lab.manager.files import Files
from lab.manager.five.tables import Tables
from lab.manager.generation import parse_version, traits_of
from lab.manager.host import Machine, Settings
from lab.manager.seat import Seat
from lab.manager.stores.users import User

if TYPE_CHECKING:
    from lab.manager.five.link import ClusterLink


class Manager:
    """The manager that is installed on one machine.

    Attributes:
        machine: Where it runs.
        configuration: What it was installed with.
        version: E.g. `4.6.0`, from the install package.
        database: What it knows; shared with the other members of its cluster.
        files: What lies below its `/opt/manager/resources`.
        outage_until: Until when nginx answers for a REST service that restarts.
        seat: Its place in a cluster of generation 4.
        link: Its way to the databases and brokers of a cluster of generation 5; None for a manager
            with its own.
        own_tables: What a manager of generation 5 with its own database keeps about itself.
        powered: False from a power cut until the machine has booted.
        on_since: Since when it serves.
        off_since: The time of the last power cut; None while it runs.
    """

    def __init__(
        self,
        machine: Machine,
        configuration: Configuration,
        version: str,
        link: ClusterLink | None = None,
    ) -> None:
        self.machine = machine
        self.configuration = configuration
        self.version = version
        self.traits = traits_of(version)
        self.database = Database()
        self.database.users.add(User.create(configuration.admin_username, configuration.admin_password or ""))
        self.files = Files(machine)
        self.seat = Seat(self)
        self.link = link
        self.own_tables = Tables()
        self.outage_until = 0.0
        self.powered = False
        self.off_since: float | None = None
        self.on_since = self.now()

    @property
    def settings(self) -> Settings:
        """The durations in force now (they may be changed while the lab runs)."""
        return Settings.of(self.machine)

    @property
    def edition(self) -> str:
        """`premium` or `community`."""
        return self.settings.edition

    @property
    def running(self) -> bool:
        """Whether it is this manager that answers on its machine now."""
        return self.powered and self.machine.manager is self

    @property
    def tables(self) -> Tables:
        """Managers, brokers and databases as this manager's database lists them (generation 5).

        Raises:
            ManagerError: The database cannot be reached.
        """
        return self.own_tables if self.link is None else self.link.check().tables

    def now(self) -> float:
        """Seconds since the epoch on the machine's clock."""
        return self.machine.clock.now()

    def settle(self) -> None:
        """Let everything happen that was due until now."""
        now = self.now()
        self.seat.settle(now)
        if self.link is not None and self.link.leader() is None:
            # Nothing goes on without the database.
            return
        self.database.schedule.settle(now)
        self.database.maintenance.settle(
            bool(self.database.executions.active()), now, self.settings.maintenance_seconds
        )

    def replicate_files(self) -> None:
        """Files have changed: carry them to the replicas."""
        if self.seat.cluster is not None:
            self.seat.cluster.replicate_files()
        if self.link is not None:
            for other in self._peers():
                self.files.mirror(other.files)

    def _peers(self) -> list[Manager]:
        """The other managers of its cluster of generation 5 that share files with it now."""
        data = self.link.data() if self.link is not None else None
        rows = data.tables.managers.values() if data is not None else ()
        mine = [row for row in rows if row.manager is self]
        if not mine or not mine[0].synced:
            return []
        return [
            row.manager
            for row in rows
            if row.manager is not self
            and row.synced
            and row.manager.running
            and self.machine.reachable_by_peer(row.manager.machine)
        ]

    def script(self, script: Script) -> None:
        """Tell how the next executions of a workflow are to go."""
        self.database.engine.scripts.append(script)

    def power_off(self) -> None:
        """The machine lost power: no more answers, the data stays on its disk."""
        if self.powered:
            self.settle()
            self.powered = False
            self.off_since = self.now()
            self.seat.power_off()

    async def power_on(self) -> None:
        """The machine has booted: serve REST again, with the data that is there.

        Without `ssl_enabled` a real manager speaks plain HTTP on port 80; that is not emulated,
        and the REST port stays closed.
        """
        from lab.manager.urls import build_application

        if self.configuration.ssl_enabled:
            context = certificates.server_context(*map(self.machine.path, self._serving_pair()))
            await self.machine.serve_rest(build_application(self), context)
        self.powered = True
        self.off_since = None
        self.on_since = self.now()
        self.seat.power_on(self.now())
        for other in self._peers()[:1]:
            # What was written while it was away.
            other.files.mirror(self.files)

    def _serving_pair(self) -> tuple[str, str]:
        from lab.manager.five.certs import is_address
        from lab.manager.five.files import INTERNAL_CERT, INTERNAL_KEY
        from lab.manager.installer import EXTERNAL_CERT, EXTERNAL_KEY

        # From 7.0 on one port serves both; which certificate is told by the name that is asked for,
        # and an address has none.
        internal = parse_version(self.version) >= (7, 0, 0) and is_address(self.configuration.public_ip)
        return (INTERNAL_CERT, INTERNAL_KEY) if internal else (EXTERNAL_CERT, EXTERNAL_KEY)
