"""`cfy_manager dbs list|add|remove|reinit|set-master`, on a database or on a manager.

Which of the two it is run as is told by the services of its configuration. What a database does, it
does in etcd; what a manager does, in its own configuration of REST and in the table of databases.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lab.manager.five import databases, files, names
from lab.manager.five.configuration import DATABASE, MANAGER, Config
from lab.manager.five.console import Console
from lab.manager.five.databases import DatabaseCluster, DatabaseNode
from lab.manager.five.errors import BootstrapError, DBManagementError, DBNodeListError
from lab.manager.five.link import ClusterLink
from lab.manager.five.prepared import check_prepared, check_supported
from lab.manager.five.tables import DatabaseRow
from lab.manager.host import Machine, Settings

HEALTHY, DEGRADED, DOWN = 0, 1, 2
_COLUMNS = ("node_ip", "state", "alive", "etcd_state", "errors")
_WHERE = "POSTGRESQL_SERVER"
_WORDS = {
    HEALTHY: ("INFO", "DB cluster is healthy."),
    DEGRADED: ("WARNING", "DB cluster is unhealthy."),
    DOWN: ("ERROR", "DB cluster is down."),
}


class View:
    """A database cluster as one machine sees it: the leader, and the other members.

    Raises:
        DBNodeListError: A database's etcd has no majority.
        BootstrapError: A manager finds no leader.
    """

    def __init__(self, machine: Machine, config: Config) -> None:
        self.machine, self.config = machine, config
        self.is_database = DATABASE in config.services
        self.link = machine.manager.link if machine.manager is not None else None
        found = self._of_database() if self.is_database else self._of_manager()
        self.cluster: DatabaseCluster = found[0]
        self.leader, self.members = found[1], found[2]

    def _of_database(self) -> tuple[DatabaseCluster, str | None, list[str]]:
        node = self.machine.backing.database
        cluster = None if node is None or node.apart else databases.cluster_of(node)
        # etcdctl asks all members; it is enough that one of them has a majority.
        reached = (
            [] if cluster is None or node is None else [one for one in cluster.nodes() if self._sees(one)]
        )
        if cluster is None or not any(cluster.quorate(one) for one in reached):
            raise DBNodeListError(
                "Etcd is not responding on this node. Please retry this command on another DB cluster node."
            )
        leader = cluster.acting_leader()
        return cluster, None if leader is None else leader.address, list(cluster.members)

    def _of_manager(self) -> tuple[DatabaseCluster, str | None, list[str]]:
        link = self.link or ClusterLink.of(self.machine, self.config)
        for address in link.addresses:
            node = link.node(address)
            cluster = None if node is None or node.apart else databases.cluster_of(node)
            leader = None if cluster is None else cluster.acting_leader()
            if cluster is not None and leader is not None and leader.address in link.addresses:
                return cluster, leader.address, list(link.addresses)
        raise BootstrapError("No DB leader found in 10 attempts.")

    def _sees(self, node: DatabaseNode) -> bool:
        return node.alive and (node.machine is self.machine or self.machine.reachable_by_peer(node.machine))

    @property
    def replicas(self) -> list[str]:
        """All members but the leader."""
        return [address for address in self.members if address != self.leader]

    def answers(self, address: str) -> DatabaseNode | None:
        """The database at an address, when its patroni answers."""
        resolved = names.resolve(self.machine, address)
        node = None if resolved is None else databases.peer_node(self.machine, resolved)
        return node if node is not None and node.alive else None

    def row(self, address: str) -> dict[str, object]:
        """One line of the list."""
        node = self.answers(address)
        if node is None or node.cluster is not self.cluster:
            errors = ["Could not retrieve DB status", "Could not retrieve etcd status"]
            return dict(zip(_COLUMNS, (address, "dead", False, "dead", errors), strict=True))
        behind = node.ready_at > self.machine.clock.now()
        sync = self.cluster.sync_replica()
        state = "leader" if address == self.leader else "sync_replica" if node is sync else "async_replica"
        etcd = "StateLeader" if address == self._etcd_leader() else "StateFollower"
        errors = ["Node not running", "Could not get lag details."] if behind else []
        return dict(zip(_COLUMNS, (address, state, not behind, etcd, errors), strict=True))

    def _etcd_leader(self) -> str | None:
        """etcd has a leader of its own; here it is PostgreSQL's, or the first that has a majority."""
        if self.leader is not None:
            return self.leader
        return next((one.address for one in self.cluster.nodes() if self.cluster.quorate(one)), None)


Command = Callable[[Machine, Console, Config, str], Awaitable[int]]


def list_databases(machine: Machine, console: Console, config: Config) -> int:
    """Print the members; the exit code tells the state.

    Raises:
        DBNodeListError, BootstrapError: They cannot be listed.
    """
    if not _clustered(machine, console, config, "db_cluster_list"):
        return 0
    view = View(machine, config)
    rows = [view.row(address) for address in (view.leader, *view.replicas) if address is not None]
    state = HEALTHY
    followers = sum(row["etcd_state"] == "StateFollower" for row in rows)
    if any(
        row["state"] not in ("leader", "sync_replica", "async_replica") or not row["alive"] for row in rows
    ):
        state = DEGRADED
    if view.leader is None:
        console.say(_WHERE, "ERROR", "No master found.")
        state = DOWN
    if view.cluster.sync_replica() is None:
        console.say(_WHERE, "ERROR", "No synchronous replicas found.")
        state = DOWN
    if followers < len(view.members) // 2:
        console.say(_WHERE, "ERROR", "Insufficient etcd followers found, cluster consensus lost.")
        state = DOWN
    elif followers < len(rows) - 1:
        console.say(_WHERE, "WARNING", "Missing one or more etcd followers.")
    console.say("MAIN", *_WORDS[state])
    console.table(rows, _COLUMNS)
    return state


