"""The workflows for backups, as users run them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.clock import RealClock
from lab.manager.engine import Script
from lab.settings import LabSettings
from lab.testing import LabThread
from tests.scenarios.tier2 import Tier2


@pytest.fixture(scope="module")
def two_machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabThread]:
    folder = tmp_path_factory.mktemp("lab")
    with LabThread(folder, machines=2, settings=LabSettings.instant(), clock=RealClock()) as lab:
        yield lab


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, two_machines: LabThread) -> Tier2:
    """A Tier 2 that has installed a cluster of two."""
    folder = tmp_path_factory.mktemp("tier2")
    inputs = {**two_machines.inputs(), "snapshots_path": str(folder / "snapshots"), "keep_snapshots": 3}
    tier2 = Tier2.create(folder, inputs)
    result = tier2.install()
    assert result.returncode == 0, result.stdout
    return tier2


def snapshots(tier2: Tier2) -> Path:
    return Path(tier2.inputs["snapshots_path"]) / tier2.deployment


def start(tier2: Tier2, workflow: str, **parameters: object) -> subprocess.CompletedProcess[str]:
    """Start a workflow with its parameters in a file."""
    path = tier2.profile.write_inputs(parameters, "parameters.yaml")
    return tier2.start(workflow, "-p", str(path))


def test_a_backup_is_taken_listed_verified_and_told_by_the_status(installed: Tier2) -> None:
    taken = start(installed, "backup", snapshot_id="mine", backup_params=["--exclude-logs"])

    assert taken.returncode == 0, taken.stdout
    manifest = json.loads((snapshots(installed) / "mine.json").read_text())
    assert (manifest["tier1_version"], manifest["parameters"]) == ("4.6.0", ["--exclude-logs"])
    assert (snapshots(installed) / "mine.zip").stat().st_size == manifest["bytes"]
    assert "Snapshot mine is verified" in taken.stdout
    assert "backup" not in installed.properties()  # nothing is under way any more

    listed = installed.start("list_backups")
    assert listed.returncode == 0, listed.stdout
    assert any(line.split()[:1] == ["mine"] and "verified" in line for line in listed.stdout.splitlines())
    assert installed.start("verify_backups").returncode == 0
    assert installed.start("get_status").returncode == 0
    properties = installed.properties()
    assert properties["status"]["last_backup"]["id"] == "mine"
    (row,) = [row for row in properties["backups"] if row["id"] == "mine"]
    assert row["verified"] is True
    outputs = installed.profile.run("deployments", "outputs", "-b", installed.deployment)
    assert str(row["path"]) in outputs.stdout


def test_names_default_to_the_time(installed: Tier2) -> None:
    taken = installed.start("backup")

    assert taken.returncode == 0, taken.stdout
    assert list(snapshots(installed).glob("snap_20??_??_??_??_??_??.zip"))


def test_a_name_that_exists_and_words_that_nobody_knows_are_refused(installed: Tier2) -> None:
    assert start(installed, "backup", snapshot_id="taken").returncode == 0

    again = start(installed, "backup", snapshot_id="taken")
    assert again.returncode != 0
    assert "There is a snapshot taken" in again.stdout
    wrong = start(installed, "backup", snapshot_id="1st", backup_params=["--exclude-log"])
    assert wrong.returncode != 0
    assert "2 faults in the inputs" in wrong.stdout
    assert "did you mean '--exclude-logs'?" in wrong.stdout


def test_a_flipped_byte_is_found_and_named(installed: Tier2) -> None:
    assert start(installed, "backup", snapshot_id="flipped").returncode == 0
    path = snapshots(installed) / "flipped.zip"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    verified = installed.start("verify_backups")

    assert verified.returncode != 0
    assert "flipped: the content of" in verified.stdout
    rows = {row["id"]: row for row in installed.properties()["backups"]}
    assert rows["flipped"]["verified"] is False
    assert installed.start("get_status").returncode == 0
    assert installed.properties()["status"]["last_backup"]["id"] != "flipped"


def test_a_snapshot_that_fails_ends_the_workflow_with_the_managers_reason(
    installed: Tier2, two_machines: LabThread
) -> None:
    leader = next(
        machine for machine in two_machines.machines if machine.manager and machine.manager.seat.is_leader
    )
    assert leader.manager is not None
    two_machines.call(
        leader.manager.script, Script("create_snapshot", error="no space on the disk of Tier 1")
    )

    failed = start(installed, "backup", snapshot_id="failing")

    assert failed.returncode != 0
    assert "no space on the disk of Tier 1" in failed.stdout
    assert not list(snapshots(installed).glob("*failing*"))


def test_no_password_is_in_what_a_backup_leaves(installed: Tier2) -> None:
    password = installed.inputs["manager_admin_password"]
    taken = installed.profile.run("executions", "start", "backup", "-b", installed.deployment, "-vvv")

    assert taken.returncode == 0, taken.stdout
    assert password not in taken.stdout
    assert password not in json.dumps(installed.properties())
    for path in snapshots(installed).glob("*.json"):
        assert password not in path.read_text()
