"""A manager: its version, its data, its place in a cluster, and whether it runs."""

from __future__ import annotations

from lab.manager import certificates
from lab.manager.configuration import Configuration
from lab.manager.database import Database
from lab.manager.engine import Script
from lab.manager.files import Files
from lab.manager.generation import traits_of
from lab.manager.host import Machine, Settings
from lab.manager.seat import Seat
from lab.manager.stores.users import User


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
        powered: False from a power cut until the machine has booted.
        on_since: Since when it serves.
        off_since: The time of the last power cut; None while it runs.
    """

    def __init__(self, machine: Machine, configuration: Configuration, version: str) -> None:
        self.machine = machine
        self.configuration = configuration
        self.version = version
        self.traits = traits_of(version)
        self.database = Database()
        self.database.users.add(User.create(configuration.admin_username, configuration.admin_password or ""))
        self.files = Files(machine)
        self.seat = Seat(self)
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

    def now(self) -> float:
        """Seconds since the epoch on the machine's clock."""
        return self.machine.clock.now()

    def settle(self) -> None:
        """Let everything happen that was due until now."""
        now = self.now()
        self.seat.settle(now)
        self.database.schedule.settle(now)
        self.database.maintenance.settle(
            bool(self.database.executions.active()), now, self.settings.maintenance_seconds
        )

    def replicate_files(self) -> None:
        """Files have changed: carry them to the replicas."""
        if self.seat.cluster is not None:
            self.seat.cluster.replicate_files()

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
        from lab.manager.installer import EXTERNAL_CERT, EXTERNAL_KEY
        from lab.manager.urls import build_application

        if self.configuration.ssl_enabled:
            context = certificates.server_context(
                self.machine.path(EXTERNAL_CERT), self.machine.path(EXTERNAL_KEY)
            )
            await self.machine.serve_rest(build_application(self), context)
        self.powered = True
        self.off_since = None
        self.on_since = self.now()
        self.seat.power_on(self.now())
