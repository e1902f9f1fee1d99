"""What the managers of one cluster keep in their database beside the resources: themselves.

A manager alone has such tables too, with itself in them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.manager.database import Database
from lab.manager.five.license import License

if TYPE_CHECKING:
    from lab.manager.models import Manager


@dataclass
class ManagerRow:
    """One of `managers`.

    Attributes:
        manager: Who registered last under this name.
        synced: Whether its files are replicated; not those of one that came again without having
            been removed.
    """

    id: int
    hostname: str
    private_ip: str
    public_ip: str
    version: str
    networks: dict[str, str]
    ca_cert: str | None
    manager: Manager
    synced: bool = True


@dataclass
class BrokerRow:
    """One of `brokers`."""

    name: str
    host: str
    networks: dict[str, str]
    username: str
    password: str = field(repr=False)
    ca_cert: str | None = None
    is_external: bool = False
    port: int | None = None
    management_host: str | None = None


@dataclass
class DatabaseRow:
    """One of `db_nodes`."""

    name: str
    host: str
    is_external: bool = False


@dataclass
class Tables:
    """Managers, brokers and databases by name, and the licence."""

    managers: dict[str, ManagerRow] = field(default_factory=dict)
    brokers: dict[str, BrokerRow] = field(default_factory=dict)
    db_nodes: dict[str, DatabaseRow] = field(default_factory=dict)
    license: License | None = None
    joining: str = ""

    def register(self, row: ManagerRow) -> None:
        """Add a manager, or let it take the row of its name."""
        self.managers[row.hostname] = row

    def next_id(self) -> int:
        """The number of the next manager."""
        return max((row.id for row in self.managers.values()), default=-1) + 1


@dataclass
class ClusterData:
    """What is in the databases of a cluster.

    Attributes:
        version: Of the managers whose schema it is.
        cloudify_password: Of the database's user `cloudify`.
    """

    database: Database
    version: str
    cloudify_password: str = field(repr=False)
    tables: Tables = field(default_factory=Tables)
