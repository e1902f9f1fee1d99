"""Managers of generation 5 over a database and brokers that exist elsewhere, installed by the blueprint."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cmom.errors import ActionRequired
from cmom.models import Host, ManagerAccess, Secret, Version
from cmom.services.snapshots.initial import InitialRestore
from cmom.services.snapshots.requests import RestoreRequest
from lab.clock import RealClock
from lab.local_profile import LocalProfile
from lab.manager import certificates
from lab.manager.five import license
from lab.settings import LabSettings
from lab.testing import LabThread
from tests.lab.cluster5 import DATABASE, QUEUE, VERSION, Cluster5
from tests.lab.engine import Engine
from tests.lab.filled import Filled
from tests.lab.given_upgrade import SETTINGS, fill, snapshot_of
from tests.lab.rest import shared_ca
from tests.unit.cmom.given_snapshot import write_archive

SERVICES = ("m1", "m2")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabThread]:
    """A database on m1, brokers on m1 and m2, and two machines for managers, which each test leaves empty."""
    folder = tmp_path_factory.mktemp("lab")
    settings = LabSettings.instant()
    with LabThread(folder, machines=4, version=VERSION, settings=settings, clock=RealClock()) as running:
        services = Cluster5(running, names=SERVICES)
        for said in (
            services.install("m1", DATABASE, services.lone_database("m1")),
            *(services.install(name, QUEUE) for name in SERVICES),
        ):
            assert said.code == 0, said.text
        yield running


def engine(folder: Path, lab: LabThread, **changes: Any) -> Engine:
    """A deployment of two managers; `changes` of external_database and external_brokers are made in them."""
    given, ca = lab.inputs(), str(shared_ca()[0])
    machines = {name: lab.machine(name) for name in SERVICES}
    services = {
        "external_database": {
            "host": machines["m1"].ip,
            "ca_path": ca,
            "server_password": "postgres-pw",
            "cloudify_password": "cloudify-pw",
        },
        "external_brokers": {
            "username": "broker",
            "password": "broker-pw",
            "ca_path": ca,
            "members": [{"name": one.hostname, "address": one.ip} for one in machines.values()],
        },
    }
    inputs = {
        **given,
        "hosts": given["hosts"][2:],
        "num_of_instances": 2,
        "poll_interval_seconds": 0.05,
        **changes,
        **{name: {**value, **changes.get(name, {})} for name, value in services.items()},
    }
    return Engine(LocalProfile.create(folder / "tier2"), "hosts_blueprint.yaml", inputs)


def status(deployment: Engine) -> dict[str, Any]:
    """What ``get_status`` finds."""
    deployment.run("get_status")
    (properties,) = deployment.properties("cloudify_cluster")
    found: dict[str, Any] = properties["status"]
    return found


def restored_again(lab: LabThread, snapshot: Path) -> bool:
    """Let an installation that has forgotten everything come to its restore."""
    machines = [lab.machine(name) for name in ("m3", "m4")]
    given = lab.inputs()
    initial = InitialRestore(
        [Host(one.ip, one.public_ip, one.hostname) for one in machines],
        ManagerAccess("admin", Secret(given["manager_admin_password"]), given["ca_cert"], given["rest_port"]),
        Version.parse(VERSION),
        logging.getLogger("test.external"),
        choose=lambda _request: snapshot,
        remember=lambda _record: None,
    )
    return initial.ensure_restored(RestoreRequest(str(snapshot)), None)


def test_two_managers_serve_over_services_elsewhere(lab: LabThread, tmp_path: Path) -> None:
    deployment = engine(tmp_path, lab)
    deployment.run("install")

    found = status(deployment)
    assert (found["condition"], found["error"]) == ("ready", "")
    first, second = (lab.machine(name) for name in ("m3", "m4"))
    rows = [(row["host_ip"], row["service"], row["status"]) for row in found["cluster_status"]]
    assert rows == [(machine.public_ip, "manager", "OK") for machine in (first, second)]
    assert first.manager.database is second.manager.database
    for machine in (first, second):
        assert machine.backing.database is None
        assert machine.backing.broker is None

    with pytest.raises(ActionRequired, match=r"in a cluster already, and .* was never restored onto it"):
        restored_again(lab, write_archive(tmp_path / "mine.zip"))

    lab.kill("m3")
    found = status(deployment)
    assert found["condition"] == "degraded"
    assert first.public_ip in found["reason"]
    lab.start("m3")

    tables = first.manager.tables
    deployment.run("uninstall")
    assert (first.manager, second.manager) == (None, None)
    assert lab.machine("m1").backing.database is not None
    assert list(tables.managers) == []


def test_a_snapshot_of_generation_4_is_restored_into_a_database_elsewhere(
    lab: LabThread, tmp_path: Path
) -> None:
    with Filled(tmp_path / "old", "4.6.0", SETTINGS) as filled:
        fill(filled)
        snapshot = snapshot_of(filled).store.archive_path("mine")
        held = sorted((one.tenant, one.id) for one in filled.manager.manager.database.deployments)
    restored = {"restore": True, "snapshot_path": str(snapshot), "transfer_agents": False}
    deployment = engine(tmp_path, lab, **restored)

    deployment.run("install")

    assert status(deployment)["condition"] == "ready"
    database = lab.machine("m3").manager.database
    assert lab.machine("m4").manager.database is database
    assert sorted((one.tenant, one.id) for one in database.deployments) == held
    done = [one.status for one in database.executions if one.workflow_id == "restore_snapshot"]
    assert done == ["terminated"]

    assert not restored_again(lab, snapshot)
    deployment.run("uninstall")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param(
            {"external_database": {"server_password": "canary-wrong"}},
            "password authentication failed",
            id="database password",
        ),
        pytest.param(
            {"external_brokers": {"password": "canary-wrong"}}, "ACCESS_REFUSED", id="broker password"
        ),
        pytest.param({"external_database": {"host": "127.0.0.9"}}, "No DB leader found", id="no database"),
    ],
)
def test_what_the_installer_is_refused_is_told_and_nothing_is_left(
    lab: LabThread,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    changes: dict[str, dict[str, Any]],
    reason: str,
) -> None:
    deployment = engine(tmp_path, lab, **changes)

    with pytest.raises(RuntimeError):
        deployment.run("install", task_retries=1)

    said = capfd.readouterr().out
    assert reason in said
    assert "canary-wrong" not in said
    deployment.run("uninstall")
    assert [lab.machine(name).manager for name in ("m3", "m4")] == [None, None]


def test_a_licence_that_managers_refuse_is_told_and_the_mended_one_is_taken(
    lab: LabThread, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    licence = tmp_path / "licence.yaml"
    licence.write_text(license.make().replace("customer_id: lab", "customer_id: canary"))
    deployment = engine(tmp_path, lab, num_of_instances=1, manager_license_path=str(licence))

    with pytest.raises(RuntimeError):
        deployment.run("install", task_retries=0)
    assert "Failed to upload Cloudify license: 400" in capfd.readouterr().out

    licence.write_text(license.make(customer_id="mended"))
    deployment.run("install", task_retries=0)
    assert lab.machine("m3").manager.tables.license.customer_id == "mended"
    deployment.run("uninstall")


def test_another_ca_of_the_database_is_refused(
    lab: LabThread, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other_ca.pem"
    other.write_bytes(certificates.make_authority()[0])
    deployment = engine(tmp_path, lab, external_database={"ca_path": str(other)})

    with pytest.raises(RuntimeError):
        deployment.run("install", task_retries=1)

    assert "certificate verify failed" in capfd.readouterr().out
    deployment.run("uninstall")
