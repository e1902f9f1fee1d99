"""What a run does for `database_service`: a member of a cluster, or a database alone."""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives.serialization import Encoding

from lab.manager.aside import write
from lab.manager.five import certs, databases, files, names
from lab.manager.five.configuration import Config
from lab.manager.five.console import Console
from lab.manager.five.databases import DatabaseCluster, DatabaseNode, DatabaseSecrets
from lab.manager.five.errors import BootstrapError, ProcessExecutionError
from lab.manager.host import Machine, Settings

_WHERE = "POSTGRESQL_SERVER"
_ALONE_WARNING = (
    "Could not finish etcd configuration. If the majority of cluster nodes are not yet installed then this "
    "warning can be ignored."
)


async def configure(machine: Machine, console: Console, config: Config) -> None:
    """Let the database of this machine be.

    Raises:
        BootstrapError: It cannot be one of its cluster.
    """
    server = config.section("postgresql_server")
    cert, key, ca = (str(server[f"{name}_path"] or "") for name in ("cert", "key", "ca"))
    certs.check_section(machine, "postgresql_server", cert=cert, key=key, ca=ca)
    clustered = bool(config.db_addresses)
    address = _own_address(machine, config) if clustered else config.private_ip
    node = _node(machine, config, address, cert, ca)
    _files(machine, cert, key, ca, clustered=clustered)
    known = machine.backing.database
    if known is not None and known.address == address:
        # A run over a finished one: the data stays.
        known.secrets = node.secrets
        known.client_certificates = node.client_certificates
        known.power_on()
        return
    if not clustered:
        DatabaseCluster(node, (address,), machine.clock.now())
        machine.backing.database = node
        return
    console.say(_WHERE, "INFO", "Starting etcd")
    await _become_member(machine, console, node)
    machine.backing.database = node
    console.say(_WHERE, "INFO", "Starting patroni")
    if not node.apart:
        databases.form(node)
    if node.cluster is None:
        console.say(_WHERE, "WARNING", _ALONE_WARNING)
        if node.apart:
            console.say(_WHERE, "DEBUG", f"etcd: {node.apart}")
        return
    console.say(_WHERE, "INFO", "Patroni started.")


async def _become_member(machine: Machine, console: Console, node: DatabaseNode) -> None:
    """Ask the cluster that is there, if there is one, to take this node."""
    cluster = _existing(machine, node)
    if cluster is None or node.apart:
        return
    quorate = [one for one in cluster.nodes() if cluster.quorate(one)]
    theirs, mine = cluster.secrets, node.secrets
    if mine.cluster_token != theirs.cluster_token:
        node.apart = "request cluster ID mismatch"
    elif node.authority != cluster.authority:
        node.apart = 'remote error: tls: bad certificate (x509: "certificate signed by unknown authority")'
    elif (mine.root_password, mine.patroni_password) != (theirs.root_password, theirs.patroni_password):
        raise ProcessExecutionError.of(
            ["etcdctl", "--endpoints", *(f"https://{one}:2379" for one in node.nodes)],
            "Error:  110: The request requires user authentication (Insufficient credentials)",
        )
    elif replace(mine, rest_password=theirs.rest_password) != theirs:
        node.apart = 'FATAL:  password authentication failed for user "replicator"'
    if node.apart or not quorate:
        return
    console.say(_WHERE, "INFO", "Etcd requires auth.")
    if cluster.members.get(node.address) is not None:
        raise BootstrapError(
            f"Error was: member https://{node.address}:2380 has lost its data\n"
            "Failed to join etcd cluster. If this node is being reinstalled you may need to uninstall it "
            "then run the DB node removal command on a healthy DB node before attempting to install again."
        )
    cluster.take(node, machine.clock.now() + Settings.of(machine).replicate_seconds)


def _existing(machine: Machine, node: DatabaseNode) -> DatabaseCluster | None:
    for address in node.nodes:
        peer = databases.peer_node(machine, address) if address != node.address else None
        if peer is not None and not peer.apart:
            cluster = databases.cluster_of(peer)
            if cluster is not None:
                return cluster
    return None


def _own_address(machine: Machine, config: Config) -> str:
    listed = config.db_addresses
    for mine in (config.private_ip, config.public_ip):
        if mine in listed:
            return mine
    for name in listed:
        if names.resolve(machine, name) in (config.private_ip, config.public_ip):
            return name
    raise BootstrapError(
        "Could not match this node with any cluster node members. No members matched or could be resolved to "
        f"public IP {config.public_ip} or private IP {config.private_ip}. Members were: {listed}."
    )


def _node(machine: Machine, config: Config, address: str, cert: str, ca: str) -> DatabaseNode:
    cluster = config.section("postgresql_server.cluster")
    node = DatabaseNode(
        machine,
        address,
        tuple(config.db_addresses),
        DatabaseSecrets(
            str(cluster["etcd"]["cluster_token"]),
            str(cluster["etcd"]["root_password"]),
            str(cluster["etcd"]["patroni_password"]),
            str(cluster["patroni"]["rest_password"]),
            str(cluster["postgres"]["replicator_password"]),
            config.text("postgresql_server.postgres_password"),
        ),
        certs.certificate(machine, ca).public_bytes(Encoding.DER),
        bool(config.at("postgresql_server.ssl_client_verification")),
        ready_at=machine.clock.now(),
    )
    if not certs.covers(certs.certificate(machine, cert), address):
        node.apart = f"x509: certificate is not valid for {address}"
    return node


def _files(machine: Machine, cert: str, key: str, ca: str, *, clustered: bool) -> None:
    if not clustered:
        folder = "/var/lib/pgsql/14/data"
        for source, name, mode in (
            (cert, "server.crt", 0o444),
            (key, "server.key", 0o400),
            (ca, "root.crt", 0o444),
        ):
            files.copy(machine, source, f"{folder}/{name}", mode)
        return
    for source, name, mode in ((cert, "etcd.crt", 0o444), (key, "etcd.key", 0o400), (ca, "ca.crt", 0o444)):
        files.copy(machine, source, f"/etc/etcd/{name}", mode)
    write(machine.path("/etc/patroni.conf"), b"scope: postgres\n", 0o640)
