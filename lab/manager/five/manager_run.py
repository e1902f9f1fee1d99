"""What a run does for `manager_service` over databases and brokers that are installed already."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding

from lab.manager.database import Database
from lab.manager.five import brokers, certs, files, names
from lab.manager.five.configuration import Config
from lab.manager.five.console import Console
from lab.manager.five.databases import DatabaseNode
from lab.manager.five.errors import BootstrapError, ProcessExecutionError, ValidationError
from lab.manager.five.link import ClusterLink
from lab.manager.five.single_run import (
    fill_password,
    hostname,
    manager_configuration,
    row_of,
    serve,
    upload_license,
)
from lab.manager.five.tables import BrokerRow, ClusterData, DatabaseRow, ManagerRow
from lab.manager.host import Machine, Settings
from lab.manager.models import Manager
from lab.manager.stores.users import User

_WHERE = "RESTSERVICE"
_SCRIPT = ["/opt/manager/env/bin/python"]


async def configure(machine: Machine, console: Console, config: Config) -> None:
    """Let the manager be one of its cluster; the first one makes it.

    Raises:
        BootstrapError: Databases, brokers, or the cluster refuse.
    """
    link = ClusterLink.of(machine, config)
    node = await _leader(machine, console, link)
    _log_in(machine, config, node)
    cluster = node.cluster
    assert cluster is not None
    data = cluster.data
    rows = _broker_rows(machine, config)
    if data is None:
        fill_password(config)
        _check_brokers(machine, config, list(rows.values()))
        console.say(_WHERE, "INFO", "DB not initialized, creating DB...")
        data = _first(config, rows)
        number = 0
    else:
        number = _check_join(machine, config, data)
        _check_brokers(machine, config, list(data.tables.brokers.values()))
    files.manager_certificates(machine, config)
    files.leave_manager_files(
        machine,
        {
            "postgresql_host": link.addresses if not link.external else link.addresses[0],
            "manager_hostname": hostname(machine, config),
        },
    )
    before = machine.manager
    manager = Manager(machine, manager_configuration(config), config.version, link=link)
    manager.database = data.database
    row = row_of(machine, config, manager, data.tables, number)
    joining = _is_new(row, data)
    if joining:
        await _replicate(machine, console, data, row)
    elif before is None or data.tables.managers[row.hostname].manager is not before:
        # Known by its name, but it is not the one that was: nobody tells the others of its files.
        row.synced = row.hostname not in data.tables.managers
    cluster.data = data
    data.tables.register(row)
    await serve(machine, manager, before)
    if not joining:
        upload_license(machine, console, config, data.tables, config.version)


async def _leader(machine: Machine, console: Console, link: ClusterLink) -> DatabaseNode:
    leader = link.leader()
    if leader is not None:
        return leader
    for address in link.addresses:
        why = "Connection refused" if link.node(address) is None else "no leader yet"
        console.say("DB", "ERROR", f"Error trying to get state of DB {address}: {why}")
    wait = Settings.of(machine).database_wait_seconds
    for attempt in range(1, 11):
        console.say("DB", "INFO", f"No active DB found yet. Attempt {attempt}/10")
        if wait > 0:
            await machine.clock.sleep(wait / 10)
        leader = link.leader()
        if leader is not None:
            return leader
    raise BootstrapError("No DB leader found in 10 attempts.")


def _log_in(machine: Machine, config: Config, node: DatabaseNode) -> None:
    """`psql` as the database's superuser.

    Raises:
        ProcessExecutionError: The database refuses, or its certificate is not to be trusted.
    """
    user = config.text("postgresql_client.server_username")
    words = ""
    ca = config.text("postgresql_server.ca_path") or config.text("postgresql_client.ca_path")
    if certs.certificate(machine, ca).public_bytes(Encoding.DER) != node.authority:
        words = "SSL error: certificate verify failed"
    elif node.client_certificates and not _client_certificate_is_good(machine, config, node):
        words = "FATAL:  connection requires a valid client certificate"
    elif config.server_password != node.secrets.postgres_password:
        words = f'FATAL:  password authentication failed for user "{user}"'
    data = node.cluster.data if node.cluster is not None else None
    password = config.text("postgresql_client.cloudify_password")
    if not words and data is not None and password != data.cloudify_password:
        user = config.text("postgresql_client.cloudify_username")
        words = f'FATAL:  password authentication failed for user "{user}"'
    if words:
        raise ProcessExecutionError.of(
            ["/usr/bin/psql", "-t", "-X", "-n", "-v", "ON_ERROR_STOP=1"],
            f'psql: error: connection to server at "{node.address}", port 5432 failed: {words}',
        )


def _client_certificate_is_good(machine: Machine, config: Config, node: DatabaseNode) -> bool:
    path = config.text("ssl_inputs.postgresql_superuser_client_cert_path") or config.text(
        "ssl_inputs.postgresql_client_cert_path"
    )
    if not config.at("postgresql_client.ssl_client_verification") or not path:
        return False
    ca = config.text("postgresql_server.ca_path") or config.text("postgresql_client.ca_path")
    return certs.signed_by(certs.certificate(machine, path), certs.certificate(machine, ca))


def _broker_rows(machine: Machine, config: Config) -> dict[str, BrokerRow]:
    ca = config.text("rabbitmq.ca_path")
    content = machine.path(ca).read_text() if ca and machine.path(ca).is_file() else None
    by_name = bool(config.at("rabbitmq.use_hostnames_in_db"))
    external = bool(config.at("rabbitmq.is_external"))
    rows = {}
    for name, networks in config.brokers.items():
        host = name if by_name else networks.get("default") or name
        rows[name] = BrokerRow(
            name,
            host,
            networks,
            config.text("rabbitmq.username"),
            config.text("rabbitmq.password"),
            content,
            external,
            management_host=host,
        )
    return rows


def _check_brokers(machine: Machine, config: Config, rows: list[BrokerRow]) -> None:
    """Whether a broker takes the manager's user: AMQP resources are made through it.

    Raises:
        ProcessExecutionError: None does.
    """
    certs.check_section(
        machine, "rabbitmq", cert="", key="", ca=config.text("rabbitmq.ca_path"), ca_alone=True
    )
    user, password = config.text("rabbitmq.username"), config.text("rabbitmq.password")
    ca = config.text("rabbitmq.ca_path")
    authority = certs.certificate(machine, ca).public_bytes(Encoding.DER) if ca else b""
    words = "no broker is configured: rabbitmq.cluster_members is empty"
    for row in rows:
        address = names.resolve(machine, row.host)
        found = None if address is None else brokers.find(machine, address)
        if found is None or not found.running:
            words = f"socket.error: [Errno 111] Connection refused ({row.host}:5671)"
        elif found.authority != authority or not found.covered:
            words = f"ssl.SSLCertVerificationError: certificate verify failed ({row.host}:5671)"
        elif (found.username, found.password) != (user, password):
            words = (
                f"ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN ({row.host}:5671)"
            )
        else:
            return
    raise ProcessExecutionError.of([*_SCRIPT, "-m", "manager_rest.configure_manager"], words)


def _first(config: Config, rows: dict[str, BrokerRow]) -> ClusterData:
    database = Database()
    database.users.add(
        User.create(
            config.text("manager.security.admin_username") or "admin",
            config.text("manager.security.admin_password"),
        )
    )
    data = ClusterData(database, config.version, config.text("postgresql_client.cloudify_password"))
    data.tables.brokers = rows
    nodes = config.section("postgresql_server.cluster.nodes")
    if nodes:
        data.tables.db_nodes = {
            str(name): DatabaseRow(str(name), str(node["ip"])) for name, node in nodes.items()
        }
    else:
        host = config.text("postgresql_client.host")
        data.tables.db_nodes = {host: DatabaseRow(host, host, is_external=True)}
    database.engine.can_begin = lambda: _is_heard(data)
    return data


def _is_heard(data: ClusterData) -> bool:
    """Whether a manager that runs has a broker: what is executed goes through one."""
    brokers = list(data.tables.brokers.values())
    managers = [row.manager for row in data.tables.managers.values() if row.manager.running]
    return any(manager.link is not None and manager.link.has_broker(brokers) for manager in managers)


def _check_join(machine: Machine, config: Config, data: ClusterData) -> int:
    """Refuse a manager that the cluster does not take; returns its number in it.

    Raises:
        BootstrapError: The cluster refuses.
    """
    if config.version != data.version:
        raise ValidationError(
            "Database schema version mismatch: this manager expects schema revision of "
            f"{config.version} but the database is of {data.version})"
        )
    name = hostname(machine, config)
    known = data.tables.managers.get(name)
    for row in data.tables.managers.values():
        if row.hostname != name and row.private_ip == config.private_ip:
            raise ProcessExecutionError.of(
                [*_SCRIPT, "update_stored_manager.py"],
                'duplicate key value violates unique constraint "managers_private_ip_key" '
                f"Key (private_ip)=({config.private_ip}) already exists.",
            )
    if known is not None:
        return known.id
    if not data.tables.managers:
        return data.tables.next_id()
    ssl = config.section("ssl_inputs")
    issues = []
    if not (
        (ssl["internal_cert_path"] and ssl["internal_key_path"])
        or (ssl["ca_cert_path"] and ssl["ca_key_path"])
    ):
        issues.append(
            "Internal cert and key or CA cert and key must be provided to join an existing cluster. These "
            "should be set in either ssl_inputs.internal_cert_path and ssl_inputs.internal_key_path; or "
            "ssl_inputs.ca_cert_path and ssl_inputs.ca_key_path."
        )
    if not config.text("manager.security.admin_password"):
        issues.append(
            "manager.security.admin_password must be set to the current admin password for the cluster."
        )
    if issues:
        raise BootstrapError(
            "Existing cluster could not be joined due to configuration issues. Please run cfy_manager "
            "remove, then fix the configuration issues before reinstalling. Issues were:\n"
            + "\n".join(issues)
        )
    _check_premium(data, name, machine)
    return data.tables.next_id()


def _check_premium(data: ClusterData, name: str, machine: Machine) -> None:
    """What the closed part of the installer is taken to refuse: no licence, two at a time."""
    script = [*_SCRIPT, "configure_cluster_script.py"]
    found = data.tables.license
    if found is None or found.stops(machine.clock.now()):
        raise ProcessExecutionError.of(
            script,
            "missing_cloudify_license: There is no Cloudify license installed on this Manager"
            if found is None
            else "expired_cloudify_license: This Manager`s license has expired",
        )
    if data.tables.joining not in ("", name):
        raise ProcessExecutionError.of(
            script, f"could not serialize access: {data.tables.joining} is joining the cluster"
        )


def _is_new(row: ManagerRow, data: ClusterData) -> bool:
    return bool(data.tables.managers) and row.hostname not in data.tables.managers


async def _replicate(machine: Machine, console: Console, data: ClusterData, row: ManagerRow) -> None:
    """Get the files of the managers that are there.

    Raises:
        ProcessExecutionError: None of them can be reached.
    """
    console.say(_WHERE, "INFO", "Manager not in DB, will join the cluster...")
    console.say(
        _WHERE,
        "NOTICE",
        f'Adding manager "{row.hostname}" to the cluster, this may take a while until config files finish '
        "replicating",
    )
    data.tables.joining = row.hostname
    try:
        wait = Settings.of(machine).replicate_seconds
        if wait > 0:
            await machine.clock.sleep(wait)
        for other in data.tables.managers.values():
            if other.manager.running and machine.reachable_by_peer(other.manager.machine):
                other.manager.files.mirror(row.manager.files)
                return
    finally:
        data.tables.joining = ""
    raise ProcessExecutionError.of(
        [*_SCRIPT, "configure_cluster_script.py"], "Timed out waiting for config files to replicate"
    )
