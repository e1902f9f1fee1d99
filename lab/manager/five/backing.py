"""What of generation 5 is on a machine beside the manager: a database, and a broker."""

from __future__ import annotations

from dataclasses import dataclass

from lab.manager.five.brokers import Broker
from lab.manager.five.databases import DatabaseNode


@dataclass
class Backing:
    """A machine's database and its broker; each None unless it is installed there."""

    database: DatabaseNode | None = None
    broker: Broker | None = None

    def power_off(self) -> None:
        """The machine lost power."""
        if self.broker is not None:
            self.broker.power_off()
        if self.database is not None:
            self.database.power_off()

    def power_on(self) -> None:
        """The machine has booted, and its services start."""
        if self.database is not None:
            self.database.power_on()
        if self.broker is not None:
            self.broker.power_on()

    def settle(self) -> None:
        """Let happen what was due, before the machine's reach changes."""
        if self.database is not None and self.database.cluster is not None:
            self.database.cluster.settle()

    def clear(self) -> None:
        """The disk is empty."""
        self.power_off()
        self.database = self.broker = None