async def add(machine: Machine, console: Console, config: Config, address: str) -> int:
    """Tell this manager of a database that has joined; returns the exit code.

    Raises:
        DBManagementError: It is refused.
    """
    if not _clustered(machine, console, config, "db_node_add"):
        return 0
    if DATABASE in config.services:
        raise DBManagementError(
            "Database cluster nodes should be added to the cluster during install, by setting the "
            "appropriate entries in the config.yaml."
        )
    view = View(machine, config)
    if address in view.members:
        raise DBManagementError(
            f"Cannot add DB node {address} to cluster, as it is already part of the cluster."
        )
    node = view.answers(address)
    if node is None or node.cluster is not view.cluster:
        raise DBManagementError(
            f"DB cluster node {address} does not appear to be operational. Please ensure DB cluster "
            "management software is installed and running before trying to add the node."
        )
    await _tell_rest(view, console, [*view.members, address])
    if view.cluster.data is not None:
        rows = view.cluster.data.tables.db_nodes
        if all(row.host != address for row in rows.values()):
            rows[address] = DatabaseRow(address, address)
    return 0


async def remove(machine: Machine, console: Console, config: Config, address: str) -> int:
    """Remove a replica from etcd, or from what this manager knows; returns the exit code.

    Raises:
        DBManagementError: It is refused.
    """
    if not _clustered(machine, console, config, "db_node_remove"):
        return 0
    view = View(machine, config)
    if len(view.replicas) < 2:
        raise DBManagementError(
            "The last replica cannot be removed. A new replica must be added before removing the target node."
        )
    if address == view.leader:
        raise DBManagementError(
            "The currently active DB master node cannot be removed. Please set the master to a different "
            "node before retrying this command."
        )
    if address not in view.members:
        raise DBManagementError(
            f"Cannot find node with address{address} for removal. The following nodes can be removed: "
            f"{', '.join(view.replicas)}"
        )
    if view.is_database:
        console.say(_WHERE, "INFO", f"Removing etcd node {address}")
        view.cluster.forget(address)
        console.say(_WHERE, "INFO", f"Updating pg_hba to remove {address}")
        console.say(_WHERE, "INFO", f"Node {address} removed.")
        return 0
    await _tell_rest(view, console, [one for one in view.members if one != address])
    if view.cluster.data is not None:
        rows = view.cluster.data.tables.db_nodes
        for name in [row.name for row in rows.values() if row.host == address]:
            del rows[name]
    return 0


async def reinit(machine: Machine, console: Console, config: Config, address: str) -> int:
    """Let a replica copy everything anew; returns the exit code.

    Raises:
        DBManagementError: It is refused.
    """
    if not _clustered(machine, console, config, "db_node_reinit"):
        return 0
    view = View(machine, config)
    if address == view.leader:
        raise DBManagementError("The currently active DB master node cannot be reinitialised.")
    if address not in view.members:
        raise DBManagementError(f"Cannot reinitialise DB node {address}, as it is not part of the cluster.")
    if not view.is_database:
        raise DBManagementError("Reinitialise can only be run from a DB node.")
    console.say(_WHERE, "INFO", f"Reinitialising DB node {address}")
    node = view.answers(address)
    if node is None:
        raise DBManagementError(f"Failed running command: patronictl reinit: no answer from {address}")
    node.ready_at = machine.clock.now() + Settings.of(node.machine).replicate_seconds
    console.say(_WHERE, "INFO", f"DB node {address} reinitialised.")
    return 0


async def set_master(machine: Machine, console: Console, config: Config, address: str) -> int:
    """Let another member lead; returns the exit code.

    Raises:
        DBManagementError: It is refused.
    """
    if not _clustered(machine, console, config, "db_node_set_master"):
        return 0
    view = View(machine, config)
    if not view.is_database:
        raise DBManagementError("Set master can only be run from a DB node.")
    if address == view.leader:
        console.say(_WHERE, "INFO", "The selected node is the current master.")
        return 0
    if address not in view.members:
        raise DBManagementError(f"Cannot make DB node {address} master, as it is not part of the cluster.")
    node = view.answers(address)
    if node is None or node.ready_at > machine.clock.now() or not view.cluster.quorate(node):
        raise DBManagementError(
            f"{address} did not manage to become synchronous replica. Before you retry, please ensure the DB "
            "cluster is healthy and the managers are in maintenance mode."
        )
    console.say(_WHERE, "INFO", f"Changing master to {address}")
    view.cluster.lead(address)
    console.say(_WHERE, "INFO", f"Master changed to {address}")
    return 0


def _clustered(machine: Machine, console: Console, config: Config, command: str) -> bool:
    check_prepared(machine, config, command)
    check_supported(machine, command, [DATABASE, MANAGER])
    if config.section("postgresql_server.cluster.nodes"):
        return True
    console.say("MAIN", "INFO", "There is no database cluster associated with this node.")
    return False


async def _tell_rest(view: View, console: Console, addresses: list[str]) -> None:
    """Write the databases into the configuration of REST and restart it."""
    console.say(_WHERE, "INFO", "Updating rest service configuration")
    manager = view.machine.manager
    if manager is None or manager.link is None:
        raise DBManagementError("There is no rest service on this node")
    manager.link.addresses = addresses
    files.write_rest_config(view.machine, {"postgresql_host": addresses})
    console.say(_WHERE, "INFO", "Restarting rest service")
    manager.on_since = manager.now()
    console.say(_WHERE, "INFO", "Setting UI DB configuration")
    console.say(_WHERE, "INFO", "Restarting UI services")
