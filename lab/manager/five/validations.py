"""What the installer of generation 5 refuses before it changes anything, in its order and words.

From `cfy_manager/components/validations.py` of 7.0; what came with 7.0 is asked of 7.0 only. Memory,
disk space, distribution and the version of openssl are taken as sufficient.
"""

from __future__ import annotations

from collections.abc import Callable

from lab.manager.five import certs
from lab.manager.five.configuration import DATABASE, MANAGER, Config
from lab.manager.five.errors import ValidationError
from lab.manager.host import Machine

Warn = Callable[[str], None]

_CLIENT_CERTS = (
    "postgresql_client_cert_path",
    "postgresql_client_key_path",
    "postgresql_superuser_client_cert_path",
    "postgresql_superuser_client_key_path",
)
_SSL_WORDS = (
    "If Postgresql requires SSL communication {} for Postgresql must be provided in config.yaml in {}"
)
_LOCAL = ("localhost", "127.0.0.1")


def validate(config: Config, machine: Machine, notice: Warn, warn: Warn) -> None:
    """Check a run's configuration.

    Args:
        notice: Receives what is reported.
        warn: Receives what is only a warning.

    Raises:
        ValidationError: It is refused.
    """
    _inputs(config)
    if config.at("validations.skip_validations"):
        notice("Skipping validations")
        return
    notice("Validating local machine...")
    errors = _addresses(config, machine)
    _postgres_inputs(config)
    _database_cluster(config, warn)
    _postgres_certificates_given(config)
    _client_certificates(config, machine)
    _external_certificate(config, machine)
    _certificates(config, machine)
    if errors:
        raise ValidationError("Validation error(s):\n" + "\n".join(errors))
    notice("All validations passed successfully!")


def _inputs(config: Config) -> None:
    for key, words in (("private_ip", "Private IP"), ("public_ip", "Public IP")):
        if not config.text(f"manager.{key}"):
            raise ValidationError(
                f"{words} not set in the config.\n"
                "Possible solutions are:\n"
                f"1. Set the `{key}` key in /etc/cloudify/config.yaml\n"
                f"2. Use the `--{key.replace('_', '-')}` flag when running `cfy_manager install/configure`"
            )


def _addresses(config: Config, machine: Machine) -> list[str]:
    ip = config.private_ip
    if not certs.is_address(ip) or ip in (machine.ip, machine.public_ip):
        return []
    return [
        f"The provided private IP ({ip}) is not associated with any INET-type address available on this "
        f"machine (available INET-type addresses: 127.0.0.1, {machine.ip}). This will cause installation "
        "to fail. If you are certain that this IP address should be used, please set the "
        "'skip_validations' parameter to 'true'"
    ]


def _postgres_inputs(config: Config) -> None:
    database, manager = DATABASE in config.services, MANAGER in config.services
    nodes = config.section("postgresql_server.cluster.nodes")
    server, client = config.section("postgresql_server"), config.section("postgresql_client")
    if database and manager:
        if client["host"] not in _LOCAL:
            raise ValidationError("Cannot install database_service when connecting to an external database")
        if nodes:
            raise ValidationError("Cannot install database_service when connecting to a Postgres Cluster")
    if database and not manager:
        if nodes and not server["postgres_password"]:
            raise ValidationError(
                "When using an external database with a Postgres Cluster, postgres_password must be set to "
                "a non-empty value"
            )
        # Whoever installs a database alone is taken to want it reached from outside.
        if not nodes and not server["postgres_password"]:
            raise ValidationError(
                "When using an external database, both enable_remote_connections and postgres_password must "
                "be set"
            )
    if manager and config.modern and server["ssl_client_verification"]:
        _need_client_certs(config)
    if manager and not database:
        if str(client["host"]).rsplit(":", 1)[0] in (*_LOCAL, "::1") and not client["server_password"]:
            raise ValidationError("When using an external database, postgres_password must be set")
        if any("ip" not in (node or {}) for node in nodes.values()):
            raise ValidationError("When using a Postgres Cluster ip must be set for each DB node")
    if server["ssl_client_verification"] and not server["ssl_only_connections"]:
        raise ValidationError(
            "When using ssl_client_verification, ssl_only_connections must be enabled to ensure client "
            "verification takes place."
        )
    if (
        client["server_username"] == client["cloudify_username"]
        or client["server_db_name"] == client["cloudify_db_name"]
    ):
        raise ValidationError(
            "The server_username and server_db_name values must be different than the cloudify_username and "
            "cloudify_db_name values respectively"
        )


