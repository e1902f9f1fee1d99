"""Processes that the demo starts: watched while they run, ended with the watching, found again after a crash.

Each leads a process group of its own, so that Ctrl-C reaches the demo alone, which then ends them in order.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from lab.daemon import process_start_time


class ChildFailed(Exception):  # noqa: N818 - its text says what failed and how
    """A process ended with an error, or not in time."""


def watch(
    process: subprocess.Popen[bytes],
    what: str,
    timeout_seconds: float,
    *,
    grace_seconds: float = 0.0,
) -> None:
    """Wait for a process; when the waiting ends early, its whole process group ends with it.

    Args:
        process: The leader of a process group.
        what: Its command line, for the message.
        timeout_seconds: How long it may take.
        grace_seconds: How long it may go on, to come to an orderly end, when the waiting ends early.

    Raises:
        ChildFailed: It ended with an error, or not in time.
    """
    try:
        code = process.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        raise ChildFailed(f"{what} did not end within {timeout_seconds:.0f} s.") from None
    finally:
        if process.poll() is None:
            end(process, grace_seconds)
    if code != 0:
        raise ChildFailed(f"{what} failed (exit code {code}); its output is above.")


def end(process: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """Let a process come to its end, or end its whole group by force."""
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def remember(process: subprocess.Popen[bytes], path: Path) -> None:
    """Write down which process this is, by its number and the time it began: numbers are used again."""
    path.write_text(f"{process.pid} {process_start_time(process.pid)}", encoding="ascii")


def end_remembered(path: Path) -> None:
    """End the process group that was written down, if it still runs."""
    try:
        pid, started = path.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return
    if process_start_time(int(pid)) == started:
        with suppress(ProcessLookupError):
            os.killpg(int(pid), signal.SIGKILL)
