"""The configurations that the services of a member are installed from; the user's `additional_config` wins.

Keys and their meaning are those of the installer's own config.yaml (cloudify-manager-install, 5.1 to 7.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cmom.models import Host, Secret
from cmom.services.config_text import deep_merge, to_yaml
from cmom.services.generation5.layout import Service, member_name
from cmom.services.generation5.plan import Plan, knows_external_brokers
from cmom.services.manager_config import ldap_content

Content = dict[str, Any]

# Who the members are, and the administrator's password, change while a cluster lives, and are no part of what
# a service was installed with.
_CHANGING = (
    ("manager", "security", "admin_password"),
    ("postgresql_server", "cluster", "nodes"),
    ("rabbitmq", "cluster_members"),
    ("rabbitmq", "join_cluster"),
    ("manager", "cloudify_license_path"),
)


@dataclass(frozen=True)
class ServiceConfig:
    """What one run of the installer is told.

    Attributes:
        content: Plain data; it holds passwords.
    """

    content: Content

    @property
    def text(self) -> Secret:
        """The file."""
        return to_yaml(self.content)

    @property
    def identity(self) -> Secret:
        """The part of it that must not be another one later."""
        content = self.content
        for path in _CHANGING:
            content = _without(content, path)
        return to_yaml(content)


def single_config(plan: Plan, host: Host) -> ServiceConfig:
    """Return what a member is told that is alone and has everything in one run."""
    content: Content = {}
    for service in plan.layout.services:
        content = deep_merge(content, _own(plan, host, service, ""))
    content = deep_merge(content, _base(plan, host))
    content["services_to_install"] = list(plan.layout.installed_services)
    for service in plan.layout.services:
        content = deep_merge(content, plan.overlay(service))
    return ServiceConfig(content)


def service_config(
    plan: Plan, host: Host, service: Service, *, join: Host | None = None, first: bool = False
) -> ServiceConfig:
    """Return what a run for one service of a cluster's member is told.

    Args:
        plan: Of the cluster.
        host: The member.
        service: Which of its services.
        join: For a broker: by which living member it finds the others; None for the first one.
        first: For a manager: whether it is the first one, which uploads the licence.
    """
    content = deep_merge(_base(plan, host), _own(plan, host, service, member_name(join) if join else ""))
    if service is Service.MANAGER and first and plan.licensed:
        content = deep_merge(content, {"manager": {"cloudify_license_path": plan.files.licence}})
    content["services_to_install"] = list(service.installed_services)
    return ServiceConfig(deep_merge(content, plan.overlay(service)))


def _base(plan: Plan, host: Host) -> Content:
    """What every run is told: whose machine it is, and how its metrics are read."""
    return {
        "manager": {"private_ip": host.ip, "public_ip": host.public_ip, "hostname": member_name(host)},
        "prometheus": {"credentials": {"password": plan.secrets()["monitoring_password"]}},
    }


def _own(plan: Plan, host: Host, service: Service, join: str) -> Content:
    content = {
        Service.DATABASE: lambda: _database(plan),
        Service.BROKER: lambda: _broker(plan, host, join),
        Service.MANAGER: lambda: _manager(plan),
    }[service]()
    return deep_merge(_monitored(plan, service), content)


def _monitored(plan: Plan, service: Service) -> Content:
    """In a cluster the proxy in front of Prometheus makes no certificate of its own."""
    return {"prometheus": _pair(plan, service)}


def _database(plan: Plan) -> Content:
    secrets = plan.secrets()
    monitoring = {"db_monitoring": {"password": secrets["database_monitoring_password"]}}
    if not plan.clustered_database:
        return {"postgresql_server": monitoring}
    return {
        "postgresql_server": {
            **_pair(plan, Service.DATABASE),
            **monitoring,
            "postgres_password": secrets["postgres_password"],
            "ssl_client_verification": True,
            "ssl_only_connections": True,
            "cluster": {
                "nodes": _database_nodes(plan),
                "etcd": {
                    "cluster_token": secrets["etcd_cluster_token"],
                    "root_password": secrets["etcd_root_password"],
                    "patroni_password": secrets["etcd_patroni_password"],
                },
                "patroni": {"rest_password": secrets["patroni_rest_password"]},
                "postgres": {"replicator_password": secrets["replicator_password"]},
            },
        }
    }


def _broker(plan: Plan, host: Host, join: str) -> Content:
    secrets = plan.secrets()
    content: Content = {**_pair(plan, Service.BROKER), "password": secrets["broker_password"]}
    if plan.clustered_brokers:
        content |= {
            "nodename": member_name(host),
            "erlang_cookie": secrets["erlang_cookie"],
            "cluster_members": _broker_members(plan),
        }
    if join:
        content["join_cluster"] = join
    return {"rabbitmq": content}


def _manager(plan: Plan) -> Content:
    files = plan.files
    content: Content = {
        "manager": {
            "security": {
                "ssl_enabled": True,
                "admin_username": plan.admin_username,
                "admin_password": plan.admin_password,
            }
        },
        "ssl_inputs": {
            "internal_cert_path": files.certificate(files.of(Service.MANAGER)),
            "internal_key_path": files.key(files.of(Service.MANAGER)),
            # The CA's certificate without its key is allowed, because the internal pair is given.
            "ca_cert_path": files.ca,
        },
    }
    if plan.licensed and plan.layout.single:
        content["manager"]["cloudify_license_path"] = files.licence
    if plan.has_external_pair:
        content["ssl_inputs"] |= {
            "external_cert_path": files.certificate(files.external),
            "external_key_path": files.key(files.external),
            "external_ca_cert_path": files.ca,
        }
    if plan.ldap is not None:
        content["restservice"] = {"ldap": ldap_content(plan.ldap)}
    return deep_merge(deep_merge(content, _to_database(plan)), _to_brokers(plan))


def _to_database(plan: Plan) -> Content:
    """How a manager reaches its database."""
    files, secrets, elsewhere = plan.files, plan.secrets(), plan.database
    if elsewhere is not None:
        return {
            "postgresql_client": {
                "host": elsewhere.host,
                "ca_path": files.database_ca,
                "server_db_name": elsewhere.server_db_name,
                "server_username": elsewhere.server_username,
                "server_password": elsewhere.server_password,
                "cloudify_db_name": elsewhere.cloudify_db_name,
                "cloudify_username": elsewhere.cloudify_username,
                "cloudify_password": elsewhere.cloudify_password,
                "ssl_enabled": True,
            }
        }
    own = {"cloudify_password": secrets["cloudify_password"]}
    if not plan.clustered_database:
        return {"postgresql_client": own}
    certificates = {
        "postgresql_client_cert_path": files.certificate(files.client),
        "postgresql_client_key_path": files.key(files.client),
    }
    if plan.has_superuser_pair:
        certificates |= {
            "postgresql_superuser_client_cert_path": files.certificate(files.superuser),
            "postgresql_superuser_client_key_path": files.key(files.superuser),
        }
    return {
        "postgresql_server": {"ca_path": files.ca, "cluster": {"nodes": _database_nodes(plan)}},
        "postgresql_client": {
            **own,
            "server_password": secrets["postgres_password"],
            "ssl_enabled": True,
            "ssl_client_verification": True,
        },
        "ssl_inputs": certificates,
    }


def _to_brokers(plan: Plan) -> Content:
    """How a manager reaches its brokers."""
    elsewhere = plan.brokers
    if elsewhere is not None:
        return {
            "rabbitmq": {
                **({"is_external": True} if knows_external_brokers(plan.version) else {}),
                "username": elsewhere.username,
                "password": elsewhere.password,
                "ca_path": plan.files.broker_ca,
                "cluster_members": {
                    name: {"networks": {"default": address}} for name, address in elsewhere.members.items()
                },
            }
        }
    if not plan.clustered_brokers:
        return {}
    return {
        "rabbitmq": {
            "password": plan.secrets()["broker_password"],
            "ca_path": plan.files.ca,
            "cluster_members": _broker_members(plan),
        }
    }


def _pair(plan: Plan, service: Service) -> Content:
    place = plan.files.of(service)
    return {
        "cert_path": plan.files.certificate(place),
        "key_path": plan.files.key(place),
        "ca_path": plan.files.ca,
    }


def _database_nodes(plan: Plan) -> Content:
    return {member_name(member): {"ip": member.ip} for member in plan.members}


def _broker_members(plan: Plan) -> Content:
    return {member_name(member): {"networks": {"default": member.ip}} for member in plan.members}


def _without(content: Mapping[str, Any], path: tuple[str, ...]) -> Content:
    key, below = path[0], path[1:]
    copied = dict(content)
    if not below:
        copied.pop(key, None)
    elif isinstance(copied.get(key), Mapping):
        copied[key] = _without(copied[key], below)
    return copied
