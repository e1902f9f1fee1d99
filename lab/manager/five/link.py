"""How a manager of a cluster reaches its databases and its brokers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.manager.exceptions import ManagerError
from lab.manager.five import brokers, databases, names
from lab.manager.five.configuration import Config
from lab.manager.host import Machine

if TYPE_CHECKING:
    from lab.manager.five.databases import DatabaseCluster, DatabaseNode
    from lab.manager.five.tables import BrokerRow, ClusterData

_FREE = (
    *("brokers", "managers", "db-nodes", "cluster", "config", "status", "version", "license"),
    *("maintenance", "cluster-status", "file-server-auth", "ok", "tokens", "tenants", "user", "users"),
)
"""The endpoints that need no licence: ALLOWED_LICENSE_ENDPOINTS of manager-rest."""


class ClusterLink:
    """A manager's view of the databases and brokers it was installed over.

    Args:
        machine: The manager's.
        addresses: Of the databases; it changes when members are added or removed.
        external: Whether the database is one alone somewhere else, and no cluster.
    """

    def __init__(self, machine: Machine, addresses: list[str], *, external: bool = False) -> None:
        self.machine, self.addresses, self.external = machine, addresses, external

    @classmethod
    def of(cls, machine: Machine, config: Config) -> ClusterLink:
        """From a manager's configuration."""
        if config.db_addresses:
            return cls(machine, config.db_addresses)
        return cls(machine, [config.text("postgresql_client.host").rsplit(":", 1)[0]], external=True)

    def node(self, address: str) -> DatabaseNode | None:
        """The database at an address, when it answers."""
        resolved = names.resolve(self.machine, address)
        return None if resolved is None else databases.peer_node(self.machine, resolved)

    def leader(self) -> DatabaseNode | None:
        """The database that can be written to; None when there is none."""
        for address in self.addresses:
            node = self.node(address)
            if node is None or not node.alive:
                continue
            cluster = databases.cluster_of(node)
            if cluster is not None and cluster.serving() is node:
                return node
        return None

    def cluster(self) -> DatabaseCluster | None:
        """The cluster of the database that can be written to."""
        leader = self.leader()
        return None if leader is None else leader.cluster

    def data(self) -> ClusterData | None:
        """What is in the database; None while it cannot be reached."""
        cluster = self.cluster()
        return None if cluster is None else cluster.data

    def check(self) -> ClusterData:
        """What is in the database.

        Raises:
            ManagerError: It cannot be reached: 500, as for any fault inside.
        """
        data = self.data()
        if data is None:
            where = ", ".join(self.addresses)
            raise ManagerError(
                "Internal error occurred in manager REST server - OperationalError: "
                f"(psycopg2.OperationalError) could not connect to a leader of the database at {where}"
            )
        return data

    def has_broker(self, rows: list[BrokerRow]) -> bool:
        """Whether any of the brokers can be used."""
        return any(self.broker_works(row) for row in rows)

    def broker_works(self, row: BrokerRow) -> bool:
        """Whether a broker can be used: it runs, can be reached, and knows the user."""
        address = names.resolve(self.machine, row.host)
        found = None if address is None else brokers.find(self.machine, address)
        return (
            found is not None
            and found.running
            and (found.username, found.password) == (row.username, row.password)
        )


def check_license(data: ClusterData, path: str, method: str, now: float) -> None:
    """Refuse what a cluster does not do without a licence.

    Args:
        path: Of the request, from `/api` on.

    Raises:
        ManagerError: There is no licence, or it has expired.
    """
    parts = [part for part in path.split("/") if part][1:]
    endpoint = next((part for part in parts if not part.startswith("v")), "")
    if "version" in parts or (endpoint in _FREE and (endpoint != "users" or method == "GET")):
        return
    found = data.tables.license
    if found is None:
        raise ManagerError(
            "There is no Cloudify license installed on this Manager",
            status=400,
            code="missing_cloudify_license",
        )
    if found.stops(now):
        raise ManagerError("This Manager`s license has expired", status=400, code="expired_cloudify_license")
