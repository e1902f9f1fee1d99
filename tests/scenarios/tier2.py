"""A Tier 2 for the scenarios: the real ``cfy`` as a process of its own, to be killed at a chosen moment."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.local_profile import LocalProfile

DEPLOYMENT = "cluster"
SETTINGS = ("--task-thread-pool-size", "8", "--task-retries", "8", "--task-retry-interval", "1")
FAST = {"poll_interval_seconds": 0.2}


@dataclass
class Tier2:
    """One deployment of one blueprint in a local profile."""

    profile: LocalProfile
    inputs: dict[str, Any]
    blueprint: str = "hosts_blueprint.yaml"
    deployment: str = DEPLOYMENT

    @classmethod
    def create(cls, folder: Path, inputs: Mapping[str, Any], **settings: Any) -> Tier2:
        """Lay out a profile in the folder."""
        return cls(LocalProfile.create(folder), {**inputs, **FAST}, **settings)

    def _install_words(self, changes: Mapping[str, Any]) -> tuple[str, ...]:
        path = self.profile.write_inputs({**self.inputs, **changes})
        return ("install", self.blueprint, "-b", self.deployment, "-i", str(path), *SETTINGS)

    def install(self, **changes: Any) -> subprocess.CompletedProcess[str]:
        """Run ``cfy install``; `changes` replace inputs."""
        return self.profile.run(*self._install_words(changes))

    def start(self, workflow: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Run ``cfy executions start WORKFLOW``."""
        return self.profile.run("executions", "start", workflow, "-b", self.deployment, *SETTINGS, *more)

    def uninstall(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Run ``cfy uninstall``."""
        return self.profile.run("uninstall", "-b", self.deployment, *SETTINGS, *more)

    def install_and_kill(
        self, moment: str | Callable[[], bool], *, timeout_seconds: float = 120, **changes: Any
    ) -> str:
        """Run ``cfy install`` and SIGKILL all of it at a moment; see `run_and_kill`."""
        return self.run_and_kill(moment, *self._install_words(changes), timeout_seconds=timeout_seconds)

    def run_and_kill(
        self, moment: str | Callable[[], bool], *words: str, timeout_seconds: float = 120
    ) -> str:
        """Run ``cfy`` and SIGKILL all of it at a moment.

        Args:
            moment: A pattern that its output shows, or a function that tells when.
            words: Its arguments.

        Returns:
            Its output so far.
        """
        log = self.profile.folder / "killed.log"
        with log.open("wb") as stream:
            process = self.profile.start(*words, stdout=stream)
        try:
            deadline = time.monotonic() + timeout_seconds
            while not self._come(moment, log):
                assert process.poll() is None, f"ended before {moment}:\n{log.read_text()}"
                assert time.monotonic() < deadline, f"{moment} never came:\n{log.read_text()}"
                time.sleep(0.02)
        finally:
            with suppress(ProcessLookupError):
                self.profile.stop_between_writes(process.pid, self.deployment)
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return log.read_text()

    @staticmethod
    def _come(moment: str | Callable[[], bool], log: Path) -> bool:
        if callable(moment):
            return moment()
        return re.search(moment, log.read_text(errors="replace")) is not None

    def properties(self, node: str = "cloudify_cluster") -> dict[str, Any]:
        """Return the runtime properties of a node's one instance."""
        (found,) = self.profile.runtime_properties(self.deployment, node)
        return found

    def assert_whole(self, members: int) -> None:
        """Assert that the outputs tell of one leader (generation 5: of all services), and every check OK."""
        properties = self.properties()
        status = properties["status"]
        rows = status["cluster_status"]
        states, checks = ["leader", *["replica"] * (members - 1)], ("database", "consul")
        if any("service" in row for row in rows):
            states, checks = ["active"] * 3 * members, ("status",)
        assert sorted(row["state"] for row in rows) == states, status
        for row in rows:
            assert {row[key] for key in (*checks, "cloudify services", "heartbeat")} == {"OK"}, row
        assert status["error"] == ""
        assert status["condition"] == "ready", status
        assert len(properties["cluster_ips"]["Slaves"]) == members - 1
