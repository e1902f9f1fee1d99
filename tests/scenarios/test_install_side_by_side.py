"""Machines are installed at the same time, not one after another."""

from __future__ import annotations

from pathlib import Path

from lab.clock import RealClock
from lab.settings import LabSettings
from lab.testing import LabThread
from tests.scenarios.tier2 import Tier2

MACHINES = 4


def test_four_machines_are_installed_side_by_side(tmp_path: Path) -> None:
    settings = LabSettings(install_seconds=10.0)
    with LabThread(tmp_path / "lab", machines=MACHINES, settings=settings, clock=RealClock()) as lab:
        tier2 = Tier2.create(tmp_path / "tier2", lab.inputs())

        # The moment comes only if the four installations are under way together.
        tier2.install_and_kill(lambda: all(is_being_installed(lab, machine.name) for machine in lab.machines))

        assert tier2.start("install").returncode == 0
        tier2.assert_whole(MACHINES)


def is_being_installed(lab: LabThread, name: str) -> bool:
    unit = lab.call(lab.machine(name).units.get, "cmom-install.service")
    return unit is not None and unit.active == "active" and unit.sub == "running"
