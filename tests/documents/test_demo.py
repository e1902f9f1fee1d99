"""`make demo`, the first thing that anybody types: in a copy of the project, which disturbs no other demo."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import stories
from tests.documents.commands import PROJECT

PARTS = ("Makefile", "setup.py", "constraints.txt", "scripts", "lab", "plugins", "infra", "inputs", "*.yaml")
SECONDS = 240.0


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Path]:
    """What the demo takes of the project; whatever it leaves is taken down."""
    folder = tmp_path / "project"
    folder.mkdir()
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    for pattern in PARTS:
        for part in PROJECT.glob(pattern):
            if part.is_dir():
                shutil.copytree(part, folder / part.name, ignore=unwanted)
            else:
                shutil.copy(part, folder)
    yield folder
    make(folder, "make demo-down")


def make(folder: Path, command: str) -> str:
    """Run make in the environment that runs this; the copy has none of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    # -o: that environment is the project's, and stays as it is.
    words = [*shlex.split(command), "-o", "venv", f"VENV={Path(sys.executable).parents[1]}"]
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_demo_shows_a_cluster_and_leaves_nothing(copy: Path) -> None:
    demo, down = stories.BY_MAKE
    said = make(copy, demo)

    for command in stories.DEMO:
        assert f"$ {command}\n" in said
    assert "A cluster of 3 managers runs" in said
    assert '"condition": "ready"' in said
    assert "no process and no file of it is left" in make(copy, down)
    assert not (copy / ".demo").exists()