def _need_client_certs(config: Config) -> None:
    if not all(config.text(f"ssl_inputs.{key}") for key in _CLIENT_CERTS):
        raise ValidationError(
            "When using ssl_client_verification, the following certs must be provided in the config under "
            f"ssl_inputs: {', '.join(_CLIENT_CERTS)}"
        )


def _database_cluster(config: Config, warn: Warn) -> None:
    nodes = config.section("postgresql_server.cluster.nodes")
    if DATABASE not in config.services or not nodes:
        return
    cluster = config.section("postgresql_server.cluster")
    problems = []
    if len(nodes) < 2:
        problems.append("There must be at least 2 DB cluster nodes.")
    elif len(nodes) < 3:
        warn("At least 3 nodes are recommended for DB clusters.")
    etcd, patroni = cluster.get("etcd") or {}, cluster.get("patroni") or {}
    if not all(etcd.get(key) for key in ("cluster_token", "root_password", "patroni_password")):
        problems.append("Etcd cluster token and passwords must be set.")
    if not all(patroni.get(key) for key in ("rest_user", "rest_password")):
        problems.append("Patroni rest username and password must be set.")
    if not (cluster.get("postgres") or {}).get("replicator_password"):
        problems.append("Postgres replicator password must be set.")
    if problems:
        raise ValidationError(
            f"Problems detected in postgresql_server.cluster configuration: {' '.join(problems)}"
        )


def _postgres_certificates_given(config: Config) -> None:
    server = config.section("postgresql_server")
    if DATABASE in config.services:
        given = server["cert_path"] and server["key_path"] and server["ca_path"]
        # A database that is installed alone always speaks TLS (the installer forces it).
        needed = server["ssl_enabled"] or MANAGER not in config.services
        if needed and not given:
            raise ValidationError(
                _SSL_WORDS.format(
                    "a CA certificate, a certificate and a key",
                    "postgresql_server.cert_path, postgresql_server.key_path, and postgresql_server.ca_path",
                )
            )
    elif MANAGER in config.services:
        if not server["ca_path"] and not config.text("postgresql_client.ca_path"):
            raise ValidationError(
                _SSL_WORDS.format(
                    "a CA certificate", "postgresql_server.ca_path or postgresql_client.ca_path"
                )
            )
        if config.modern and config.at("postgresql_client.ssl_client_verification"):
            given = all(config.text(f"ssl_inputs.{key}") for key in _CLIENT_CERTS)
            if not given or not server["ca_path"]:
                names = ", ".join(f"ssl_inputs.{key}" for key in _CLIENT_CERTS)
                raise ValidationError(
                    _SSL_WORDS.format(
                        "with client verification, a CA certificate, a certificate and a key ",
                        f"{names}, and postgresql_server.ca_path",
                    )
                )


def _client_certificates(config: Config, machine: Machine) -> None:
    if not config.modern or not config.at("postgresql_client.ssl_client_verification"):
        return
    superuser = config.text("postgresql_client.server_username")
    for who, key, expected in (
        ("Client", "postgresql_client_cert_path", "cloudify"),
        ("Client superuser", "postgresql_superuser_client_cert_path", superuser),
    ):
        path = config.text(f"ssl_inputs.{key}")
        certs.check_file(machine, path, "Cert")
        found = certs.common_name(certs.certificate(machine, path))
        if found != expected:
            raise ValidationError(
                f'{who} certificates require their CN to be set to "{expected}" (without quotes). Provided '
                f"client cert has CN: {found}"
            )


