"""A Tier 2 for blueprint.yaml: the real ``cfy``, the stand-in plugin, the stand-in cloud."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from lab.openstack.testing import CloudThread, local_profile
from tests.scenarios.tier2 import FAST, Tier2

EMPTY: dict[str, list[str]] = {"servers": [], "ports": [], "floating_ips": [], "server_groups": []}


def tier2_for(folder: Path, cloud: CloudThread, mode: str, members: int = 1, **inputs: Any) -> Tier2:
    """A Tier 2 that is to install a cluster on the cloud, with a mode of addressing."""
    given = {**cloud.inputs(members), **FAST, **inputs}
    return Tier2(local_profile(folder, mode), given, blueprint="blueprint.yaml")


def assert_uninstalled(tier2: Tier2, cloud: CloudThread) -> None:
    """Uninstall, and assert that the cloud holds nothing any more and no runtime property says it does."""
    removed = tier2.uninstall()
    assert removed.returncode == 0, removed.stdout
    assert cloud.holdings() == EMPTY
    assert not cloud.lab.machines
    for node in ("server", "port", "address", "host", "server_group"):
        for properties in tier2.profile.runtime_properties(tier2.deployment, node):
            assert properties == {}, node


def failure(result: subprocess.CompletedProcess[str]) -> str:
    """What the user was told of a failed run: everything from the first failed task on."""
    assert result.returncode != 0, result.stdout
    lines = result.stdout.splitlines(keepends=True)
    first = next((number for number, line in enumerate(lines) if "Task failed" in line), None)
    assert first is not None, result.stdout
    told = "".join(lines[first:])
    assert "Traceback" not in told
    return told
