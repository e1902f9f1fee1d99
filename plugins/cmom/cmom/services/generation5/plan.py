"""Everything that the configuration of any member of a cluster is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cmom.models import Host, Secret, Version
from cmom.services.config_text import deep_merge
from cmom.services.generation5.credentials import overridden
from cmom.services.generation5.layout import Layout, Service
from cmom.services.manager_config import CERTIFICATES_FOLDER
from cmom.services.wanted import ExternalBrokers, ExternalDatabase, Ldap

# The top-level words of config.yaml, 5.1 to 7.0.
SECTIONS = frozenset(
    (
        *("agent", "api", "cli", "composer", "flask_security", "manager", "mgmtworker", "networks", "nginx"),
        *("postgresql_client", "postgresql_server", "prometheus", "provider_context", "python", "rabbitmq"),
        *("restservice", "sanity", "service_management", "services_to_install", "ssl_inputs", "stage"),
        *("unconfigured_install", "usage_collector", "validations"),
    )
)

# From 7.0 on, REST at an address is served with the internal certificate, and an external one is refused; and
# the superuser of the database has a client certificate of its own.
SEVEN = (7, 0)


# From here on a manager can be told that brokers are somebody else's (rabbitmq.is_external in config.yaml).
_EXTERNAL_BROKERS_SINCE = (6, 2)


def knows_external_brokers(version: Version) -> bool:
    """Tell whether managers of a version know of brokers that Cloudify did not install."""
    return version.numbers >= _EXTERNAL_BROKERS_SINCE


@dataclass(frozen=True)
class Files:
    """Where what the configuration points at lies on a machine. The CA's key is nowhere among it."""

    ca: str = f"{CERTIFICATES_FOLDER}/ca_cert.pem"
    external: str = f"{CERTIFICATES_FOLDER}/external"
    client: str = f"{CERTIFICATES_FOLDER}/client_cloudify"
    superuser: str = f"{CERTIFICATES_FOLDER}/client_postgres"
    licence: str = f"{CERTIFICATES_FOLDER}/licence.yaml"
    database_ca: str = f"{CERTIFICATES_FOLDER}/external_database_ca.pem"
    broker_ca: str = f"{CERTIFICATES_FOLDER}/external_brokers_ca.pem"

    @staticmethod
    def of(service: Service) -> str:
        """Return the place of a service's own pair, without what follows (see `certificate`, `key`)."""
        return f"{CERTIFICATES_FOLDER}/{service.value}"

    @staticmethod
    def certificate(place: str) -> str:
        """Return the path of a pair's certificate."""
        return f"{place}_cert.pem"

    @staticmethod
    def key(place: str) -> str:
        """Return the path of a pair's key."""
        return f"{place}_key.pem"


@dataclass(frozen=True)
class Plan:
    """What is the same for every member of a cluster.

    Attributes:
        members: All that are to be members, in their order; the first one is installed first.
        additional_config: The user's; see `overlay`.
        credentials: By name, derived.
        licensed: Whether a licence was given.
    """

    version: Version
    layout: Layout
    members: Sequence[Host]
    admin_username: str
    admin_password: Secret
    credentials: Mapping[str, Secret] = field(repr=False)
    ldap: Ldap | None = None
    additional_config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    licensed: bool = False
    database: ExternalDatabase | None = None
    brokers: ExternalBrokers | None = None
    files: Files = Files()

    @property
    def clustered_database(self) -> bool:
        """Whether the members' own databases are a cluster."""
        return not self.layout.single and Service.DATABASE in self.layout.services

    @property
    def clustered_brokers(self) -> bool:
        """Whether the members' own brokers are a cluster."""
        return not self.layout.single and Service.BROKER in self.layout.services

    @property
    def has_external_pair(self) -> bool:
        """Whether REST at an address may have a certificate other than the internal one."""
        return self.version.numbers < SEVEN

    @property
    def has_superuser_pair(self) -> bool:
        """Whether the database's superuser has a client certificate."""
        return self.version.numbers >= SEVEN

    def secrets(self) -> dict[str, Secret]:
        """Return the credentials as they are used: derived, or given by the user."""
        return overridden(self.credentials, {service: self.overlay(service) for service in Service})

    def overlay(self, service: Service) -> dict[str, Any]:
        """Return what the user wants over the configuration of one service."""
        common, own = split_additional_config(self.additional_config)
        return deep_merge(common, own[service])


def split_additional_config(
    additional: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[Service, dict[str, Any]]]:
    """Tell what is for the configurations of all services, and what is for one alone.

    Below ``postgresql``, ``rabbitmq`` and ``manager`` stand sections of config.yaml for that service alone.
    Two of these words are sections themselves; whatever stands below them and is no section's name belongs to
    that section, in every configuration. No section has a key that is called like a section.
    """
    common: dict[str, Any] = {}
    own: dict[Service, dict[str, Any]] = {service: {} for service in Service}
    words = {service.word: service for service in Service}
    for key, value in additional.items():
        service = words.get(key)
        if service is None or not isinstance(value, Mapping):
            common[key] = value
            continue
        own[service] = {name: below for name, below in value.items() if name in SECTIONS}
        rest = {name: below for name, below in value.items() if name not in SECTIONS}
        if rest or not value:
            common[key] = rest
    return common, own
