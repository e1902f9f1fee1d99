"""What users do meanwhile: workflows, one after the other on each cluster, chosen by the seed."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from lab.manager.samples import make_blueprint
from lab.soak.processes import Run, Workflows

# What runs on a deployment, and how often beside the others.
WEIGHTS = {
    "get_status": 30,
    "add_resources": 25,
    "backup": 25,
    "verify_backups": 10,
    "list_backups": 4,
    "pause_healing": 3,
    "resume_healing": 3,
}
SETTINGS = ("--task-thread-pool-size", "4", "--task-retries", "3", "--task-retry-interval", "2")
# Nothing waits without a deadline: whatever is not over by then hangs.
LONGEST_SECONDS = 420.0
LONGEST_STATUS_SECONDS = 90.0
_PAUSE_SECONDS = (3.0, 20.0)
_VARIETY = 6


class Chores:
    """The workflows of one deployment.

    Args:
        workflows: Starts them.
        deployment: Which.
        seed: What is chosen follows from it and the deployment's name.
        secret: A value that nobody may ever see; it becomes that of secrets on Tier 1.
        folder: For what is uploaded.
        ended: Is told of each run, and whether it ended in time.
    """

    def __init__(
        self,
        workflows: Workflows,
        deployment: str,
        seed: int,
        secret: str,
        folder: Path,
        ended: Callable[[Run, bool], None],
    ) -> None:
        self.deployment = deployment
        self._workflows, self._ended = workflows, ended
        self._chance = random.Random(f"{seed}/{deployment}")
        self._folder = folder
        self._secret = folder / "secret.txt"
        self._secret.touch(mode=0o600)
        self._secret.write_text(secret)
        self._may = threading.Event()
        self._over = threading.Event()
        self._working = threading.Lock()
        self._count = 0
        self._thread = threading.Thread(target=self._work, name=f"chores {deployment}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._may.set()
        self._thread.start()

    def pause(self) -> None:
        """Begin nothing new; return when what runs has ended."""
        self._may.clear()
        with self._working:
            pass

    def go_on(self) -> None:
        """Go on after a pause."""
        self._may.set()

    def stop(self) -> None:
        """End for good."""
        self._over.set()
        self._may.set()
        self._thread.join(LONGEST_SECONDS)

    def run(self, workflow: str, parameters: dict[str, Any] | None = None) -> Run:
        """Run a workflow to its end."""
        words: tuple[str, ...] = ("executions", "start", workflow, "-b", self.deployment, *SETTINGS)
        if parameters:
            path = self._folder / f"{workflow}.yaml"
            path.write_text(yaml.safe_dump(parameters))
            words += ("-p", str(path))
        run = self._workflows.start(self.deployment, words, workflow)
        longest = LONGEST_STATUS_SECONDS if workflow == "get_status" else LONGEST_SECONDS
        self._ended(run, self._workflows.wait(run, longest))
        return run

    def _work(self) -> None:
        while not self._over.is_set():
            self._may.wait()
            if self._over.wait(self._chance.uniform(*_PAUSE_SECONDS)):
                return
            with self._working:
                if self._may.is_set() and not self._over.is_set():
                    self.run(*self._choose())

    def _choose(self) -> tuple[str, dict[str, Any] | None]:
        workflow = self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        self._count += 1
        if workflow == "add_resources":
            return workflow, self._resources()
        if workflow == "pause_healing":
            return workflow, {"duration_seconds": 20, "reason": "somebody works on the machines"}
        return workflow, None

    def _resources(self) -> dict[str, Any]:
        number = self._count % _VARIETY
        tenant, name = f"tenant{number}", f"shop{number}"
        blueprint = make_blueprint(self._folder, name)
        secrets = [{"key": f"key{self._count % 9}", "file": str(self._secret), "tenant": tenant}]
        return {
            "tenants": [tenant],
            "secrets": secrets,
            "blueprints": [{"path": str(blueprint), "tenant": tenant}],
            "deployments": [{"blueprint_id": name, "inputs": {"size": number}, "tenant": tenant}],
        }


def pause_all(chores: Sequence[Chores]) -> None:
    """Pause all of them, and wait for all."""
    threads = [threading.Thread(target=one.pause) for one in chores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run_all(chores: Sequence[Chores], workflow: str) -> list[Run]:
    """Run the same workflow on all deployments side by side, to its end."""
    runs: list[Run] = []
    threads = [threading.Thread(target=lambda one=one: runs.append(one.run(workflow))) for one in chores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return runs
