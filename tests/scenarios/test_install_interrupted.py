"""An installation that dies half-way, on either side, goes on from where it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.clock import RealClock
from lab.settings import LabSettings
from lab.testing import LabThread
from tests.scenarios.tier2 import Tier2

INSTALL_SECONDS = 2.0


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[LabThread]:
    """Machines on which things take long enough to be interrupted."""
    settings = LabSettings(install_seconds=INSTALL_SECONDS, initialise_seconds=1.0, join_seconds=1.0)
    with LabThread(tmp_path / "lab", machines=3, settings=settings, clock=RealClock()) as lab:
        yield lab


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(r"'create'|preflight.*create|Creating node instance", id="at the first creation"),
        pytest.param(r"is machine ", id="when machines are handed out"),
        pytest.param(r"RPM", id="while the RPM is copied"),
        pytest.param(r"(?i)cfy_manager install", id="when the installation has begun"),
        pytest.param(r"(?i)REST", id="when the REST service is awaited"),
        pytest.param(r"The cluster is started|Starting the cluster", id="when the cluster starts"),
        pytest.param(r"(?i)joining|is to join|has joined", id="when a member joins"),
    ],
)
def test_an_install_that_was_killed_completes(machines: LabThread, tier2: Tier2, moment: str) -> None:
    tier2.install_and_kill(moment)

    resumed = tier2.start("install")

    assert resumed.returncode == 0, resumed.stdout
    tier2.assert_whole(3)


def test_an_install_killed_in_the_middle_of_cfy_manager_install_does_not_begin_it_again(
    machines: LabThread, tier2: Tier2
) -> None:
    tier2.install_and_kill(lambda: is_installing(machines))
    time.sleep(INSTALL_SECONDS / 3)

    resumed = tier2.start("install")

    assert resumed.returncode == 0, resumed.stdout
    tier2.assert_whole(3)
    for name in ("m1", "m2", "m3"):
        began = [line for line in machines.machine(name).arguments_seen if line.startswith("systemd-run ")]
        assert len(began) == 1, began


def test_a_connection_cut_in_the_middle_of_the_rpm_copy_is_made_again(
    machines: LabThread, tier2: Tier2
) -> None:
    machines.fault("m2", "ssh-cut", after_bytes=60_000, times=1)

    result = tier2.install()

    assert result.returncode == 0, result.stdout
    tier2.assert_whole(3)


def test_a_connection_cut_in_the_middle_of_the_installation_is_made_again(
    machines: LabThread, tier2: Tier2
) -> None:
    tier2.install_and_kill(lambda: is_installing(machines))
    machines.fault("m1", "ssh-cut", after_bytes=4_000, times=1)
    machines.fault("m2", "ssh-cut", after_bytes=8_000, times=1)

    result = tier2.start("install")

    assert result.returncode == 0, result.stdout
    tier2.assert_whole(3)


def is_installing(machines: LabThread) -> bool:
    """Tell whether all machines are in the middle of ``cfy_manager install``."""
    return all(
        any("cfy_manager install" in line for line in machines.machine(name).arguments_seen)
        for name in ("m1", "m2", "m3")
    )
