"""The configuration that a manager of generation 4 is installed from; `additional_config` has the last word.

Keys and their meaning are those of the installer's own config.yaml (cloudify-manager-install, 4.3 to 4.6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cmom.models import Host, Secret
from cmom.services.config_text import deep_merge, to_yaml
from cmom.services.validation.findings import Findings, kind_of, nearest, shown
from cmom.services.wanted import Ldap

CONFIG_PATH = "/etc/cloudify/config.yaml"
# Not /etc/cloudify/ssl: the installer empties that folder before it copies the certificates into it
# (`_handle_certs` in its nginx component).
CERTIFICATES_FOLDER = "/etc/cloudify/cmom-certificates"

# The top-level words of config.yaml, 4.3 to 4.6.
_KNOWN_SECTIONS = frozenset(
    (
        *("agent", "amqpinflux", "cli", "cluster", "composer", "dev", "flask_security", "influxdb", "java"),
        *("logstash", "manager", "manager-ip-setter", "mgmtworker", "nginx", "patch", "postgresql"),
        *("postgresql_client", "postgresql_server", "provider_context", "python", "rabbitmq", "restservice"),
        *(
            "riemann",
            "sanity",
            "services_to_install",
            "ssl_inputs",
            "stage",
            "usage_collector",
            "validations",
        ),
    )
)
# Ours, and overlaid with something else they break the link between the tiers.
_OURS = (
    ("manager", "private_ip"),
    ("manager", "public_ip"),
    ("manager", "security", "admin_username"),
    ("manager", "security", "admin_password"),
    ("manager", "security", "ssl_enabled"),
    ("ssl_inputs",),
)


@dataclass(frozen=True)
class CertificatePaths:
    """Where a machine's certificates lie on it. The CA's key is nowhere among them."""

    external_certificate: str = f"{CERTIFICATES_FOLDER}/external_cert.pem"
    external_key: str = f"{CERTIFICATES_FOLDER}/external_key.pem"
    internal_certificate: str = f"{CERTIFICATES_FOLDER}/internal_cert.pem"
    internal_key: str = f"{CERTIFICATES_FOLDER}/internal_key.pem"
    ca_certificate: str = f"{CERTIFICATES_FOLDER}/ca_cert.pem"


@dataclass(frozen=True)
class ManagerSettings:
    """What is the same for every manager of a cluster.

    Attributes:
        additional_config: The user's, shaped like config.yaml.
    """

    admin_username: str
    admin_password: Secret
    ldap: Ldap | None = None
    additional_config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    certificates: CertificatePaths = CertificatePaths()


def generation_4_config(host: Host, settings: ManagerSettings) -> Secret:
    """Build the configuration of one machine's manager; the same text for the same data."""
    return to_yaml(deep_merge(_generation_4_content(host, settings), settings.additional_config))


def generation_4_identity(host: Host, settings: ManagerSettings) -> Secret:
    """Return the part of the configuration that must not be another one later.

    All of it but the administrator's password: with that a manager begins, and people change it.
    """
    return generation_4_config(host, replace(settings, admin_password=Secret("")))


def check_additional_config(additional: Mapping[str, Any], findings: Findings) -> None:
    """Judge `additional_config` as the overlay it is: what would break a section, and what deserves a word.

    Values are never shown; some of them are secrets.
    """
    example = _generation_4_content(
        Host("", "", ""), ManagerSettings("", Secret(""), ldap=Ldap(server="", domain=""))
    )
    check_sections(example, additional, "additional_config", findings)
    for section in additional:
        if section not in _KNOWN_SECTIONS:
            place = f"additional_config.{shown(section)[1:-1]}"
            findings.warn(
                place, f"no section of generation 4's config.yaml{nearest(section, _KNOWN_SECTIONS)}"
            )
    for path in _OURS:
        if has_path(additional, path):
            place = ".".join(("additional_config", *path))
            findings.warn(place, "overlays what Tier 2 itself sets and relies on; it must mean the same")


def check_sections(
    ours: Mapping[str, Any], overlay: Mapping[str, Any], place: str, findings: Findings
) -> None:
    """Note what of an overlay is no mapping where our own configuration has one."""
    for key, value in overlay.items():
        if not isinstance(ours.get(key), Mapping):
            continue
        if isinstance(value, Mapping):
            check_sections(ours[key], value, f"{place}.{key}", findings)
        else:
            findings.fault(f"{place}.{key}", f"must be a mapping, as in config.yaml, not {kind_of(value)}")


def has_path(mapping: object, path: tuple[str, ...]) -> bool:
    """Tell whether there is anything at a place below some mappings."""
    for key in path:
        if not isinstance(mapping, Mapping) or key not in mapping:
            return False
        mapping = mapping[key]
    return True


def _generation_4_content(host: Host, settings: ManagerSettings) -> dict[str, Any]:
    paths = settings.certificates
    content: dict[str, Any] = {
        "manager": {
            "private_ip": host.ip,
            "public_ip": host.public_ip,
            "security": {
                "ssl_enabled": True,
                "admin_username": settings.admin_username,
                "admin_password": settings.admin_password,
            },
        },
        # The CA's certificate without its key is allowed, because the internal pair is given.
        "ssl_inputs": {
            "external_cert_path": paths.external_certificate,
            "external_key_path": paths.external_key,
            "internal_cert_path": paths.internal_certificate,
            "internal_key_path": paths.internal_key,
            "ca_cert_path": paths.ca_certificate,
        },
    }
    if settings.ldap is not None:
        content["restservice"] = {"ldap": ldap_content(settings.ldap)}
    return content


def ldap_content(ldap: Ldap) -> dict[str, Any]:
    """Return what was given; what was not is left to the installer's defaults."""
    given = {
        "server": ldap.server,
        "username": ldap.username,
        "password": ldap.password,
        "domain": ldap.domain,
        "dn_extra": ldap.dn_extra,
        "is_active_directory": ldap.is_active_directory,
    }
    return {key: value for key, value in given.items() if value is not None}
