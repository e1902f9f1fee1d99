"""The folder of a lab: whether a lab runs in it, what the lab made in it, and taking that away.

A lab writes fixed names into its folder and remembers in one of them, the marker, that it was there.
Without the marker a file of the same name is somebody else's and is left alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from lab import control_socket, materials, provision
from lab.control import LabControl
from lab.core import LabError
from lab.daemon import LOG_FILE, PID_FILE, DaemonConfig, process_start_time

MARKER = ".lab-folder"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
_MACHINES = "machines"
_FILES = (*materials.ALL_FILES, LOG_FILE, PID_FILE, control_socket.NAME, MARKER)


class LabFolder:
    """A folder in which a lab runs, has run, or will.

    Args:
        path: the folder; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.control = LabControl(self.path)

    def process(self) -> int | None:
        """The process id of the lab that runs here; None when none does."""
        try:
            pid, started = (self.path / PID_FILE).read_text(encoding="ascii").split()
        except (OSError, ValueError):
            return None
        return int(pid) if process_start_time(int(pid)) == started else None

    def start(self, config: DaemonConfig) -> None:
        """Start a lab in the background and return when it answers.

        Raises:
            LabError: one runs here already, the folder holds other people's files, an address is
                taken, or whatever else the daemon says.
        """
        with self._alone():
            if self.process() is not None:
                raise LabError(f"a lab already runs in {self.path}; `down` ends it")
            if (self.path / MARKER).exists():
                self.clear()  # left by a lab that was killed
            self._claim()
            try:
                self._launch(config)
            except BaseException:
                if self.process() is None:
                    self.clear()
                raise

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one `up` of this folder work at a time; nothing is left behind."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as lock:
            try:
                name = hashlib.sha256(os.fsencode(self.path)).hexdigest()
                lock.bind(f"\0lab-folder-{name}")
            except OSError:
                raise LabError(f"another `up` is at work in {self.path}") from None
            yield

    def _claim(self) -> None:
        taken = [name for name in (*_FILES, _MACHINES) if (self.path / name).exists()]
        if taken:
            raise LabError(f"{self.path / taken[0]} was not made by a lab; choose another --folder")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / MARKER).touch()
        except OSError as error:
            raise LabError(f"cannot write into {self.path}: {error.strerror}") from None

    def _launch(self, config: DaemonConfig) -> None:
        package = str(Path(__file__).resolve().parent.parent)
        search = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        with (self.path / LOG_FILE).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lab.daemon"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env={**os.environ, "PYTHONPATH": os.pathsep.join(search)},
                start_new_session=True,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin, process.stdout:
            process.stdin.write(config.to_json().encode())
            process.stdin.close()
            ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
            line = process.stdout.readline().decode().strip() if ready else ""
        if line == "ready":
            # It is to outlive us; that nobody waits for it is meant.
            process.returncode = 0
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reason = line.removeprefix("failed: ") or self._last_words() or "it did not say why"
        raise LabError(f"the lab did not start: {reason}")

    def _last_words(self) -> str:
        with contextlib.suppress(OSError, IndexError):
            text = (self.path / LOG_FILE).read_text(encoding="utf-8", errors="replace")
            return text.strip().splitlines()[-1]
        return ""

    def stop(self) -> bool:
        """End the lab, by force if it must be, and remove what it made.

        Returns:
            Whether there was anything to end or to remove.
        """
        pid = self.process()
        if pid is not None:
            with contextlib.suppress(LabError):
                LabControl(self.path, timeout_seconds=STOP_SECONDS).shut_down()
            if not _gone(pid, self, STOP_SECONDS):
                # Its machines' processes end with it: process 1 of each dies with its parent.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                _gone(pid, self, STOP_SECONDS)
        if not (self.path / MARKER).exists():
            return pid is not None
        self.clear()
        return True

    def clear(self) -> None:
        """Remove what a lab made, and the folder when nothing else is in it."""
        machines = self.path / _MACHINES
        if machines.is_dir():
            for machine in machines.iterdir():
                provision.remove_disk(machine / "disk")
            shutil.rmtree(machines)
        for scratch in self.path.glob("probe-*"):
            provision.remove_disk(scratch)
        for name in _FILES:
            (self.path / name).unlink(missing_ok=True)
            (self.path / f"{name}.part").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.rmdir()


def _gone(pid: int, folder: LabFolder, timeout_seconds: float) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if folder.process() != pid and process_start_time(pid) is None:
            return True
        time.sleep(0.05)
    return False
