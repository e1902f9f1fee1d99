"""Who runs on a deployment in the local profile, told by locks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cmom.services import activity
from cmom.services.activity import AnotherHeal


@contextmanager
def elsewhere(folder: Path, code: str) -> Iterator[subprocess.Popen[str]]:
    """Run something in another process, which says when it has done it, and then stays."""
    program = (
        "import sys, pathlib\nfrom cmom.services import activity\n"
        f"folder = pathlib.Path(sys.argv[1])\n{code}\nprint('done', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The working folder of a deployment."""
    yield tmp_path / "workdir"
    activity.release(tmp_path / "workdir")


HOLD = "activity.hold(folder, 'other')"
HEAL = "heal = activity.healing(folder)\nheal.__enter__()"


def test_nothing_runs_where_nothing_ever_ran(folder: Path) -> None:
    assert not activity.is_healing(folder)
    assert not activity.is_executing(folder)
    assert not folder.exists()


def test_a_heal_is_seen_and_keeps_others_out(folder: Path) -> None:
    with activity.healing(folder):
        assert activity.is_healing(folder)
        with pytest.raises(AnotherHeal):
            activity.hold(folder, "install")
        assert not activity.is_executing(folder)

    assert not activity.is_healing(folder)
    activity.hold(folder, "install")
    assert activity.is_executing(folder)


def test_an_execution_of_another_process_is_seen_until_that_is_killed(folder: Path) -> None:
    with elsewhere(folder, HOLD) as process:
        assert activity.is_executing(folder)
        activity.hold(folder, "backup")  # two that are no heals do not mind each other
        activity.release(folder)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

        assert not activity.is_executing(folder)


def test_a_heal_of_another_process_is_seen_until_that_is_killed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "_LOOK_SECONDS", 0.1)
    with elsewhere(folder, HEAL) as process:
        assert activity.is_healing(folder)
        with pytest.raises(AnotherHeal), activity.healing(folder):
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

        with activity.healing(folder):
            pass


def test_the_same_execution_may_say_so_again_and_the_next_one_takes_over(folder: Path) -> None:
    activity.hold(folder, "first")
    activity.hold(folder, "first")
    activity.hold(folder, "second")
    activity.release(folder)

    assert not activity.is_executing(folder)


def test_the_folder_is_the_one_that_operations_get() -> None:
    deployments = Path("/home/x/.cloudify/profiles/local/deployments")
    folder = activity.deployment_folder(deployments, "tier1")

    assert activity.folder_of_plugin(folder / "plugins" / "cmom") == folder
