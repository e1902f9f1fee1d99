"""Managers of generation 5 of each age: what is written for them, and an installation by the blueprint."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmom.models import Host, Secret, Version
from cmom.services.generation5.configs import service_config
from cmom.services.generation5.credentials import CREDENTIALS
from cmom.services.generation5.layout import Service, layout_of
from cmom.services.generation5.plan import Plan
from lab.clock import RealClock
from lab.local_profile import LocalProfile
from lab.settings import LabSettings
from lab.testing import LabThread
from tests.lab.cluster5 import PASSWORD, Cluster5, cluster_of, pair
from tests.lab.engine import Engine
from tests.lab.rest import shared_ca


def plan_of(cluster: Cluster5) -> Plan:
    """What the product would install the machines with."""
    return Plan(
        version=Version.parse(cluster.version),
        layout=layout_of(len(cluster.names), external_database=False, external_brokers=False),
        members=[Host(cluster.ip(name), cluster.ip(name), cluster.host(name)) for name in cluster.names],
        admin_username="admin",
        admin_password=Secret(PASSWORD),
        credentials={name: Secret(f"derived {name}") for name in CREDENTIALS},
        licensed=True,
    )


def put_files(cluster: Cluster5, plan: Plan, name: str) -> None:
    """Put what the configurations point at where they say that it is."""
    machine, files = cluster.lab.machine(name), plan.files
    folder = Path(files.ca).parent
    own = pair(machine.hostname, machine.ip)
    pairs = {files.of(service): own for service in Service}
    pairs |= {files.external: own, files.client: pair("cloudify"), files.superuser: pair("postgres")}
    content = {files.ca: shared_ca()[0].read_bytes()}
    content[files.licence] = machine.path("/etc/cloudify/license.yaml").read_bytes()
    for place, (certificate, key) in pairs.items():
        content |= {files.certificate(place): certificate, files.key(place): key}
    machine.path(str(folder)).mkdir(parents=True, exist_ok=True)
    for path, text in content.items():
        machine.path(path).write_bytes(text)


@pytest.mark.parametrize("version", ["5.1.4", "6.4.2"])
def test_the_installer_of_each_age_takes_what_is_written_for_it(tmp_path: Path, version: str) -> None:
    with cluster_of(tmp_path) as cluster:
        cluster.version = version
        for name in cluster.names:
            cluster.prepare(name)
        plan = plan_of(cluster)
        for service in Service:
            for host, name in zip(plan.members, cluster.names, strict=True):
                first = name == cluster.names[0]
                if service is Service.DATABASE:
                    put_files(cluster, plan, name)
                config = service_config(
                    plan, host, service, join=None if first else plan.members[0], first=first
                )
                cluster.put(name, f"{service.value}.yaml", config.text.reveal().encode())
                cluster.good(name, "install", "-c", f"{service.value}.yaml")
        for name in cluster.names:
            found = cluster.client(name).cluster_status.get_status()
            assert found["status"] == "OK", found
            assert cluster.client(name).manager.get_version()["version"] == version


def test_a_manager_of_5_1_is_installed_by_the_same_blueprint(tmp_path: Path) -> None:
    settings = LabSettings.instant()
    with LabThread(
        tmp_path / "lab", machines=1, version="5.1.4", settings=settings, clock=RealClock()
    ) as lab:
        inputs = {**lab.inputs(), "num_of_instances": 1, "poll_interval_seconds": 0.05}
        inputs["secrets"] = [{"key": "one", "string": "x"}]
        deployment = Engine(LocalProfile.create(tmp_path / "tier2"), "hosts_blueprint.yaml", inputs)
        deployment.run("install")

        (properties,) = deployment.properties("cloudify_cluster")
        found = properties["status"]
        assert (found["condition"], found["error"]) == ("ready", ""), found
        assert found["summary"]["status"] == "OK"
        manager = lab.machines[0].manager
        assert manager.version == "5.1.4"
        assert [secret.id for secret in manager.database.secrets] == ["one"]

        deployment.run("uninstall")
        assert lab.machines[0].manager is None
