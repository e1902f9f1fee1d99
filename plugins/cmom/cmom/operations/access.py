"""From a node's properties to how its machine and its manager are talked to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmom.models import ManagerAccess, Secret, SshAccess


def ssh_access(properties: Mapping[str, Any]) -> SshAccess:
    """Return how to log in to the machine of a manager."""
    return SshAccess(
        user=properties["ssh_user"],
        private_key_path=properties["ssh_private_key_path"],
        port=int(properties["ssh_port"]),
    )


def manager_access(properties: Mapping[str, Any]) -> ManagerAccess:
    """Return how to talk to the REST service of the managers."""
    return ManagerAccess(
        username=properties["manager_admin_username"],
        password=Secret(properties["manager_admin_password"]),
        ca_cert_path=properties["ca_cert"],
        port=int(properties["rest_port"]),
    )
