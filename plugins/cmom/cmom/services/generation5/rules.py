"""What the installer refuses in a configuration, found before a machine is touched.

The rules are those of `validations.py` in the installer (7.0) that depend on the configuration alone; what it
says of the machine itself (memory, disk, distribution) it says there. Values are never shown.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from cmom.services.generation5.plan import SEVEN

_LOCAL = ("localhost", "127.0.0.1", "::1")
_CLIENT_FILES = ("postgresql_client_cert_path", "postgresql_client_key_path")
_SUPERUSER_FILES = ("postgresql_superuser_client_cert_path", "postgresql_superuser_client_key_path")


class _Content:
    """A configuration, and the installer's defaults below it."""

    def __init__(self, content: Mapping[str, Any], version: tuple[int, ...]) -> None:
        self._content = content
        self.services = tuple(self._content.get("services_to_install") or ())
        self.modern = version >= SEVEN

    def get(self, *path: str, default: Any = None) -> Any:
        found: Any = self._content
        for key in path:
            if not isinstance(found, Mapping) or key not in found:
                return default
            found = found[key]
        return found

    @property
    def has_database(self) -> bool:
        return "database_service" in self.services

    @property
    def has_broker(self) -> bool:
        return "queue_service" in self.services

    @property
    def has_manager(self) -> bool:
        return "manager_service" in self.services

    @property
    def nodes(self) -> Mapping[str, Any]:
        nodes = self.get("postgresql_server", "cluster", "nodes")
        return nodes if isinstance(nodes, Mapping) else {}


