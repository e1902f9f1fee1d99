"""The product's processes: the monitor, which is started again as systemd would, and runs of ``cfy``."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab.daemon import process_start_time
from lab.local_profile import LocalProfile
from lab.soak.timeline import Timeline

_RESTART_SECONDS = 1.0
_STARTED = re.compile(r"started (\S+) \(process (\d+), which writes (\S+\.log)\)")
_ENDED = re.compile(r"the heal has (\w+)")
_REFUSED = re.compile(r"is not healed \((\w+)\)")


@dataclass
class Run:
    """One run of a workflow.

    Attributes:
        killed: Whether the soak has killed it.
        code: How it ended; None while it runs.
        began, ended: On the timeline.
    """

    deployment: str
    workflow: str
    log: Path
    pid: int
    began: float
    started: str | None = None
    process: subprocess.Popen[bytes] | None = None
    killed: bool = False
    code: int | None = None
    ended: float | None = None

    @property
    def runs(self) -> bool:
        """Whether that very process is there."""
        return process_start_time(self.pid) is not None and process_start_time(self.pid) == self.started


class Monitor:
    """Keeps a monitor running, and reads what it says.

    Args:
        profile: The Tier 2 it watches.
        settings: Its configuration, without ``tier2``.
        timeline: Is told everything.
    """

    def __init__(self, profile: LocalProfile, settings: dict[str, Any], timeline: Timeline) -> None:
        self._profile, self._timeline = profile, timeline
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        cfy = str(Path(sys.executable).parent / "cfy")
        tier2 = {"kind": "local", "workdir": str(profile.folder / "state"), "cfy": cfy, "refresh_seconds": 2}
        self._config = profile.folder / "monitor.yaml"
        self._config.write_text(yaml.safe_dump({**settings, "tier2": tier2, "web": {"port": self.port}}))
        self.log = profile.folder / "monitor.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.heals: list[Run] = []
        self.said: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.own_deaths: list[str] = []
        self.starts = 0
        self._killed = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._keep_running, name="monitor", daemon=True)

    def start(self) -> None:
        """Start it."""
        self._thread.start()

    def kill(self) -> None:
        """SIGKILL it; it is started again."""
        process = self.process
        if process is not None and process.poll() is None:
            self._killed = True
            process.kill()

    def stop(self) -> int | None:
        """End it as systemd would; return its exit code."""
        self._ending.set()
        process = self.process
        if process is None:
            return None
        process.terminate()
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            self._thread.join(10)

    def _keep_running(self) -> None:
        words = [sys.executable, "-m", "cmom.monitor", "--config", str(self._config)]
        while not self._ending.is_set():
            self._killed = False
            self.process = subprocess.Popen(
                words,
                env=self._profile.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.starts += 1
            self._timeline.note("soak", f"the monitor is process {self.process.pid}")
            self._read(self.process)
            code = self.process.wait()
            if not self._killed and not self._ending.is_set():
                self.own_deaths.append(f"the monitor ended by itself, with code {code}")
            self._ending.wait(_RESTART_SECONDS)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with self.log.open("a", encoding="utf-8") as log:
            for raw in process.stdout:
                line = raw.decode("utf-8", "replace").rstrip()
                log.write(line + "\n")
                log.flush()
                self._timeline.note("monitor", line)
                self._note(line)

    def _note(self, line: str) -> None:
        if started := _STARTED.search(line):
            pid = int(started[2])
            log = Path(started[3])
            deployment = log.parents[2].name  # DEPLOYMENT/workdir/heals/LOG
            self.heals.append(
                Run(deployment, started[1], log, pid, self._timeline.now(), process_start_time(pid))
            )
        if refused := _REFUSED.search(line):
            self.refusals[refused[1]] += 1
        if ended := _ENDED.search(line):
            self.said[ended[1]] += 1
        if "This is a fault of the monitor" in line or "Traceback" in line:
            self.own_deaths.append(f"the monitor said: {line}")


@dataclass
class Workflows:
    """Runs of ``cfy``."""

    profile: LocalProfile
    timeline: Timeline
    folder: Path
    runs: list[Run] = field(default_factory=list)

    def start(self, deployment: str, words: tuple[str, ...], workflow: str) -> Run:
        """Start ``cfy WORDS``."""
        log = self.folder / f"{len(self.runs):04d}-{deployment}-{workflow}.log"
        with log.open("wb") as stream:
            process = self.profile.start(*words, stdout=stream)
        run = Run(deployment, workflow, log, process.pid, self.timeline.now(), process=process)
        run.started = process_start_time(process.pid)
        self.runs.append(run)
        self.timeline.note("cfy", f"{deployment}: {workflow} begins (process {process.pid}, {log.name})")
        return run

    def wait(self, run: Run, seconds: float) -> bool:
        """Wait for its end; tell whether that came in time. One that is late is killed."""
        assert run.process is not None
        try:
            run.code = run.process.wait(seconds)
            in_time = True
        except subprocess.TimeoutExpired:
            in_time = False
            kill_group(self.profile, run)
            run.code = run.process.wait()
        run.ended = self.timeline.now()
        how = "was killed" if run.killed else f"ended with code {run.code}"
        self.timeline.note(
            "cfy", f"{run.deployment}: {run.workflow} {how} after {run.ended - run.began:.1f} s"
        )
        return in_time


def kill_group(profile: LocalProfile, run: Run) -> bool:
    """SIGKILL a run and all in its process group; tell whether it ran."""
    if not run.runs:
        return False
    run.killed = True
    with suppress(ProcessLookupError, PermissionError):
        profile.stop_between_writes(run.pid, run.deployment)
        os.killpg(run.pid, signal.SIGKILL)
    return True


def resident_kilobytes(pid: int) -> int | None:
    """Return how much memory a process has; None when it is gone."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return None


def open_files(pid: int) -> int | None:
    """Return how many descriptors a process has; None when it is gone."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None


def processes_of(profile: LocalProfile) -> dict[int, str]:
    """Return the processes that work with a profile: their command lines by number."""
    mark = f"CFY_WORKDIR={profile.folder / 'state'}\0".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes() + b"\0":
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                    found[int(entry.name)] = line.strip()
    return found


def locked(paths: list[Path]) -> list[Path]:
    """Return the files of which some process holds a lock, by the kernel's own list."""
    inodes = {}
    for path in paths:
        with suppress(OSError):
            inodes[str(path.stat().st_ino)] = path
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    held = {line.split()[5].rpartition(":")[2] for line in lines if len(line.split()) > 5}
    return [path for inode, path in inodes.items() if inode in held]


def free_for(paths: list[Path], seconds: float) -> list[Path]:
    """Return the files that were locked all of some seconds: whoever just looks holds a lock for a moment."""
    held = locked(paths)
    deadline = time.monotonic() + seconds
    while held and time.monotonic() < deadline:
        time.sleep(0.1)
        held = [path for path in held if path in locked(held)]
    return held
