"""What a run of `cfy_manager` is told: its configuration files, merged over the defaults.

The keys and the defaults are those of the installer's own `config.yaml` of 7.0, as far as the lab
acts upon them; keys it does not know are carried along.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from lab.manager.five.errors import InputError, ValidationError
from lab.manager.generation import parse_version
from lab.manager.host import Machine, installed_version

HOME = "/etc/cloudify"
DATABASE, QUEUE, MANAGER = "database_service", "queue_service", "manager_service"
MONITORING, ENTROPY = "monitoring_service", "entropy_service"
ALL_SERVICES = (DATABASE, QUEUE, MANAGER, MONITORING, ENTROPY)
MAIN_SERVICES = (DATABASE, QUEUE, MANAGER)
INSTALLED, CONFIGURED = f"{HOME}/.installed", f"{HOME}/.configured"
"""A file for each service lies in these when it is installed, and configured."""

_SSL_INPUTS = (
    *("external_cert_path", "external_key_path", "internal_cert_path", "internal_key_path"),
    *("postgresql_client_cert_path", "postgresql_client_key_path"),
    *("postgresql_superuser_client_cert_path", "postgresql_superuser_client_key_path"),
    *("ca_cert_path", "ca_key_path", "ca_key_password"),
    *("external_ca_cert_path", "external_ca_key_path", "external_ca_key_password"),
)
DEFAULTS: dict[str, Any] = {
    "manager": {
        "private_ip": "",
        "public_ip": "",
        "hostname": "",
        "security": {"ssl_enabled": True, "admin_username": "admin", "admin_password": ""},
        "cloudify_license_path": "",
        "cluster_filesystem_replication": True,
        "internal_rest_port": 443,
    },
    "networks": {},
    "rabbitmq": {
        "username": "cloudify",
        "password": "c10udify",
        "cluster_members": {},
        "is_external": False,
        "ca_path": "",
        "ca_key_path": "",
        "use_hostnames_in_db": False,
        "cert_path": "",
        "key_path": "",
        "nodename": None,
        "use_long_name": False,
        "join_cluster": None,
        "erlang_cookie": None,
    },
    "postgresql_server": {
        "postgres_password": "",
        "cert_path": "",
        "key_path": "",
        "ca_path": "",
        "ca_key_path": "",
        "cluster": {
            "nodes": {},
            "etcd": {"cluster_token": "", "root_password": "", "patroni_password": ""},
            "patroni": {"rest_user": "patroni", "rest_password": ""},
            "postgres": {"replicator_password": ""},
        },
        "enable_remote_connections": False,
        "ssl_enabled": False,
        "ssl_only_connections": False,
        "ssl_client_verification": False,
    },
    "postgresql_client": {
        "host": "localhost",
        "ca_path": "",
        "server_db_name": "postgres",
        "server_username": "postgres",
        "server_password": "",
        "cloudify_db_name": "cloudify_db",
        "cloudify_username": "cloudify",
        "cloudify_password": "cloudify",
        "ssl_enabled": False,
        "ssl_client_verification": False,
    },
    "nginx": {"port": None},
    "sanity": {"skip_sanity": False},
    "validations": {"skip_validations": False},
    "ssl_inputs": dict.fromkeys(_SSL_INPUTS, ""),
    "prometheus": {"cert_path": "", "key_path": "", "ca_path": "", "ca_key_path": ""},
    "services_to_install": list(ALL_SERVICES),
}


class Config:
    """One run's configuration.

    Args:
        raw: Defaults and files, merged.
        files: Where it comes from, on the machine.
        version: Of the install package.
    """

    def __init__(self, raw: dict[str, Any], files: list[str], version: str) -> None:
        self.raw, self.files, self.version = raw, files, version

    def at(self, path: str) -> Any:
        """The value at a path such as `postgresql_server.cluster.nodes`; None when it is not there."""
        value: Any = self.raw
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def section(self, path: str) -> dict[str, Any]:
        """A mapping at a path; empty when there is none."""
        value = self.at(path)
        return value if isinstance(value, dict) else {}

    def text(self, path: str) -> str:
        """A value as text; empty when there is none."""
        value = self.at(path)
        return "" if value is None else str(value)

    @property
    def services(self) -> list[str]:
        """What this run is about: names of ALL_SERVICES."""
        return [str(name) for name in self.at("services_to_install") or []]

    @property
    def modern(self) -> bool:
        """Whether the stricter rules about certificates of 7.0 hold."""
        return parse_version(self.version) >= (7, 0, 0)

    @property
    def all_in_one(self) -> bool:
        """Whether database, broker and manager are one installation."""
        return all(service in self.services for service in MAIN_SERVICES)

    @property
    def private_ip(self) -> str:
        """`manager.private_ip`."""
        return self.text("manager.private_ip")

    @property
    def public_ip(self) -> str:
        """`manager.public_ip`."""
        return self.text("manager.public_ip")

    @property
    def db_addresses(self) -> list[str]:
        """The addresses of the database cluster's members; empty without a cluster."""
        nodes = self.section("postgresql_server.cluster.nodes").values()
        return [str(node["ip"]) for node in nodes if isinstance(node, dict) and node.get("ip")]

    @property
    def brokers(self) -> dict[str, dict[str, str]]:
        """`rabbitmq.cluster_members`: name -> network -> address."""
        members = self.section("rabbitmq.cluster_members")
        return {str(name): dict((told or {}).get("networks") or {}) for name, told in members.items()}

    @property
    def server_password(self) -> str:
        """What the installer logs in to the database with."""
        return self.text("postgresql_client.server_password") or self.text(
            "postgresql_server.postgres_password"
        )


def installed_services(machine: Machine, folder: str = INSTALLED) -> list[str]:
    """The services that are installed (or configured) on a machine."""
    path = machine.path(folder)
    return sorted(one.name for one in path.iterdir() if one.suffix != ".yaml") if path.is_dir() else []


def load(machine: Machine, files: Sequence[str]) -> Config:
    """Read the files of a run; without any, `config.yaml`. A file that is not there counts as empty.

    Raises:
        ValidationError: A file lies elsewhere than in /etc/cloudify.
        InputError: A file is no YAML, or no mapping.
    """
    raw = copy.deepcopy(DEFAULTS)
    already = installed_services(machine)
    if already:
        raw["services_to_install"] = already
    paths = []
    for name in files or ("config.yaml",):
        path = os.path.normpath(os.path.join(HOME, name))
        if not path.startswith(f"{HOME}/"):
            raise ValidationError(f"Expected configuration files to be in {HOME}, but got: {name}")
        paths.append(path)
        _merge(raw, _read(machine.path(path), path))
    return Config(raw, paths, installed_version(machine) or "0")


def _read(host: Path, path: str) -> dict[str, Any]:
    if not host.is_file():
        return {}
    try:
        loaded = yaml.safe_load(host.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"User config file {path} is not a properly formatted YAML file:\n{error}") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise InputError(f"User config file {path} is not a properly formatted YAML file:\nno mapping")
    return loaded


def _merge(target: dict[str, Any], source: dict[str, Any]) -> None:
    for key, value in source.items():
        old = target.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value)
        elif isinstance(old, dict) and value is None:
            continue
        else:
            target[key] = value