def problems(content: Mapping[str, Any], version: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """Yield what the installer would refuse.

    Args:
        content: One run's configuration, with what the user has put over it.
        version: Of the managers.

    Yields:
        A place in config.yaml, and what is wrong there.
    """
    given = _Content(content, version)
    yield from _of_addresses(given)
    yield from _of_database(given)
    yield from _of_database_cluster(given)
    yield from _of_client(given)
    yield from _of_brokers(given)
    yield from _of_certificates(given)


def _of_addresses(given: _Content) -> Iterator[tuple[str, str]]:
    for key in ("private_ip", "public_ip"):
        if not given.get("manager", key):
            yield f"manager.{key}", "must not be empty"
    known = {"database_service", "queue_service", "manager_service", "monitoring_service", "entropy_service"}
    strange = [str(service) for service in given.services if service not in known]
    if strange:
        yield "services_to_install", f"names no service: {', '.join(strange)}"


def _of_database(given: _Content) -> Iterator[tuple[str, str]]:
    server, client = "postgresql_server", "postgresql_client"
    if given.has_database and given.has_manager:
        if given.get(client, "host", default="localhost") not in ("localhost", "127.0.0.1"):
            yield f"{client}.host", "a database is installed here; use external_database for another one"
        if given.nodes:
            yield f"{server}.cluster.nodes", "a single manager's own database is no cluster"
    if given.has_database and not given.has_manager and not given.nodes:
        remote = bool(given.get(server, "enable_remote_connections"))
        if remote != bool(given.get(server, "postgres_password")):
            yield (
                f"{server}.postgres_password",
                "and enable_remote_connections must both be set for a database apart from its manager",
            )
    if given.get(server, "ssl_client_verification") and not given.get(server, "ssl_only_connections"):
        yield f"{server}.ssl_client_verification", "needs ssl_only_connections"
    if given.has_database and (given.get(server, "ssl_enabled") or given.nodes):
        missing = [key for key in ("cert_path", "key_path", "ca_path") if not given.get(server, key)]
        if missing:
            yield f"{server}.{missing[0]}", "must not be empty: the database serves over TLS"


def _of_database_cluster(given: _Content) -> Iterator[tuple[str, str]]:
    if not given.nodes:
        return
    place = "postgresql_server.cluster"
    for name, node in given.nodes.items():
        if not isinstance(node, Mapping) or not node.get("ip"):
            yield f"{place}.nodes.{name}", "needs its ip"
    if not given.has_database:
        return
    if len(given.nodes) < 2:
        yield f"{place}.nodes", "must be 2 or more"
    wanted = (
        ("postgresql_server", "postgres_password"),
        ("postgresql_server", "cluster", "etcd", "cluster_token"),
        ("postgresql_server", "cluster", "etcd", "root_password"),
        ("postgresql_server", "cluster", "etcd", "patroni_password"),
        ("postgresql_server", "cluster", "patroni", "rest_password"),
        ("postgresql_server", "cluster", "postgres", "replicator_password"),
    )
    for path in wanted:
        if not given.get(*path):
            yield ".".join(path), "must not be empty in a cluster"
    if given.get("postgresql_server", "cluster", "patroni", "rest_user", default="patroni") in ("", None):
        yield f"{place}.patroni.rest_user", "must not be empty in a cluster"


def _of_client(given: _Content) -> Iterator[tuple[str, str]]:
    client = "postgresql_client"
    if not given.has_manager:
        return
    names = {
        "server_username": given.get(client, "server_username", default="postgres"),
        "cloudify_username": given.get(client, "cloudify_username", default="cloudify"),
    }
    if names["server_username"] == names["cloudify_username"]:
        yield f"{client}.cloudify_username", "must be another one than server_username"
    if given.get(client, "server_db_name", default="postgres") == given.get(
        client, "cloudify_db_name", default="cloudify_db"
    ):
        yield f"{client}.cloudify_db_name", "must be another one than server_db_name"
    azure = ["@" in str(name) for name in names.values()]
    if any(azure) and not all(azure):
        yield f"{client}.cloudify_username", "and server_username must both name the Azure domain, or neither"
    if given.has_database:
        return
    host = str(given.get(client, "host", default="localhost")).rsplit(":", 1)[0]
    if host in _LOCAL and not given.get(client, "server_password"):
        yield f"{client}.server_password", "must not be empty: the database is not on this machine alone"
    if not given.get("postgresql_server", "ca_path") and not given.get(client, "ca_path"):
        yield f"{client}.ca_path", "must not be empty: the database is reached over TLS"
    verified = given.get(client, "ssl_client_verification")
    if verified:
        needed = (*_CLIENT_FILES, *(_SUPERUSER_FILES if given.modern else ()))
        for key in needed:
            if not given.get("ssl_inputs", key):
                yield f"ssl_inputs.{key}", "must not be empty with postgresql_client.ssl_client_verification"


def _of_brokers(given: _Content) -> Iterator[tuple[str, str]]:
    members = given.get("rabbitmq", "cluster_members")
    members = members if isinstance(members, Mapping) else {}
    if given.has_broker and members:
        if not given.get("rabbitmq", "nodename"):
            yield "rabbitmq.nodename", "must not be empty in a cluster"
        if len(members) > 1 and not given.get("rabbitmq", "erlang_cookie"):
            yield "rabbitmq.erlang_cookie", "must not be empty in a cluster"
        if len(members) > 1 and not (
            given.get("rabbitmq", "cert_path") and given.get("rabbitmq", "key_path")
        ):
            yield "rabbitmq.cert_path", "and key_path must not be empty in a cluster"
    if given.has_manager and not given.has_broker and not members:
        yield "rabbitmq.cluster_members", "must name the brokers: none is installed here"


def _of_certificates(given: _Content) -> Iterator[tuple[str, str]]:
    pairs = (
        *(("ssl_inputs", f"{kind}_cert_path", f"{kind}_key_path") for kind in ("internal", "external")),
        ("ssl_inputs", *_CLIENT_FILES),
        ("ssl_inputs", *_SUPERUSER_FILES),
        ("rabbitmq", "cert_path", "key_path"),
        ("postgresql_server", "cert_path", "key_path"),
        ("prometheus", "cert_path", "key_path"),
    )
    for section, certificate, key in pairs:
        if bool(given.get(section, certificate)) != bool(given.get(section, key)):
            yield f"{section}.{certificate}", f"and {key} go together, or neither is given"
    if not given.has_manager:
        return
    ssl = {key: given.get("ssl_inputs", key) for key in ("ca_cert_path", "ca_key_path", "ca_key_password")}
    if ssl["ca_key_path"] and not ssl["ca_cert_path"]:
        yield "ssl_inputs.ca_key_path", "needs ca_cert_path"
    if ssl["ca_cert_path"] and not ssl["ca_key_path"] and not given.get("ssl_inputs", "internal_cert_path"):
        yield "ssl_inputs.internal_cert_path", "is needed where there is a CA certificate without its key"
    if ssl["ca_key_password"] and not ssl["ca_key_path"]:
        yield "ssl_inputs.ca_key_password", "needs ca_key_path"
    if given.get("ssl_inputs", "external_cert_path"):
        yield from _of_external_certificate(given)


def _of_external_certificate(given: _Content) -> Iterator[tuple[str, str]]:
    place = "ssl_inputs.external_cert_path"
    if not given.get("manager", "security", "ssl_enabled", default=True):
        yield place, "needs manager.security.ssl_enabled"
    if not given.get("ssl_inputs", "external_ca_cert_path"):
        yield "ssl_inputs.external_ca_cert_path", "is needed where an external certificate is signed by a CA"
    if given.modern and _is_address(given.get("manager", "public_ip")):
        yield (
            place,
            "cannot be given where public_ip is an address; REST is served with the internal one there",
        )


def _is_address(text: object) -> bool:
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return True
