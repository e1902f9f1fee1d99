"""The search for a Python believes only what starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "find-python.sh"
OURS = "{}.{}".format(*sys.version_info[:2])


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)


def find(folder: Path, *wanted: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder), **variables}
    return subprocess.run(
        [SCRIPT, *wanted], env=environment, capture_output=True, text=True, check=False, timeout=30
    )


def test_a_shim_that_refuses_to_start_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path, f"python{OURS}", "#!/bin/sh\necho 'not switched on' >&2\nexit 127\n")
    program(tmp_path, "python3", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    found = find(tmp_path, OURS)
    assert found.returncode == 0
    assert found.stdout.strip() == sys.executable


def test_a_version_managers_own_folder_is_found(tmp_path: Path) -> None:
    program(tmp_path, f"python{OURS}", "#!/bin/sh\nexit 127\n")
    program(tmp_path, "python3", "#!/bin/sh\nexit 127\n")
    folder = tmp_path / ".pyenv" / "versions" / f"{OURS}.9" / "bin"
    folder.mkdir(parents=True)
    (folder / "python3").symlink_to(sys.executable)
    assert find(tmp_path, OURS).stdout.strip() == str(folder / "python3")


def test_none_is_a_clear_message(tmp_path: Path) -> None:
    found = find(tmp_path, "3.99")
    assert found.returncode == 1
    assert "None of these is here and starts: Python 3.99" in found.stderr


@pytest.mark.parametrize("named", ["/nowhere/python3", "/bin/false", "/bin/true"])
def test_a_python_that_was_named_is_the_only_candidate(tmp_path: Path, named: str) -> None:
    found = find(tmp_path, PYTHON=named)
    assert found.returncode == 1
    assert f"PYTHON={named} is not a Python 3.11 or 3.10 that starts" in found.stderr


def test_a_path_is_tried_before_the_versions(tmp_path: Path) -> None:
    assert find(tmp_path, "/nowhere/python", sys.executable, "3.99").stdout.strip() == os.fspath(
        sys.executable
    )
