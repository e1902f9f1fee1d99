"""What is looked at all the time beside the machines: snapshots, the monitor, heals, arguments."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.local_profile import LocalProfile
from lab.soak.invariants import Violation, archive_fault
from lab.soak.processes import Monitor, open_files, processes_of, resident_kilobytes

_SNAPSHOT_SECONDS = 1.0
_HISTORY_SECONDS = 3.0
_SAMPLE_SECONDS = 2.0
_TRIES = 20


class Watcher(threading.Thread):
    """Does something again and again.

    Args:
        what: It.
        seconds: The pause between.
        failed: Is told what went wrong with it.
    """

    def __init__(self, what: Callable[[], None], seconds: float, failed: Callable[[Exception], None]) -> None:
        super().__init__(name=getattr(what, "__name__", "watcher"), daemon=True)
        self._what, self._seconds, self._failed = what, seconds, failed
        self._over = threading.Event()

    def run(self) -> None:
        """Do it until it is stopped."""
        while not self._over.wait(self._seconds):
            try:
                self._what()
            except Exception as error:
                self._failed(error)

    def stop(self) -> None:
        """End."""
        self._over.set()
        self.join(30)


class Snapshots:
    """All snapshots on Tier 2 that have a name.

    Args:
        base: Their folder.
        violated: Is told of each that is not whole.
    """

    def __init__(self, base: Path, violated: Callable[[Violation], None]) -> None:
        self._base, self._violated = base, violated
        self._known: dict[Path, tuple[int, int, int]] = {}
        self.seen = 0

    def look(self, *, again: bool = False) -> None:
        """Check those that are new; with `again` all of them."""
        for path in sorted(self._base.glob("*/*.zip")):
            if path.name.startswith("."):
                continue
            with suppress(FileNotFoundError):
                status = path.stat()
                mark = (status.st_ino, status.st_mtime_ns, status.st_size)
                if self._known.get(path) == mark and not again:
                    continue
                self.seen += path not in self._known
                self._known[path] = mark
                fault = archive_fault(path)
                if fault:
                    self._violated(Violation("bad_snapshot", str(path), f"{path.parent.name}: {fault}"))


@dataclass
class Samples:
    """What the monitor took, by the process: (seconds, kilobytes) and (seconds, descriptors)."""

    kilobytes: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    descriptors: dict[int, list[tuple[float, float]]] = field(default_factory=dict)

    def longest(self) -> int | None:
        """The process that was there longest."""
        return max(self.kilobytes, key=lambda pid: len(self.kilobytes[pid]), default=None)


class Processes:
    """The monitor's memory and descriptors, and the arguments of all that runs."""

    def __init__(
        self,
        profile: LocalProfile,
        monitor: Monitor,
        secrets: Iterable[str],
        now: Callable[[], float],
        violated: Callable[[Violation], None],
    ) -> None:
        self._profile, self._monitor, self._now = profile, monitor, now
        self._secrets, self._violated = tuple(secrets), violated
        self.samples = Samples()

    def look(self) -> None:
        """Take a sample."""
        process = self._monitor.process
        if process is not None and process.poll() is None:
            kilobytes, descriptors = resident_kilobytes(process.pid), open_files(process.pid)
            if kilobytes is not None and descriptors is not None:
                at = self._now()
                self.samples.kilobytes.setdefault(process.pid, []).append((at, float(kilobytes)))
                self.samples.descriptors.setdefault(process.pid, []).append((at, float(descriptors)))
        for line in processes_of(self._profile).values():
            if any(secret in line for secret in self._secrets):
                self._violated(Violation("secret_in_arguments", line, f"a secret is an argument: {line}"))
        for death in self._monitor.own_deaths:
            self._violated(Violation("monitor_died", death, death))


class Histories:
    """What became of heals, as each cluster remembers it. For figures only: no rule is judged by it."""

    def __init__(self, profile: LocalProfile, deployments: Iterable[str]) -> None:
        self._profile, self._deployments = profile, tuple(deployments)
        self.entries: dict[tuple[Any, ...], dict[str, Any]] = {}

    def look(self) -> None:
        """Take down what is new: only the last entries are kept there."""
        for deployment in self._deployments:
            for entry in (
                properties_of(self._profile, deployment, "cloudify_cluster").get("heal_history") or []
            ):
                names = ("node_instance_id", "outcome", "reasons", "started_at")
                begun = entry.get("at") if entry.get("outcome") in ("refused", "waiting") else ""
                key = (deployment, *(str(entry.get(name)) for name in names), begun)
                self.entries[key] = {**entry, "deployment": deployment}


def properties_of(profile: LocalProfile, deployment: str, node: str) -> dict[str, Any]:
    """Return the runtime properties of a node's one instance, also while others write them."""
    for instance in instances_of(profile, deployment):
        if instance["node_id"] == node:
            found: dict[str, Any] = instance["runtime_properties"]
            return found
    return {}


def instances_of(profile: LocalProfile, deployment: str) -> list[dict[str, Any]]:
    """Return a deployment's node instances, also while others write them."""
    for _ in range(_TRIES):
        try:
            return profile.node_instances(deployment)
        except (json.JSONDecodeError, FileNotFoundError):
            time.sleep(0.05)
    return profile.node_instances(deployment)
