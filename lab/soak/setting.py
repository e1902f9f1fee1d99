"""What the soak runs on: machines of the lab, a Tier 2 in its local profile, and clusters that it installs.

All times are shorter than in the field, and in the same proportion, so that an hour holds as much as days do.
"""

from __future__ import annotations

import base64
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.local_profile import LocalProfile
from lab.materials import rebuild_command
from lab.settings import LabSettings
from lab.testing import LabThread

MEMBERS = 3
PASSWORD = "canary-7b1e-password"
SECRET = "canary-7b1e-secret"
SECRETS = (PASSWORD, SECRET, base64.b64encode(f"admin:{PASSWORD}".encode()).decode())
INSTALL_SECONDS = 300.0
# The last cluster has no rebuild_command; its dead machines are replaced by spares.
SPARES = 2

TIMES = LabSettings(
    boot_seconds=1.0,
    service_start_seconds=1.0,
    install_seconds=2.0,
    remove_seconds=0.5,
    initialise_seconds=1.0,
    join_seconds=1.0,
    replicate_seconds=1.0,
    election_seconds=2.0,
    offline_seconds=1.5,
    removed_replica_seconds=1.0,
    plugin_install_seconds=0.5,
    environment_pending_seconds=0.2,
    environment_seconds=0.5,
    execution_pending_seconds=0.2,
    execution_seconds=0.5,
    cancel_seconds=0.3,
    snapshot_seconds=1.5,
    snapshot_linger_seconds=0.3,
    restore_seconds=1.0,
    maintenance_seconds=0.5,
    service_install_seconds=1.0,
    database_form_seconds=0.5,
    database_failover_seconds=2.0,
    database_wait_seconds=5.0,
    broker_linger_seconds=3.0,
    status_settle_seconds=1.5,
    status_lag_seconds=1.0,
    snapshot_padding_bytes=2 * 1024 * 1024,
)
INPUTS: Mapping[str, Any] = {
    "manager_admin_password": PASSWORD,
    "poll_interval_seconds": 0.5,
    "heartbeat_interval": 1.0,
    "heal_retries": 10,
    "heal_retry_interval_seconds": 2.0,
    "heal_retry_delay_seconds": 5.0,
    "heal_backup_timeout_seconds": 20.0,
    "heal_rebuild_timeout_seconds": 60.0,
    "ssh_timeout_seconds": 20,
    "install_timeout_seconds": 45,
    "snapshot_timeout_seconds": 60,
    "keep_snapshots": 4,
}
MONITOR: Mapping[str, Any] = {
    "heartbeat": {"timeout_seconds": 1.5, "rest_interval_seconds": 5.0},
    "verdict": {"suspect_seconds": 3.0, "failed_seconds": 6.0, "recover_seconds": 3.0, "grace_seconds": 10.0},
    "breaker": {"reset_seconds": 5.0},
    "healing": {"heals_at_once": 3},
}
_INTERVAL = ("interval_between_workflows: 600", "interval_between_workflows: 20")


class InstallFailed(Exception):  # noqa: N818 - ends the soak before it has begun
    """A cluster could not be installed."""


@dataclass(frozen=True)
class Clusters:
    """Which machines belong to which deployment.

    Attributes:
        machines: The names of each deployment's machines, spares among them.
        with_spares: Those whose dead machines are replaced by spares.
    """

    machines: Mapping[str, tuple[str, ...]]
    with_spares: frozenset[str]

    @classmethod
    def deal(cls, count: int) -> Clusters:
        """Deal out the lab's machines to some clusters."""
        machines, first = {}, 1
        for number in range(count):
            size = MEMBERS + (SPARES if number == count - 1 and count > 1 else 0)
            machines[f"tier1-{number + 1}"] = tuple(f"m{first + one}" for one in range(size))
            first += size
        return cls(machines, frozenset(list(machines)[-1:]) if count > 1 else frozenset())

    @property
    def size(self) -> int:
        """How many machines there are."""
        return sum(len(names) for names in self.machines.values())


def profile_with_short_interval(folder: Path) -> LocalProfile:
    """Lay out a Tier 2 whose blueprint lets the same member be healed again soon."""
    profile = LocalProfile.create(folder)
    path = profile.blueprint_folder / "infra" / "topology.yaml"
    text = path.read_text(encoding="utf-8")
    if _INTERVAL[0] not in text:
        raise InstallFailed(f"{path} says nothing of {_INTERVAL[0]!r} any more")
    path.write_text(text.replace(*_INTERVAL), encoding="utf-8")
    return profile


def install(profile: LocalProfile, lab: LabThread, clusters: Clusters, logs: Path) -> None:
    """Install all clusters side by side, with the real ``cfy``.

    Raises:
        InstallFailed: One of them.
    """
    made: dict[str, subprocess.CompletedProcess[str]] = {}

    def one(deployment: str, path: Path) -> None:
        words = ("install", "hosts_blueprint.yaml", "-b", deployment, "-i", str(path))
        made[deployment] = profile.run(
            *words, "--task-thread-pool-size", "8", timeout_seconds=INSTALL_SECONDS
        )

    threads = []
    for deployment, names in clusters.machines.items():
        inputs = inputs_of(lab, names)
        if deployment not in clusters.with_spares:
            inputs["rebuild_command"] = rebuild_command(lab.lab.folder)
        path = profile.write_inputs(inputs, f"inputs-{deployment}.yaml")
        threads.append(threading.Thread(target=one, args=(deployment, path)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for deployment in clusters.machines:
        done = made.get(deployment)
        (logs / f"install-{deployment}.log").write_text("" if done is None else done.stdout)
        if done is None or done.returncode:
            raise InstallFailed(f"{deployment} was not installed; see {logs / f'install-{deployment}.log'}")


def inputs_of(lab: LabThread, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the inputs of one cluster on some of the machines."""
    given = lab.inputs()
    addresses = {lab.machine(name).ip for name in names}
    hosts = [host for host in given["hosts"] if host["ip"] in addresses]
    return {**given, **INPUTS, "hosts": hosts, "num_of_instances": MEMBERS}
