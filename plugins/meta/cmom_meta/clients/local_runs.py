"""Workflows of other deployments in the local profile: each a ``cfy`` in a process of its own.

A process can be given up at a deadline, whatever it hangs in; a thread of ours could not. Each costs about
a second of a processor for its start, which is why few run side by side there.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cmom_meta.errors import ActionRequired, Busy
from cmom_meta.models import Order, Outcome, Run, State

# What the plugin `cmom` holds while one of its workflows runs, in the working folder of the deployment;
# and what we # hold ourselves, until the process that we started ends.
_OTHERS = {
    "heal.lock": "A heal",
    "executions.lock": "Another execution",
    "fleet.lock": "Another fleet workflow",
}
_OURS = "fleet.lock"
_WORKFLOW = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,127}\Z")
_RETRIES = ("--task-retries", "5", "--task-retry-interval", "15")
_LOGS_KEPT = 200
_ERROR_BYTES = 20_000
_END_SECONDS = 10.0


@dataclass
class _Process:
    process: subprocess.Popen[bytes]
    parameters: Path
    log: Path
    only_looks: bool


class LocalRuns:
    """The workflows that this operation has started.

    Args:
        folder: For logs and parameters, readable by this user alone.
        workdir: What ``CFY_WORKDIR`` is to be: the folder that holds ``.cloudify``.
        cfy: Which ``cfy``; by default the one beside this Python, else the one on the path.
    """

    def __init__(self, folder: Path, workdir: Path, cfy: str = "") -> None:
        self._folder = folder
        self._workdir = workdir
        self._cfy = cfy
        self._started: dict[str, _Process] = {}
        self._numbers = itertools.count(1)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _tidy(folder)

    def start(self, place: Path, deployment_id: str, order: Order) -> Run:
        """Start a workflow and return at once.

        Args:
            place: The working folder of the deployment.
            deployment_id: Which deployment.
            order: Which workflow.

        Raises:
            Busy: Something runs on the deployment, and what is asked for does not only look.
            ActionRequired: ``cfy`` cannot be started.
        """
        if order.only_looks:
            return self._start(deployment_id, order, ())
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(place) as lock:
            return self._start(deployment_id, order, (lock,))

    def state(self, run_id: str) -> State:
        """Tell how a run is."""
        run = self._started[run_id]
        code = run.process.poll()
        if code is None:
            return State(Outcome.RUNNING)
        run.parameters.unlink(missing_ok=True)
        if code == 0:
            return State(Outcome.SUCCEEDED)
        return State(Outcome.FAILED, f"{_error_in(run.log)} (cfy ended with {code}; see {run.log})")

    def end(self, run_id: str) -> None:
        """End a run and all that it has started."""
        run = self._started[run_id]
        if run.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(run.process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                run.process.wait(_END_SECONDS)
        run.parameters.unlink(missing_ok=True)

    def close(self) -> None:
        """End what only looks; let go of the rest, which goes on."""
        for run_id, run in self._started.items():
            if run.only_looks:
                self.end(run_id)
            # One that goes on does so without us; without this, Python would complain of it.
            run.process.returncode = run.process.poll() or 0
        self._started.clear()

    def _start(self, deployment_id: str, order: Order, kept: tuple[int, ...]) -> Run:
        # It becomes an argument of `cfy`, and a part of the name of a file.
        if not _WORKFLOW.match(order.workflow_id):
            raise ActionRequired(f"{order.workflow_id[:80]!r} is not the name of a workflow.")
        name = f"{os.getpid()}-{next(self._numbers)}-{order.workflow_id}"
        parameters, log = self._folder / f"{name}.json", self._folder / f"{name}.log"
        # JSON is YAML too; others need not read what a workflow is given.
        _write_private(parameters, json.dumps(dict(order.parameters)).encode())
        words = [self._find_cfy(), "executions", "start", order.workflow_id, "-b", deployment_id]
        words += ["-p", str(parameters)]
        if order.allow_custom_parameters:
            words.append("--allow-custom-parameters")
        if not order.only_looks:
            words += _RETRIES
        try:
            with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
                process = subprocess.Popen(
                    words,
                    cwd=self._folder,
                    env={**os.environ, "CFY_WORKDIR": str(self._workdir)},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=kept,
                    start_new_session=True,  # a group of its own, to be ended whole
                )
        except OSError as error:
            parameters.unlink(missing_ok=True)
            raise ActionRequired(f"{words[0]} cannot be started: {error.strerror}.") from error
        run = Run(deployment_id, f"{process.pid}", f"process {process.pid}, which writes {log}")
        self._started[run.id] = _Process(process, parameters, log, order.only_looks)
        return run

    def _find_cfy(self) -> str:
        beside = Path(sys.executable).with_name("cfy")
        found = self._cfy or (str(beside) if beside.is_file() else shutil.which("cfy"))
        if not found:
            raise ActionRequired(f"There is no cfy beside {sys.executable}, nor on the path.")
        return found


@contextmanager
def _alone(place: Path) -> Iterator[int]:
    """Hold our lock on a deployment, which a process that is started meanwhile inherits and keeps to its end.

    Raises:
        Busy: Something runs on the deployment.
    """
    for name, what in _OTHERS.items():
        if name != _OURS and _is_locked(place / name):
            raise Busy(f"{what} runs on it: a process holds {place / name}.")
    lock = os.open(place / _OURS, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{_OTHERS[_OURS]} runs on it: a process holds {place / _OURS}.") from None
        yield lock
    finally:
        os.close(lock)


def _tidy(folder: Path) -> None:
    """Remove the oldest logs."""
    logs = sorted((path.stat().st_mtime, path) for path in folder.glob("*.log"))
    for _, path in logs[:-_LOGS_KEPT]:
        path.unlink(missing_ok=True)


def _is_locked(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _error_in(log: Path) -> str:
    """Return the line of ``cfy``'s output that tells best why it failed."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _ERROR_BYTES))
        lines = [line.strip() for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
    failed = [match[1] for line in lines if (match := re.search(r"Task failed '.*?' -> (.+)", line))]
    telling = failed or [line for line in lines if re.search(r"\b(Error|Exception|error|failed)\b", line)]
    return (telling or lines or ["It said nothing."])[-1][:500]


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
