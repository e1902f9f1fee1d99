"""Heals on the lab's machines: whom they hit, what they are started with, what they leave behind."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.clock import RealClock
from lab.daemon import ControlServer
from lab.local_profile import PROJECT
from lab.settings import LabSettings
from lab.testing import LabThread
from tests.scenarios.tier2 import SETTINGS, Tier2

# Nothing is waited for in a test that is not to be seen there.
QUICK = {
    "heal_retries": 1,
    "heal_retry_interval_seconds": 0.2,
    "heal_retry_delay_seconds": 0.0,
    "heal_backup_timeout_seconds": 60.0,
    "ssh_timeout_seconds": 30,
}
NO_LEADER = (
    "Could not find a profile with a cluster configured. This might mean that the whole network is "
    "unreachable."
)


@contextmanager
def machines_for_healing(
    folder: Path, machines: int = 3, settings: LabSettings | None = None, version: str = "4.6.0"
) -> Iterator[LabThread]:
    """Machines that can be rebuilt by a command, as a user has one."""
    given = settings or LabSettings.instant()
    with LabThread(folder, machines=machines, settings=given, clock=RealClock(), version=version) as lab:
        control = ControlServer(lab.lab)
        server = lab.run(control.serve)
        try:
            yield lab
        finally:
            lab.call(server.close)


def rebuild_command(lab: LabThread) -> str:
    """The command that a user gives: here the lab's own."""
    words = [sys.executable, "-m", "lab", "rebuild", "--folder", str(lab.folder), "{ip}"]
    return shlex.join(["/usr/bin/env", f"PYTHONPATH={PROJECT}", *words]).replace("'{ip}'", "{ip}")


def tier2_for_healing(folder: Path, lab: LabThread, **inputs: Any) -> Tier2:
    """A Tier 2 whose machines can be rebuilt, unless the inputs say otherwise."""
    given = {
        **lab.inputs(),
        "snapshots_path": str(folder / "snapshots"),
        "rebuild_command": rebuild_command(lab),
        **QUICK,
        **inputs,
    }
    return Tier2.create(folder, given)


def instance_of(tier2: Tier2, public_ip: str, node: str = "manager") -> str:
    """The ID of the node instance of a machine."""
    (found,) = [
        one["id"]
        for one in tier2.profile.node_instances(tier2.deployment)
        if one["node_id"] == node and one["runtime_properties"].get("public_ip") == public_ip
    ]
    return str(found)


def heal_words(tier2: Tier2, instance_id: str) -> tuple[str, ...]:
    """What a monitor runs."""
    return (
        *("executions", "start", "heal_tier1_manager", "-b", tier2.deployment, *SETTINGS),
        *("-p", f"node_instance_id={instance_id}", "-p", "diagnose_value=heart-beat-failure"),
    )


def heal(tier2: Tier2, instance_id: str) -> subprocess.CompletedProcess[str]:
    """Run ``heal_tier1_manager``."""
    return tier2.profile.run(*heal_words(tier2, instance_id))


def history(tier2: Tier2) -> list[dict[str, Any]]:
    """What is remembered of heals, as ``cluster_status`` shows it."""
    properties = tier2.properties()
    shown: list[dict[str, Any]] = properties["status"]["heal_history"]
    assert shown == properties.get("heal_history", [])
    return shown


def last(tier2: Tier2) -> dict[str, Any]:
    """The last entry of the history."""
    return history(tier2)[-1]


def assert_healed(tier2: Tier2, members: int = 3) -> None:
    """Assert that the cluster is whole, and that no heal is under way."""
    tier2.assert_whole(members)
    status = tier2.properties()["status"]
    assert last(tier2)["outcome"] == "healed", status
    assert status["healing"] == []


def assert_refused(result: subprocess.CompletedProcess[str], tier2: Tier2, *reasons: str) -> None:
    """Assert that a heal was refused for some reasons, and that it is remembered."""
    assert result.returncode != 0, result.stdout
    found = last(tier2)
    assert found["outcome"] in ("refused", "waiting"), found
    assert tuple(found["reasons"]) == reasons, found
    assert found["message"].split(".")[0] in result.stdout.replace("\n", " ")


def installed(folder: Path, lab: LabThread, **inputs: Any) -> Tier2:
    """A Tier 2 that has installed a cluster."""
    tier2 = tier2_for_healing(folder / "tier2", lab, **inputs)
    result = tier2.install()
    assert result.returncode == 0, result.stdout
    return tier2


def machine_of(lab: LabThread, public_ip: str) -> str:
    """The name of the machine with an address."""
    (name,) = [machine.name for machine in lab.machines if machine.public_ip == public_ip]
    return name


def leader_and_replicas(tier2: Tier2) -> tuple[str, list[str]]:
    """The addresses, as the output cluster_ips tells them."""
    found = tier2.properties()["cluster_ips"]
    return found["Master"], found["Slaves"]
