"""Starting workflows in the local profile: the real ``cfy`` as a process of its own.

It outlives the monitor, which may be restarted at any time. Who starts it holds a lock that the process
inherits, so until it ends no other monitor starts one beside it, whatever becomes of this one.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from cmom.errors import ActionRequired
from cmom.monitor.config import LocalTier2
from cmom.monitor.tier2 import ClusterKey, Order, Outcome, StartRefused, Ticket
from cmom.services.activity import deployment_folder, is_executing, is_healing
from cmom.services.locks import grab, is_locked, open_lock
from cmom.services.validation.fields import identifier_problem

# The seed's numbers: sixty retries, fifteen seconds apart.
_RETRIES = ("--task-retries", "60", "--task-retry-interval", "15")
_LOCK = "monitor.lock"
_LOGS_KEPT = 20


@dataclass
class _Run:
    process: subprocess.Popen[bytes]
    parameters: Path


class LocalRuns:
    """The workflows that this monitor has started.

    Args:
        settings: Which profile, and which ``cfy``.
        deployments: The folder of the profile's deployments.
    """

    def __init__(self, settings: LocalTier2, deployments: Path) -> None:
        self._settings = settings
        self._deployments = deployments
        self._runs: dict[str, _Run] = {}
        self._lock = threading.Lock()

    def is_starting(self, key: ClusterKey) -> bool:
        """Tell whether some monitor has started a workflow of a deployment that has not ended."""
        return is_locked(self._place(key) / _LOCK)

    def start(self, key: ClusterKey, order: Order) -> Ticket:
        """Start a workflow and return at once.

        Raises:
            StartRefused: Something runs, or another monitor was faster.
            ActionRequired: ``cfy`` cannot be started.
        """
        folder = self._place(key)
        lock = open_lock(folder / _LOCK)
        try:
            if not grab(lock):
                raise StartRefused(
                    "another_heal", "Another monitor, or this one before a restart, has started it."
                )
            if is_healing(folder):
                raise StartRefused("another_heal", "A heal of this deployment runs.")
            if is_executing(folder) and not order.force:
                raise StartRefused("another_execution", "Another execution of this deployment runs.")
            return self._start(key, order, folder / "heals", lock)
        finally:
            os.close(lock)  # the process that was started has it still

    def outcome(self, ticket: Ticket) -> Outcome | None:
        """Tell how it ended; None while it runs. It can be asked once."""
        with self._lock:
            run = self._runs.get(ticket.id)
            if run is None:
                return Outcome.FAILED
            code = run.process.poll()
            if code is None:
                return None
            del self._runs[ticket.id]
        run.parameters.unlink(missing_ok=True)
        return Outcome.SUCCEEDED if code == 0 else Outcome.FAILED

    def close(self) -> None:
        """Let go of what still runs."""
        for run in self._runs.values():
            # It goes on without us; without this, Python would complain of it.
            run.process.returncode = run.process.poll() or 0
        self._runs.clear()

    def _place(self, key: ClusterKey) -> Path:
        return deployment_folder(self._deployments, key.deployment_id)

    def _start(self, key: ClusterKey, order: Order, folder: Path, lock: int) -> Ticket:
        if identifier_problem(order.workflow_id):
            raise ActionRequired(f"{order.workflow_id[:80]!r} is not the name of a workflow.")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _tidy(folder)
        moment = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H-%M-%SZ")
        parameters, log = (folder / f"{moment}-{order.workflow_id}.{kind}" for kind in ("json", "log"))
        # JSON is YAML too; others need not read what a heal is given.
        _write_private(parameters, json.dumps(dict(order.parameters)).encode())
        words = [self._settings.cfy, "executions", "start", order.workflow_id, "-b", key.deployment_id]
        words += ["-p", str(parameters), *_RETRIES]
        if order.allow_custom_parameters:
            words.append("--allow-custom-parameters")
        try:
            with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
                process = subprocess.Popen(
                    words,
                    cwd=folder,
                    env={**os.environ, "CFY_WORKDIR": str(self._settings.workdir)},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(lock,),
                    # What ends the monitor is not to end what it has started.
                    start_new_session=True,
                )
        except OSError as error:
            parameters.unlink(missing_ok=True)
            raise ActionRequired(
                f"{self._settings.cfy} cannot be started: {error.strerror}. Set tier2.cfy to where cfy lies."
            ) from error
        ticket = Ticket(key, str(process.pid), f"process {process.pid}, which writes {log}")
        with self._lock:
            self._runs[ticket.id] = _Run(process, parameters)
        return ticket


def _write_private(path: Path, content: bytes) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _tidy(folder: Path) -> None:
    """Remove what is left of earlier runs, but for the last logs; none of them runs, for we hold the lock."""
    for path in folder.glob("*.json"):
        path.unlink(missing_ok=True)
    for path in sorted(folder.glob("*.log"))[:-_LOGS_KEPT]:
        path.unlink(missing_ok=True)
