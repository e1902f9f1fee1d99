"""What the user wants, parsed and checked: plain data that the other services work from.

Only `inputs` and `validation` make these; whoever holds one need not check again. Secrets are `Secret`,
and what may hold secrets of the user's own (`additional_config`, inputs of deployments) is kept out of
every ``repr``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cmom.models import DEFAULT_REST_PORT, Host, Secret, SshAccess

DEFAULT_TENANT = "default_tenant"
DEFAULT_VISIBILITY = "tenant"
DEFAULT_NUM_OF_INSTANCES = 2
DEFAULT_ADMIN_USERNAME = "admin"


@dataclass(frozen=True)
class Ldap:
    """How managers authenticate users against an LDAP server; None is what the user left out."""

    server: str
    username: str | None = None
    password: Secret | None = None
    domain: str | None = None
    dn_extra: str | None = None
    is_active_directory: bool | None = None


@dataclass(frozen=True)
class ExternalDatabase:
    """A database that managers use and nobody here installs; the names are those of `postgresql_client`.

    Attributes:
        host: A name or an address, with ``:port`` where it is not the usual one.
        ca_path: On Tier 2, of the CA that signed its certificate.
    """

    host: str
    ca_path: str
    server_password: Secret
    cloudify_password: Secret
    server_db_name: str = "postgres"
    server_username: str = "postgres"
    cloudify_db_name: str = "cloudify_db"
    cloudify_username: str = "cloudify"


@dataclass(frozen=True)
class ExternalBrokers:
    """Brokers that managers use and nobody here installs.

    Attributes:
        members: Name -> address.
        ca_path: On Tier 2, of the CA that signed their certificates.
    """

    username: str
    password: Secret
    ca_path: str
    members: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FileCopy:
    """A file of Tier 2 that goes onto every machine."""

    source: str
    destination: str


@dataclass(frozen=True)
class RebuildCommand:
    """The command that re-images or power-cycles one machine, run on Tier 2 without a shell.

    Attributes:
        parts: Program and arguments, with ``{ip}``, ``{public_ip}``, ``{hostname}`` still in them.
    """

    parts: tuple[str, ...]

    def for_host(self, host: Host) -> tuple[str, ...]:
        """Return program and arguments for one machine."""
        values = {"ip": host.ip, "public_ip": host.public_ip, "hostname": host.hostname}
        return tuple(part.format(**values) for part in self.parts)


@dataclass(frozen=True)
class PluginEntry:
    """A plugin to upload: each of wagon and yaml is a path on Tier 2 or a URL."""

    place: str
    wagon: str
    yaml: str
    tenant: str = DEFAULT_TENANT
    visibility: str = DEFAULT_VISIBILITY


@dataclass(frozen=True)
class SecretEntry:
    """A secret to create; its value was given, or read from the file that was."""

    place: str
    key: str
    value: Secret
    tenant: str = DEFAULT_TENANT
    visibility: str = DEFAULT_VISIBILITY


@dataclass(frozen=True)
class BlueprintEntry:
    """A blueprint to upload.

    Attributes:
        path: A blueprint's yaml file, an archive, or the URL of an archive.
        id: As given, or the name of the folder or archive.
        filename: The main file in an archive; None for ``blueprint.yaml``.
    """

    place: str
    path: str
    id: str
    filename: str | None = None
    tenant: str = DEFAULT_TENANT
    visibility: str = DEFAULT_VISIBILITY


@dataclass(frozen=True)
class DeploymentEntry:
    """A deployment to create, its inputs read from their file when a path was given."""

    place: str
    id: str
    blueprint_id: str
    inputs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tenant: str = DEFAULT_TENANT
    visibility: str = DEFAULT_VISIBILITY


@dataclass(frozen=True)
class Resources:
    """What the cluster should hold, in the order in which it is made."""

    tenants: tuple[str, ...] = ()
    secrets: tuple[SecretEntry, ...] = ()
    plugins: tuple[PluginEntry, ...] = ()
    blueprints: tuple[BlueprintEntry, ...] = ()
    deployments: tuple[DeploymentEntry, ...] = ()


@dataclass(frozen=True)
class InstallInputs:
    """Everything an installation needs to know.

    Attributes:
        hosts: The machines that exist already; empty where the infrastructure makes them.
        resource_pool: The entries of the pool of addresses, as plain data; empty where there is none.
        additional_config: Wins over our own configuration, key by key.
        warnings: What is allowed and still worth a word.
    """

    install_rpm_path: str
    ca_cert: str
    ca_key: str
    ca_key_password: Secret | None
    ssh: SshAccess
    admin_username: str
    admin_password: Secret
    num_of_instances: int = DEFAULT_NUM_OF_INSTANCES
    rest_port: int = DEFAULT_REST_PORT
    hosts: tuple[Host, ...] = ()
    resource_pool: tuple[Mapping[str, str], ...] = ()
    ldap: Ldap | None = None
    additional_config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    manager_license_path: str | None = None
    external_database: ExternalDatabase | None = None
    external_brokers: ExternalBrokers | None = None
    files: tuple[FileCopy, ...] = ()
    scripts: tuple[str, ...] = ()
    rebuild_command: RebuildCommand | None = None
    resources: Resources = Resources()
    warnings: tuple[str, ...] = ()
