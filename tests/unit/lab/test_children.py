"""What the demo starts does not outlive it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.children import ChildFailed, end_remembered, remember, watch


def child(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, start_new_session=True)


def test_a_process_that_ends_well_is_waited_for() -> None:
    watch(child("true"), "`true`", 30)


def test_one_that_fails_is_named_with_its_exit_code() -> None:
    with pytest.raises(ChildFailed, match=r"`false` failed \(exit code 1\)"):
        watch(child("false"), "`false`", 30)


def test_one_that_takes_too_long_is_ended() -> None:
    process = child("sleep", "60")
    with pytest.raises(ChildFailed, match="did not end within 0 s"):
        watch(process, "`sleep 60`", 0.05)
    assert process.returncode == -signal.SIGKILL


def test_one_that_is_given_grace_comes_to_its_own_end() -> None:
    process = child(sys.executable, "-c", "import time; time.sleep(0.2)")
    with pytest.raises(ChildFailed):
        watch(process, "a short one", 0.01, grace_seconds=30)
    assert process.returncode == 0


def test_one_that_was_remembered_is_found_again_and_ended(tmp_path: Path) -> None:
    process = child("sleep", "60")
    remember(process, tmp_path / "pid")
    end_remembered(tmp_path / "pid")
    assert process.wait(30) == -signal.SIGKILL


@pytest.mark.parametrize("text", ["", "nonsense", "{pid} 1"])
def test_another_process_is_left_alone(tmp_path: Path, text: str) -> None:
    process = child("sleep", "60")
    (tmp_path / "pid").write_text(text.format(pid=process.pid))
    end_remembered(tmp_path / "pid")
    assert process.poll() is None
    process.kill()
    process.wait()


def test_nothing_remembered_is_nothing_to_end(tmp_path: Path) -> None:
    end_remembered(tmp_path / "pid")
