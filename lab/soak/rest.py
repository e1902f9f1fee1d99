"""What has to be when no fault lasts and nothing runs: nothing is left over, lost or leaked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.local_profile import LocalProfile
from lab.soak.invariants import Violation, files_with, ledger_faults
from lab.soak.observer import Look
from lab.soak.processes import free_for, processes_of
from lab.soak.watchers import instances_of, properties_of
from lab.testing import LabThread

_LOCK_SECONDS = 10.0


class AtRest:
    """Looks at one Tier 2 and its machines while nothing runs.

    Args:
        profile: The Tier 2.
        lab: The machines.
        snapshots: The folder of all snapshots on Tier 2.
        logs: Of what was run.
        secrets: Values that nobody may find.
    """

    def __init__(
        self, profile: LocalProfile, lab: LabThread, snapshots: Path, logs: Path, secrets: Sequence[str]
    ) -> None:
        self._profile, self._lab, self._snapshots = profile, lab, snapshots
        self._logs, self._secrets = logs, secrets

    def of_deployment(self, deployment: str, machines: Sequence[str], look: Look) -> Iterator[Violation]:
        """Judge what one deployment has left, after a backup that succeeded."""
        ledger = properties_of(self._profile, deployment, "infrastructure").get("allocations") or {}
        instances = instances_of(self._profile, deployment)
        seen = look.of(machines)
        members = [one.ip for one in seen if look.lists(one)]
        holders = [one["id"] for one in instances if one["node_id"] == "host"]
        for fault in ledger_faults(ledger, [one.ip for one in seen], members, holders):
            yield Violation("pool", deployment, f"{deployment}: {fault}")
        states = {one["id"]: one["state"] for one in instances if one["state"] != "started"}
        if states:
            yield Violation("instances", deployment, f"{deployment}: not started at rest: {states}")
        status = properties_of(self._profile, deployment, "cloudify_cluster").get("status") or {}
        if status.get("condition") != "ready" or status.get("healing"):
            told = {key: status.get(key) for key in ("condition", "reason", "healing", "error")}
            yield Violation("status", deployment, f"{deployment}: get_status says {told}")
        parts = [
            path.name for path in (self._snapshots / deployment).glob(".*") if path.name.endswith(".part")
        ]
        if parts:
            yield Violation("parts", deployment, f"{deployment}: half-downloaded files are left: {parts}")
        left = self._lab.call(self._snapshots_of, [one.name for one in seen if one.leads])
        if left:
            yield Violation(
                "tier1_snapshots", deployment, f"{deployment}: snapshots are left on Tier 1: {left}"
            )

    def of_all(self, monitor_pid: int | None) -> Iterator[Violation]:
        """Judge what is left of processes and locks, and where secrets stand."""
        state = self._profile.folder / "state"
        files = [
            path for folder in (state, self._snapshots) for path in folder.rglob("*lock*") if path.is_file()
        ]
        for path in free_for(files, _LOCK_SECONDS):
            yield Violation("lock", str(path), f"{path} is still locked")
        for pid, line in processes_of(self._profile).items():
            if pid != monitor_pid and "resource_tracker" not in line:
                yield Violation("process", str(pid), f"process {pid} is left over: {line}")
        for path in self._lab.call(self._secret_places):
            yield Violation("secret", str(path), f"a secret stands in {path}")

    def _snapshots_of(self, names: Sequence[str]) -> list[str]:
        managers = [self._lab.machine(name).manager for name in names]
        return [snapshot.id for manager in managers if manager for snapshot in manager.database.snapshots]

    def _secret_places(self) -> list[Path]:
        """Return files that hold a secret and must not; `cfy` keeps inputs for its owner alone."""
        folder = self._profile.folder
        own = self._profile.storage
        inputs = set(folder.glob("inputs*.yaml"))
        logs = [path for path in folder.rglob("*") if path.is_file() and own not in path.parents]
        logs = [path for path in logs if path not in inputs] + list(self._logs.glob("*.log"))
        instances = list(own.glob("*/node-instances/*.json")) + list(own.glob("*/workdir/**/*.log"))
        found = files_with(self._secrets, [*logs, *instances])
        for machine in self._lab.machines:
            if any(secret in "\n".join(machine.arguments_seen) for secret in self._secrets):
                found.append(machine.folder / "arguments")
            paths = [path for path in machine.disk.rglob("*") if path.is_file() and not path.is_symlink()]
            readable = [path for path in paths if path.stat().st_mode & 0o077]
            found += files_with(self._secrets, readable)
        return found
