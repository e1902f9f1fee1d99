"""The configurations of generation 5 as golden files: what is written for whom, and whence each value comes.

``python -m tests.unit.cmom.given_golden5`` writes them anew after a wanted change; read the difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cmom.models import Host, Secret, Version
from cmom.services.generation5.configs import ServiceConfig, service_config, single_config
from cmom.services.generation5.credentials import CREDENTIALS
from cmom.services.generation5.layout import Service, layout_of
from cmom.services.generation5.plan import Plan
from cmom.services.wanted import ExternalBrokers, ExternalDatabase

FOLDER = Path(__file__).parent / "golden5"

# Key of config.yaml (its last parts are enough) -> where its value comes from.
SOURCES = {
    "private_ip": "the machine's `ip`",
    "public_ip": "the machine's `public_ip`",
    "hostname": "the machine's `hostname`, up to its first dot; of its address where it has none",
    "admin_username": "input `manager_admin_username`",
    "admin_password": "input `manager_admin_password`",
    "ssl_enabled": "always: Tier 2 speaks TLS only, and databases elsewhere are reached over TLS",
    "cloudify_license_path": "input `manager_license_path`, copied; only the first manager uploads it",
    "services_to_install": "the run: each service of a cluster has its own",
    "internal_cert_path": "issued on Tier 2 for the manager",
    "internal_key_path": "issued on Tier 2 for the manager",
    "external_cert_path": "issued on Tier 2; from 7.0 on refused where public_ip is an address",
    "external_key_path": "issued on Tier 2; see external_cert_path",
    "external_ca_cert_path": "input `ca_cert`: the installer wants it beside a signed external certificate",
    "ca_cert_path": "input `ca_cert`; without its key, which never leaves Tier 2",
    "postgresql_client_cert_path": "issued on Tier 2, its CN the user `cloudify`",
    "postgresql_client_key_path": "issued on Tier 2, its CN the user `cloudify`",
    "postgresql_superuser_client_cert_path": "issued on Tier 2, its CN the user `postgres`; from 7.0 on",
    "postgresql_superuser_client_key_path": "issued on Tier 2, its CN the user `postgres`; from 7.0 on",
    "cert_path": "issued on Tier 2 for this service",
    "key_path": "issued on Tier 2 for this service",
    "ca_path": "input `ca_cert`; of a database or brokers elsewhere, their own ca_path, copied",
    "ssl_client_verification": "always in a cluster: who has no certificate of the CA is refused",
    "ssl_only_connections": "always in a cluster; ssl_client_verification needs it",
    "nodes": "all members: hostname -> ip",
    "cluster_members": "all members, or input `external_brokers`.members: name -> address",
    "nodename": "the machine's `hostname`, up to its first dot",
    "join_cluster": "a living broker; the first one has none",
    "is_external": "input `external_brokers`",
    "username": "input `external_brokers`",
    "host": "input `external_database`",
    "server_db_name": "input `external_database`",
    "server_username": "input `external_database`",
    "cloudify_db_name": "input `external_database`",
    "cloudify_username": "input `external_database`",
    "work_mem": "input `additional_config`.postgresql: for the databases alone",
    "skip_sanity": "input `additional_config`: for all services",
}


@dataclass(frozen=True)
class Case:
    """One cluster, and of which of its members the configurations are shown."""

    name: str
    version: str
    members: int
    shown: tuple[int, ...]
    additional_config: dict[str, Any] = field(default_factory=dict)
    external_database: bool = False
    external_brokers: bool = False

    def plan(self) -> Plan:
        hosts = [
            Host(f"10.0.0.{20 + n}", f"192.0.2.{20 + n}", f"tier1-{n}") for n in range(1, self.members + 1)
        ]
        layout = layout_of(
            self.members, external_database=self.external_database, external_brokers=self.external_brokers
        )
        database = ExternalDatabase(
            "db.example:5432", "/etc/cloudify/db_ca.pem", Secret("given server"), Secret("given cloudify")
        )
        brokers = ExternalBrokers(
            "messenger",
            Secret("given broker"),
            "/etc/cloudify/broker_ca.pem",
            {"b1": "10.0.1.1", "b2": "10.0.1.2"},
        )
        return Plan(
            version=Version.parse(self.version),
            layout=layout,
            members=hosts,
            admin_username="admin",
            admin_password=Secret("given admin"),
            credentials={name: Secret(f"derived {name}") for name in CREDENTIALS},
            additional_config=self.additional_config,
            licensed=not layout.single,
            database=database if self.external_database else None,
            brokers=brokers if self.external_brokers else None,
        )

    def configs(self) -> Iterator[tuple[str, ServiceConfig]]:
        """Yield where each configuration lies, and what it is."""
        plan = self.plan()
        for number in self.shown:
            host = plan.members[number - 1]
            if plan.layout.single:
                yield f"{host.hostname}: {plan.layout.single_run.config_path}", single_config(plan, host)
                continue
            for service in plan.layout.services:
                join = plan.members[0] if number > 1 and service is Service.BROKER else None
                config = service_config(plan, host, service, join=join, first=number == 1)
                yield f"{host.hostname}: {service.run.config_path}", config

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.yaml"

    def text(self) -> str:
        """What the golden file holds."""
        head = f"# {self.members} of {self.version}. Beside each value stands where it comes from.\n"
        documents = [
            f"---\n# {where}\n" + "\n".join(_annotated(yaml.safe_load(config.text.reveal()))) + "\n"
            for where, config in self.configs()
        ]
        return head + "".join(documents)


_EVERYTHING = {
    "sanity": {"skip_sanity": True},
    "postgresql": {"postgresql_server": {"config": {"work_mem": "32MB"}}},
    "rabbitmq": {"password": "given instead"},
}
CASES = (
    Case("one_member", "7.0.5", 1, (1,)),
    Case("one_member_before_7.0", "6.3.0", 1, (1,)),
    Case("three_members", "7.0.5", 3, (1, 2)),
    Case("three_members_with_additional_config", "7.0.5", 3, (1,), _EVERYTHING),
    Case("five_members", "7.0.5", 5, (5,)),
    Case("external_services", "7.0.5", 2, (1, 2), external_database=True, external_brokers=True),
    Case("external_services_before_6.2", "5.1.4", 2, (2,), external_database=True, external_brokers=True),
    Case("external_database", "7.0.5", 3, (2,), external_database=True),
)


def _annotated(content: dict[str, Any], depth: int = 0, path: tuple[str, ...] = ()) -> Iterator[str]:
    for key, value in content.items():
        indent, here = "  " * depth, (*path, key)
        if isinstance(value, dict) and value and key not in ("nodes", "cluster_members"):
            yield f"{indent}{key}:"
            yield from _annotated(value, depth + 1, here)
        else:
            shown = yaml.safe_dump(value, default_flow_style=True, width=10_000).splitlines()[0]
            yield f"{indent}{key}: {shown}  # {_source(here, value)}"


def _source(path: tuple[str, ...], value: object) -> str:
    for name, (_, place) in CREDENTIALS.items():
        if value == f"derived {name}":
            return f"derived from the CA's key: {name}" + (
                "" if place == path else ", as the other side has it"
            )
    if isinstance(value, str) and value.startswith("given instead"):
        return "input `additional_config`, which wins; everywhere where it is used"
    if isinstance(value, str) and value.startswith("given"):
        return SOURCES.get(path[-1], "input `external_database` or `external_brokers`")
    return SOURCES[path[-1]]


if __name__ == "__main__":
    for case in CASES:
        case.path.write_text(case.text(), encoding="utf-8")
