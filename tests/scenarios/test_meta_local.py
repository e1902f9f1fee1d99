"""A fleet in the local profile, with the real cfy: two clusters, one of which dies."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from lab.clock import RealClock
from lab.local_profile import LocalProfile
from lab.settings import LabSettings
from lab.testing import LabThread
from tests.scenarios.tier2 import FAST, SETTINGS

META = "meta"
CLUSTERS = ("north", "south")


@pytest.fixture
def profile(tmp_path: Path) -> LocalProfile:
    """A Tier 2 with an empty fleet."""
    profile = LocalProfile.create(tmp_path / "tier2")
    done = profile.run("install", "meta_blueprint.yaml", "-b", META)
    assert done.returncode == 0, done.stdout
    return profile


def run(profile: LocalProfile, workflow: str, *more: str, code: int = 0) -> str:
    """Run a workflow of the meta deployment; return what it said."""
    words = [word for one in more for word in ("-p", one)]
    done = profile.run("executions", "start", workflow, "-b", META, *words)
    assert done.returncode == code, done.stdout
    return done.stdout


def output(profile: LocalProfile, name: str) -> Any:
    """Return what an output of the meta deployment shows."""
    (properties,) = profile.runtime_properties(META, "meta_manager")
    return properties.get(name)


def rows(profile: LocalProfile) -> dict[str, dict[str, Any]]:
    """Return the rows of the status, by deployment."""
    return {row["deployment_id"]: row for row in output(profile, "status")["clusters"]}


def outcomes(profile: LocalProfile) -> dict[str, str]:
    """Return what came of the last fleet workflow, by deployment."""
    return {row["deployment_id"]: row["outcome"] for row in output(profile, "fleet_run")["deployments"]}


def install_clusters(profile: LocalProfile, machines: LabThread) -> None:
    """Install a cluster of one manager on each machine."""
    inputs = machines.inputs()
    for name, host in zip(CLUSTERS, inputs["hosts"], strict=True):
        own = {**inputs, **FAST, "hosts": [host], "num_of_instances": 1}
        path = profile.write_inputs(own, f"{name}.yaml")
        done = profile.run("install", "hosts_blueprint.yaml", "-b", name, "-i", str(path), *SETTINGS)
        assert done.returncode == 0, done.stdout


def test_a_fleet_is_seen_at_a_glance_with_its_dead_ones(tmp_path: Path, profile: LocalProfile) -> None:
    with LabThread(
        tmp_path / "lab", machines=2, settings=LabSettings.instant(), clock=RealClock()
    ) as machines:
        install_clusters(profile, machines)
        said = run(profile, "add_deployment", "deployment_id=nobody", code=1)
        assert "Tier 2 has no deployment 'nobody'" in said
        assert "has no Tier 1 cluster" in run(profile, "add_deployment", f"deployment_id={META}", code=1)
        add_all_at_once(profile)
        run(profile, "add_deployment", "deployment_id=south")
        assert output(profile, "deployments") == {"north": "by name", "south": "by name"}

        run(profile, "get_status", "deployment_timeout=120")
        assert output(profile, "status")["summary"]["conditions"] == {"ready": 2}

        run(profile, "fleet_execute", "workflow_id=list_backups", "wave_size=2")
        assert outcomes(profile) == {"north": "succeeded", "south": "succeeded"}

        machines.kill("m1")
        shutil.rmtree(profile.storage / "south")
        run(profile, "get_status", "deployment_timeout=120")
        found = rows(profile)
        assert (found["north"]["fresh"], found["north"]["condition"]) == (True, "down")
        assert found["south"]["problem"] == "missing"
        assert output(profile, "status")["summary"]["need_somebody"] == ["north", "south"]

        said = run(profile, "fleet_execute", "workflow_id=list_backups", "wave_size=2", code=1)
        assert "did not succeed on 1 of 2 deployments" in said
        assert outcomes(profile) == {"north": "succeeded", "south": "missing"}
        run(profile, "remove_deployment", "deployment_id=south")
        run(profile, "remove_deployment", "deployment_id=south")
        assert output(profile, "deployments") == {"north": "by name"}


def add_all_at_once(profile: LocalProfile) -> None:
    """Attach all clusters, each from a process of its own at the same time."""
    processes = [
        profile.start("executions", "start", "add_deployment", "-b", META, "-p", f"deployment_id={name}")
        for name in CLUSTERS
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
