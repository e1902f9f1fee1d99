"""Machines of the lab and a Tier 2 for each scenario."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.clock import RealClock
from lab.settings import LabSettings
from lab.testing import LabThread
from tests.scenarios.tier2 import Tier2


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[LabThread]:
    """Three machines that install and cluster at once."""
    with LabThread(tmp_path / "lab", machines=3, settings=LabSettings.instant(), clock=RealClock()) as lab:
        yield lab


@pytest.fixture
def tier2(tmp_path: Path, machines: LabThread) -> Tier2:
    """A Tier 2 that is to install a cluster on those machines."""
    return Tier2.create(tmp_path / "tier2", machines.inputs())