def _external_certificate(config: Config, machine: Machine) -> None:
    path = config.text("ssl_inputs.external_cert_path")
    if not path:
        return
    if not config.at("manager.security.ssl_enabled"):
        raise ValidationError(
            "`ssl_enabled` was set to false and an external certificate was given. If you wish to supply an "
            "external certificate, please set `ssl_enabled` to true."
        )
    certs.check_file(machine, path, "Cert")
    one = certs.certificate(machine, path)
    if not certs.signed_by(one, one) and not config.text("ssl_inputs.external_ca_cert_path"):
        raise ValidationError(
            "If the external certificate is signed by a CA, the `external_ca_cert_path` must be provided"
        )


def _certificates(config: Config, machine: Machine) -> None:
    ssl = {key: str(value or "") for key, value in config.section("ssl_inputs").items()}
    _authority(ssl, machine)
    for name in ("internal", "postgresql_client", "external"):
        certs.check_section(machine, "ssl_inputs", cert=ssl[f"{name}_cert_path"], key=ssl[f"{name}_key_path"])
    if ssl["external_ca_cert_path"]:
        if ssl["external_ca_key_path"]:
            certs.check_pair(
                machine,
                ssl["external_ca_cert_path"],
                ssl["external_ca_key_path"],
                ssl["external_ca_key_password"],
            )
        else:
            certs.check_file(machine, ssl["external_ca_cert_path"], "Cert")
    for place in ("postgresql_server", "postgresql_client"):
        if config.text(f"{place}.ca_path"):
            certs.check_file(machine, config.text(f"{place}.ca_path"), "Cert")
    if config.modern:
        _covered(config, machine, ssl)


def _authority(ssl: dict[str, str], machine: Machine) -> None:
    cert, key = ssl["ca_cert_path"], ssl["ca_key_path"]
    if key and cert:
        certs.check_file(machine, key, "Key", ssl["ca_key_password"])
        certs.check_file(machine, cert, "Cert")
    elif key:
        raise ValidationError("Internal CA key provided, but the internal CA cert was not")
    elif cert:
        if not (ssl["internal_cert_path"] and ssl["internal_key_path"]):
            raise ValidationError(
                "If ca_cert_path was provided, but ca_key_path was not provided, both internal_cert_path and "
                "internal_key_path must be provided."
            )
    elif ssl["ca_key_password"]:
        raise ValidationError(
            "If ca_key_password was provided, both ca_cert_path and ca_key_path must be provided."
        )


def _covered(config: Config, machine: Machine, ssl: dict[str, str]) -> None:
    """7.0: the internal certificate serves on every address; the external one on a name only."""
    if ssl["internal_cert_path"]:
        one = certs.certificate(machine, ssl["internal_cert_path"])
        missing = [name for name in networks(config).values() if not certs.covers(one, name)]
        if missing:
            raise ValidationError(
                "These addresses must be present on the internal cert, but are missing: "
                f"{', '.join(dict.fromkeys(missing))}"
            )
    if ssl["external_cert_path"]:
        if certs.is_address(config.public_ip):
            raise ValidationError(
                "When public_ip is an IP address (not a hostname or FQDN), the external certificate cannot "
                "be provided"
            )
        one = certs.certificate(machine, ssl["external_cert_path"])
        if not certs.covers(one, config.public_ip):
            raise ValidationError(f"External cert must contain the public address: {config.public_ip}")


def networks(config: Config) -> dict[str, str]:
    """The manager's networks; the private address and the public one are always among them."""
    return {
        "default": config.private_ip,
        "external": config.public_ip,
        **{str(name): str(address) for name, address in config.section("networks").items()},
    }
