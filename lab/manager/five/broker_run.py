"""What a run does for `queue_service`: a broker, alone or in a cluster."""

from __future__ import annotations

import secrets

from cryptography.hazmat.primitives.serialization import Encoding

from lab.manager.aside import write
from lab.manager.five import brokers, certs, files, names
from lab.manager.five.brokers import Broker
from lab.manager.five.configuration import HOME, Config
from lab.manager.five.console import Console
from lab.manager.five.errors import BootstrapError, ValidationError
from lab.manager.host import Machine

_WHERE = "RABBITMQ"
COOKIE_FILE = "/var/lib/rabbitmq/.erlang.cookie"


async def configure(machine: Machine, console: Console, config: Config) -> None:
    """Let the broker of this machine be, and join its cluster.

    Raises:
        BootstrapError: The configuration lacks something, or the cluster refuses.
    """
    cookie = _cookie(config)
    name = node_name(config)
    write(machine.path(COOKIE_FILE), cookie.encode(), 0o600)
    add_hosts(machine, console, config)
    broker = _broker(machine, console, config, name, cookie)
    known = machine.backing.broker
    if known is not None and known.name == name:
        # A run over a finished one: the node stays what it is.
        known.power_on()
        broker = known
    else:
        machine.backing.broker = broker
    target = config.text("rabbitmq.join_cluster")
    if target:
        join(machine, console, broker, target)


def join(machine: Machine, console: Console, broker: Broker, target: str) -> None:
    """Join the cluster of another broker.

    Raises:
        BootstrapError: The cluster refuses.
    """
    node = prefixed(target)
    console.say(_WHERE, "INFO", f"Joining cluster via node {node}.")
    brokers.join(broker, node, names.resolve(machine, node.partition("@")[2]))
    console.say(_WHERE, "INFO", "Checking rabbit cluster is joined [1/20]....")
    if not broker.covered:
        console.say(_WHERE, "ERROR", unlisted(broker))
        raise BootstrapError("'NoneType' object is not subscriptable")
    console.say(_WHERE, "INFO", "Cluster successfully joined.")


def unlisted(broker: Broker) -> str:
    """What is said when the broker's own interface does not answer, or not with a good certificate."""
    why = "Connection refused"
    if broker.running:
        why = (
            f"certificate verify failed: IP address mismatch, certificate is not valid for '{broker.address}'"
        )
    return (
        f"Failed to list rabbit nodes. Error was: HTTPSConnectionPool(host='{broker.address}', port=15671): "
        f"Max retries exceeded with url: /api/nodes (Caused by {why})"
    )


def prefixed(name: str) -> str:
    """`rabbit@` before a name that has no such prefix."""
    return name if "@" in name else f"rabbit@{name}"


def node_name(config: Config) -> str:
    """The broker's name in its cluster.

    Raises:
        ValidationError: It has to be set, and is not.
    """
    name = config.text("rabbitmq.nodename")
    if not name:
        if config.brokers:
            raise ValidationError("Rabbitmq nodename must be set for clustering.")
        name = "localhost"
    return prefixed(name if config.at("rabbitmq.use_long_name") else name.split(".")[0])


def _cookie(config: Config) -> str:
    cookie = config.text("rabbitmq.erlang_cookie")
    if not cookie:
        if len(config.brokers) > 1:
            raise ValidationError("Cluster members are configured but erlang_cookie has not been set.")
        cookie = secrets.token_hex(32)
    return cookie.strip()


def add_hosts(machine: Machine, console: Console, config: Config) -> None:
    """Add the members that do not resolve to /etc/hosts.

    Raises:
        ValidationError: One of them has no address.
    """
    missing = [name for name in config.brokers if names.resolve(machine, name) is None]
    if not missing:
        return
    lines = ["", "# Added for cloudify rabbitmq clustering"]
    for name in missing:
        address = config.brokers[name].get("default") or ""
        if not address:
            raise ValidationError(
                f"IP not provided for unresolvable rabbit node {name}. A default network ip must be set for "
                "this node."
            )
        resolved = names.resolve(machine, address)
        if resolved is None:
            raise ValidationError(
                f"Cannot resolve: {address} (rabbitmq node {name} default network address): "
                "[Errno -2] Name or service not known"
            )
        lines.append(f"{resolved} {name}")
    console.say(_WHERE, "INFO", f"Adding rabbit nodes to hosts file: {', '.join(missing)}")
    hosts = machine.path(names.HOSTS)
    before = hosts.read_bytes() if hosts.is_file() else b""
    write(machine.path(f"{names.HOSTS}.bak-{machine.clock.now():.0f}"), before, 0o644)
    write(hosts, before + "\n".join(lines).encode() + b"\n", 0o644)
    console.say(_WHERE, "INFO", "Updated /etc/hosts")


def _broker(machine: Machine, console: Console, config: Config, name: str, cookie: str) -> Broker:
    told = config.section("rabbitmq")
    cert, key, ca = (str(told[f"{part}_path"] or "") for part in ("cert", "key", "ca"))
    host = name.partition("@")[2]
    # Without an entry of its own it falls back to its name, as the installer does.
    address = config.brokers.get(host, {}).get("default") or host
    authority, covered = b"", True
    certs.check_section(machine, "rabbitmq", cert=cert, key=key, ca=ca, ca_alone=True)
    if cert:
        console.say(_WHERE, "INFO", "Using supplied certificates.")
        one = certs.certificate(machine, cert)
        covered = certs.covers(one, address)
        signer = certs.certificate(machine, ca) if ca else one
        authority = signer.public_bytes(Encoding.DER)
        for source, target, mode in (
            (cert, "rabbitmq-cert.pem", 0o444),
            (key, "rabbitmq-key.pem", 0o440),
            (ca or cert, "rabbitmq-ca.pem", 0o444),
        ):
            files.copy(machine, source, f"{HOME}/ssl/{target}", mode)
    elif len(config.brokers) > 1:
        raise ValidationError(
            "Cannot generate self-signed certificates for a rabbitmq cluster- externally generated "
            "certificates must be provided as well as the appropriate CA certificate."
        )
    return Broker(
        machine,
        name,
        address,
        cookie,
        config.text("rabbitmq.username"),
        config.text("rabbitmq.password"),
        config.brokers,
        authority,
        covered,
    )
