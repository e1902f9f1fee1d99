"""The user's own command that brings a machine back."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cmom.errors import TryAgainLater
from cmom.services.healing.renewal import RebuildFailed, run_rebuild_command

LOGGER = logging.getLogger("test-rebuild")


def run(tmp_path: Path, *words: str, timeout_seconds: float = 30.0, secrets: tuple[str, ...] = ()) -> None:
    run_rebuild_command(
        words, LOGGER, lock_path=tmp_path / "lock", timeout_seconds=timeout_seconds, secrets=secrets
    )


def test_what_it_prints_is_passed_on_and_secrets_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "test-rebuild"):
        run(
            tmp_path,
            "/bin/sh",
            "-c",
            "echo it is hunter22; echo oops >&2; read x; exit 0",
            secrets=("hunter22",),
        )

    assert "rebuild: it is ***" in caplog.text
    assert "rebuild: oops" in caplog.text
    assert "hunter22" not in caplog.text


def test_no_shell_takes_part(tmp_path: Path) -> None:
    run(tmp_path, "touch", "--", str(tmp_path / "a; touch b"))

    assert (tmp_path / "a; touch b").exists()


def test_its_failure_is_told_with_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(RebuildFailed, match=r"exit code 3[\s\S]*no such machine"):
        run(tmp_path, "/bin/sh", "-c", "echo no such machine; exit 3")


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RebuildFailed, match="cannot be started"):
        run(tmp_path, "/nowhere/rebuild")


def test_one_that_takes_too_long_is_ended_with_all_it_has_started(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(RebuildFailed, match="did not end within"):
        run(tmp_path, "/bin/sh", "-c", "sleep 100 & sleep 100", timeout_seconds=0.3)

    assert time.monotonic() - began < 60
    run(tmp_path, "true", timeout_seconds=5.0)  # nothing that it has started holds the lock


def test_two_never_work_on_one_machine(tmp_path: Path) -> None:
    """The one who started it was killed: the command goes on, and holds the lock."""
    script = (
        "import logging, pathlib, sys, threading, os, time\n"
        "from cmom.services.healing.renewal import run_rebuild_command\n"
        "lock = pathlib.Path(sys.argv[1]) / 'lock'\n"
        "threading.Timer(0.2, lambda: os._exit(9)).start()\n"
        "run_rebuild_command(['sleep', '0.7'], logging.getLogger(), lock_path=lock, timeout_seconds=30)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert killed.returncode == 9

    with pytest.raises(TryAgainLater, match="former run"):
        run(tmp_path, "true", timeout_seconds=0.0)
    run(tmp_path, "true")
