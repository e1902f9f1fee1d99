"""The lock that threads and processes of one machine share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cmom.errors import DeadlinePassed
from cmom.services.locks import file_lock, is_locked

HOLDER = """
import sys, time
from pathlib import Path
from cmom.services.locks import file_lock
with file_lock(Path(sys.argv[1]), "holding", wait_seconds=5):
    print("held", flush=True)
    time.sleep(60)
"""


class StoppedClock:
    """A clock that moves only while somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_free_lock_is_taken_and_let_go(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"

    with file_lock(path, "working", wait_seconds=0):
        assert is_locked(path)

    assert not is_locked(path)
    assert path.stat().st_mode & 0o077 == 0


def test_another_thread_is_kept_out_until_the_deadline(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    said: list[str] = []

    def try_it() -> None:
        try:
            with file_lock(path, "a change of the membership", wait_seconds=5, clock=StoppedClock()):
                said.append("in")
        except DeadlinePassed as error:
            said.append(str(error))

    with file_lock(path, "holding", wait_seconds=0):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join(10)

    assert len(said) == 1
    assert "a change of the membership" in said[0]
    assert str(path) in said[0]


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, env={**os.environ}
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(DeadlinePassed),
            file_lock(path, "waiting", wait_seconds=1, clock=StoppedClock()),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)

        with file_lock(path, "waiting", wait_seconds=5):
            pass
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()
