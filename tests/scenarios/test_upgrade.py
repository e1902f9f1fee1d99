"""The story of an upgrade, from 4.3: a new cluster takes over what the old one holds, and its agents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.clock import RealClock
from lab.manager import samples
from lab.manager.models import Manager
from lab.rpm_builder import build_rpm
from lab.settings import LabSettings
from lab.testing import LabThread
from tests.scenarios.tier2 import FAST, Tier2

STUBBORN = "dsl_definitions: {lab: {install_new_agents: {error: 10.1.2.3 does not answer}}}\n"
OLD_PASSWORD = "canary-old-51c0"


# What a cluster of a version takes at least.
MEMBERS = {"4.6.0": 2, "7.0.5": 3}


@pytest.fixture
def version(request: pytest.FixtureRequest) -> str:
    """That of the new managers: of the generation of the old ones, unless a test is about more."""
    return str(getattr(request, "param", "4.6.0"))


@pytest.fixture
def lab(tmp_path: Path, version: str) -> Iterator[LabThread]:
    """Two machines for the old cluster, and those of the new one."""
    settings = LabSettings.instant()
    machines = 2 + MEMBERS[version]
    with LabThread(
        tmp_path / "lab", machines=machines, settings=settings, clock=RealClock(), version=version
    ) as lab:
        yield lab


@pytest.fixture
def old(tmp_path: Path, lab: LabThread) -> Tier2:
    """An old cluster of 4.3 with deployments in two tenants."""
    rpm = tmp_path / "cloudify-manager-install-4.3.rpm"
    build_rpm(rpm, version="4.3.0")
    path = str(samples.make_blueprint(tmp_path))
    stubborn = str(samples.make_blueprint(tmp_path, "stubborn", samples.BLUEPRINT + STUBBORN))
    inputs = lab.inputs()
    inputs |= {
        "hosts": inputs["hosts"][:2],
        "num_of_instances": 2,
        "install_rpm_path": str(rpm),
        "manager_admin_password": OLD_PASSWORD,
        "tenants": ["blue"],
        "secrets": [{"key": "key", "string": "value"}],
        "blueprints": [
            {"path": path},
            {"path": path, "tenant": "blue"},
            {"path": stubborn, "tenant": "blue"},
        ],
        "deployments": [
            {"blueprint_id": "sample", "deployment_id": "shop"},
            {"blueprint_id": "stubborn", "deployment_id": "bakery", "tenant": "blue"},
            {"blueprint_id": "sample", "deployment_id": "planned", "tenant": "blue"},
        ],
    }
    tier2 = Tier2.create(tmp_path / "tier2", inputs, deployment="old")
    result = tier2.install()
    assert result.returncode == 0, result.stdout
    leader = leader_of(lab, 0)
    lab.call(install_deployments, leader)
    return tier2


def install_deployments(leader: Manager) -> None:
    """As if their users had installed them."""
    for deployment in leader.database.deployments:
        if deployment.id != "planned":
            deployment.set_states("started")


def let_agents_come(leader: Manager) -> None:
    """Mend what kept the agents of one deployment from coming."""
    for deployment in leader.database.deployments:
        deployment.plan.script.clear()


@pytest.fixture
def new(lab: LabThread, old: Tier2, version: str) -> Tier2:
    """A new deployment that is to take over."""
    inputs = lab.inputs()
    inputs |= {
        "hosts": inputs["hosts"][2:],
        "num_of_instances": MEMBERS[version],
        "restore": True,
        "old_deployment_id": "old",
        "backup": True,
        **FAST,
    }
    return replace(old, inputs=inputs, deployment="new")


def leader_of(lab: LabThread, first: int) -> Manager:
    """The leader among two machines, or the first of managers that all lead."""
    for machine in lab.machines[first : first + 2]:
        manager = machine.manager
        if manager is not None and (manager.seat.is_leader or manager.version.startswith("7")):
            return manager
    raise AssertionError("nobody leads")


def held(manager: Manager) -> dict[str, Any]:
    """What a manager holds."""
    database = manager.database
    return {
        "tenants": sorted(database.tenants.by_name),
        "secrets": sorted(secret.id for secret in database.secrets),
        "deployments": sorted((one.tenant, one.id) for one in database.deployments),
    }


def moved(manager: Manager) -> list[str]:
    """The deployments whose agents were told to come."""
    return sorted(
        str(one.deployment_id)
        for one in manager.database.executions
        if one.workflow_id == "install_new_agents" and one.status == "terminated"
    )


def assert_ready(tier2: Tier2) -> None:
    """Assert that the cluster is whole, of whatever generation."""
    status = tier2.properties()["status"]
    assert (status["condition"], status["error"]) == ("ready", ""), status
    members = {row["host_ip"] for row in status["cluster_status"]}
    assert len(members) == tier2.inputs["num_of_instances"]


def restores(manager: Manager) -> list[str]:
    return [one.status for one in manager.database.executions if one.workflow_id == "restore_snapshot"]


@pytest.mark.parametrize("version", MEMBERS, indirect=True)
def test_a_new_cluster_takes_over_and_the_old_one_stays_until_the_operator_lets_it_go(
    lab: LabThread, old: Tier2, new: Tier2, version: str
) -> None:
    wanted = held(leader_of(lab, 0))
    result = new.install()

    assert result.returncode == 0, result.stdout
    assert_ready(new)
    leader = leader_of(lab, 2)
    assert leader.version == version
    # What cannot be carried over is said while nothing is touched yet.
    said = result.stdout.partition("host_")[0]
    assert ("the metrics of InfluxDB stay behind" in said) == (version == "7.0.5")
    assert held(leader) == wanted
    assert restores(leader) == ["terminated"]
    snapshots = sorted(path.name for path in (Path(new.inputs["snapshots_path"]) / "old").glob("snap_*"))
    assert [Path(name).suffix for name in snapshots] == [".json", ".zip"]
    rows = {row["deployment"]: row for row in new.properties()["agents"]}
    assert {name: row["agents"] for name, row in rows.items()} == {
        "shop": "transferred",
        "bakery": "failed",
        "planned": "skipped",
    }
    assert "10.1.2.3 does not answer" in rows["bakery"]["reason"]
    assert "run the workflow transfer_agents" in result.stdout

    lab.call(let_agents_come, leader)
    again = new.start("transfer_agents")
    assert again.returncode == 0, again.stdout
    assert moved(leader) == ["bakery", "shop"]

    # The old cluster was only read.
    assert old.start("get_status").returncode == 0
    old.assert_whole(2)
    assert held(leader_of(lab, 0)) == wanted
    assert old.uninstall().returncode == 0
    assert new.start("get_status").returncode == 0
    assert_ready(new)
    assert (Path(new.inputs["snapshots_path"]) / "old" / snapshots[1]).exists()
    for text in (result.stdout, again.stdout, json.dumps(new.properties())):
        assert OLD_PASSWORD not in text
        assert new.inputs["manager_admin_password"] not in text


def test_a_snapshot_that_was_taken_before_is_restored_by_its_name(
    lab: LabThread, old: Tier2, new: Tier2
) -> None:
    path = old.profile.write_inputs({"snapshot_id": "before"}, "parameters.yaml")
    assert old.start("backup", "-p", str(path)).returncode == 0
    wanted = held(leader_of(lab, 0))

    result = new.install(backup=False, snapshot_id="before", transfer_agents=False)

    assert result.returncode == 0, result.stdout
    assert held(leader_of(lab, 2)) == wanted
    assert moved(leader_of(lab, 2)) == []
    assert "agents" not in new.properties()


def test_an_install_killed_in_the_middle_of_the_restore_restores_once(
    lab: LabThread, old: Tier2, new: Tier2
) -> None:
    wanted = held(leader_of(lab, 0))
    moments = (r"Snapshot \S+ is verified", r"is being restored \(execution")
    for number, moment in enumerate(moments):
        tier2 = replace(new, deployment=f"new-{number}")
        said = tier2.install_and_kill(moment)
        assert "restored" in said or "verified" in said

        resumed = tier2.start("install")

        assert resumed.returncode == 0, resumed.stdout
        tier2.assert_whole(2)
        leader = leader_of(lab, 2)
        assert held(leader) == wanted
        assert [status for status in restores(leader) if status == "terminated"] == ["terminated"]
        assert tier2.uninstall().returncode == 0


def test_what_cannot_be_restored_is_refused_before_any_machine_is_touched(
    lab: LabThread, old: Tier2, new: Tier2, tmp_path: Path
) -> None:
    path = old.profile.write_inputs({"snapshot_id": "before"}, "parameters.yaml")
    assert old.start("backup", "-p", str(path)).returncode == 0
    archive = Path(new.inputs["snapshots_path"]) / "old" / "before.zip"
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)

    flipped = new.install(backup=False, snapshot_id="before")
    illegal = replace(new, deployment="illegal").install(
        snapshot_path=str(archive), snapshot_id="before", restore_params=["force"], tenants=["1st"]
    )
    unknown = replace(new, deployment="unknown").install(old_deployment_id="nobody")

    assert "the content of" in flipped.stdout
    assert "is not what it was" in flipped.stdout
    for place in ("old_deployment_id", "snapshot_id", "backup", "restore_params[0]", "tenants[0]"):
        assert f"- {place}: " in illegal.stdout
    assert "Tier 2 has no deployment nobody" in unknown.stdout
    for result in (flipped, illegal, unknown):
        assert result.returncode != 0
    for machine in lab.machines[2:]:
        assert machine.manager is None
        assert not machine.path("/etc/cloudify/config.yaml").exists()
