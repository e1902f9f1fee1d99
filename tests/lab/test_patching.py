"""options/patch_manager.sh: patches that come as `files` are applied before the cluster is created."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.clock import RealClock
from lab.local_profile import PROJECT, LocalProfile
from lab.machine import Machine
from lab.testing import LabThread
from tests.lab.engine import Engine

SCRIPT = PROJECT / "options" / "patch_manager.sh"
PATCH = PROJECT / "options" / "0001-say-who-manages-this-machine.patch"
HOME = "/home/centos"
PATCHED = "/etc/profile.d/managed-by-tier2.sh"
REST = "/opt/manager/rest.py"
REST_PATCH = """\
--- a/opt/manager/rest.py
+++ b/opt/manager/rest.py
@@ -1,2 +1,2 @@
 one
-two
+three
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabThread]:
    """One machine."""
    with LabThread(tmp_path / "lab", machines=1, clock=RealClock()) as running:
        yield running


def with_patch(lab: LabThread) -> Machine:
    """Put the program `patch` onto the machine, which a minimal system has not, and return it."""
    found = shutil.which("patch")
    if found is None or lab.lab.sandbox_kind != "namespace":
        pytest.skip("no program called patch on this system, or it cannot run on a machine of the lab")
    machine = lab.machine("m1")
    shutil.copy(found, machine.disk / "usr/bin/patch")
    return machine


def install(lab: LabThread, folder: Path, patches: list[Path], scripts: int = 1) -> dict[str, Any]:
    """Install a manager with patches; return the runtime properties of its node."""
    inputs = {
        **lab.inputs(),
        "files": [{"src": str(patch), "dst": f"{HOME}/{patch.name}"} for patch in patches],
        "scripts": [str(SCRIPT)] * scripts,
        "poll_interval_seconds": 0.05,
    }
    engine = Engine(LocalProfile.create(folder), "hosts_blueprint.yaml", inputs)
    engine.run("install")
    (properties,) = engine.properties("manager")
    return properties


def test_the_patch_that_comes_with_it_is_applied_once(lab: LabThread, tmp_path: Path) -> None:
    machine = with_patch(lab)

    first, again = install(lab, tmp_path / "tier2", [PATCH], scripts=2)["scripts"]

    assert [first["exit_code"], again["exit_code"]] == [0, 0], (first, again)
    assert f"{PATCH.name}: applied\n" in first["output_tail"] + "\n"
    assert "applied already" in again["output_tail"]
    assert "Tier 2" in machine.path(PATCHED).read_text()


def test_the_services_of_a_patched_file_are_restarted(lab: LabThread, tmp_path: Path) -> None:
    machine = with_patch(lab)
    machine.path("/opt/manager").mkdir(parents=True)
    machine.path(REST).write_text("one\ntwo\n")
    (tmp_path / "0002-three.patch").write_text(REST_PATCH)

    (outcome,) = install(lab, tmp_path / "tier2", [tmp_path / "0002-three.patch", PATCH])["scripts"]

    assert outcome["exit_code"] == 0, outcome
    assert machine.path(REST).read_text() == "one\nthree\n"
    assert machine.path(PATCHED).exists()
    assert "cloudify-restservice: restarted" in outcome["output_tail"]


def test_a_patch_that_does_not_fit_changes_nothing_and_is_a_warning(lab: LabThread, tmp_path: Path) -> None:
    machine = with_patch(lab)
    (tmp_path / "0002-three.patch").write_text(REST_PATCH)

    (outcome,) = install(lab, tmp_path / "tier2", [PATCH, tmp_path / "0002-three.patch"])["scripts"]

    assert outcome["exit_code"] == 1
    assert "does not fit this manager" in outcome["output_tail"]
    assert not machine.path(PATCHED).exists()


def test_a_machine_without_the_program_patch_is_told_what_it_lacks(lab: LabThread, tmp_path: Path) -> None:
    (outcome,) = install(lab, tmp_path / "tier2", [PATCH])["scripts"]

    assert outcome["exit_code"] == 1
    assert "'patch' is not on this machine" in outcome["output_tail"]
