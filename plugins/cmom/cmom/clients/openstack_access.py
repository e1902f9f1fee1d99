"""Whose OpenStack it is: read from the same ``client_config`` that cloudify-openstack-plugin is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cmom.errors import Fault, InvalidInputs
from cmom.models import Secret

DEFAULT_DOMAIN = "Default"


@dataclass(frozen=True)
class CloudAccess:
    """How to talk to one project of an OpenStack, read from the plugin's own ``client_config``.

    Attributes:
        region: Empty where the cloud has only one.
        verify: The path of a CA certificate, True for the system's, False to check nothing.
        user_domain: ``{"name": ...}`` or ``{"id": ...}``, as keystone takes it; likewise
            `project_domain`.
    """

    auth_url: str
    username: str
    password: Secret
    project: str
    region: str = ""
    verify: bool | str = True
    user_domain: Mapping[str, str] = field(default_factory=lambda: {"name": DEFAULT_DOMAIN})
    project_domain: Mapping[str, str] = field(default_factory=lambda: {"name": DEFAULT_DOMAIN})

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> CloudAccess:
        """Read it.

        Raises:
            InvalidInputs: Something that every cloud needs is missing; all of it in one message.
        """
        project = config.get("project_name") or config.get("tenant_name")
        wanted = {
            "os_auth_url": config.get("auth_url"),
            "os_username": config.get("username"),
            "os_password": config.get("password"),
            "os_project (or os_tenant)": project,
        }
        missing = [Fault(name, "missing") for name, value in wanted.items() if not value]
        if missing:
            raise InvalidInputs(missing)
        insecure = str(config.get("insecure") or "").lower() == "true"
        return cls(
            auth_url=str(config["auth_url"]).rstrip("/"),
            username=str(config["username"]),
            password=Secret(config["password"]),
            project=str(project),
            region=str(config.get("region_name") or ""),
            verify=False if insecure else config.get("ca_cert") or True,
            user_domain=_domain(config, "user"),
            project_domain=_domain(config, "project"),
        )


def _domain(config: Mapping[str, Any], whose: str) -> dict[str, str]:
    if config.get(f"{whose}_domain_id"):
        return {"id": str(config[f"{whose}_domain_id"])}
    return {"name": str(config.get(f"{whose}_domain_name") or DEFAULT_DOMAIN)}
