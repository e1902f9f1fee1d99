"""The passwords that the services of a cluster share: derived, never stored.

They follow from the CA's key, the deployment and the credential's name, so a member that is healed years
later gets the same ones; what the user gives in `additional_config` wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmom.models import Secret
from cmom.services.certificates import Authority
from cmom.services.generation5.layout import Service

# Name -> the service that it belongs to, and its place in config.yaml.
CREDENTIALS: Mapping[str, tuple[Service, tuple[str, ...]]] = {
    "postgres_password": (Service.DATABASE, ("postgresql_server", "postgres_password")),
    "etcd_cluster_token": (Service.DATABASE, ("postgresql_server", "cluster", "etcd", "cluster_token")),
    "etcd_root_password": (Service.DATABASE, ("postgresql_server", "cluster", "etcd", "root_password")),
    "etcd_patroni_password": (Service.DATABASE, ("postgresql_server", "cluster", "etcd", "patroni_password")),
    "patroni_rest_password": (Service.DATABASE, ("postgresql_server", "cluster", "patroni", "rest_password")),
    "replicator_password": (
        Service.DATABASE,
        ("postgresql_server", "cluster", "postgres", "replicator_password"),
    ),
    "database_monitoring_password": (Service.DATABASE, ("postgresql_server", "db_monitoring", "password")),
    "broker_password": (Service.BROKER, ("rabbitmq", "password")),
    "erlang_cookie": (Service.BROKER, ("rabbitmq", "erlang_cookie")),
    "cloudify_password": (Service.MANAGER, ("postgresql_client", "cloudify_password")),
    "monitoring_password": (Service.MANAGER, ("prometheus", "credentials", "password")),
}


def derive(authority: Authority, deployment_id: str) -> dict[str, Secret]:
    """Return all credentials of a deployment, by name.

    Args:
        authority: Whose key they are derived from.
        deployment_id: On Tier 2.
    """
    return {name: authority.derive(f"{deployment_id}/{name}") for name in CREDENTIALS}


def overridden(
    derived: Mapping[str, Secret], overlays: Mapping[Service, Mapping[str, Any]]
) -> dict[str, Secret]:
    """Return the credentials with those that the user has given instead.

    A password that two services share (the database's, the broker's) is given once, where it belongs.

    Args:
        derived: From `derive`.
        overlays: What the user has given for each service, in the shape of config.yaml.
    """
    return {
        name: given if (given := _at(overlays.get(service) or {}, path)) else derived[name]
        for name, (service, path) in CREDENTIALS.items()
    }


def _at(content: Mapping[str, Any], path: tuple[str, ...]) -> Secret | None:
    found: Any = content
    for key in path:
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return Secret(str.__str__(found)) if isinstance(found, str) and found else None
