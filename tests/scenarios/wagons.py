"""Wagons as a user makes them, and as a management worker installs them: where there is nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from lab.local_profile import PROJECT

RUN_SECONDS = 120.0
_PIP_SECONDS = 300.0
# What a manager has: its engine needs setuptools, of which a later one has no pkg_resources any more.
_MANAGER = ("cloudify-common==7.0.5", "setuptools<81")


def make_wagon(name: str, package: str, distribution: str, folder: Path) -> Path:
    """Make the wagon of a plugin out of nothing but its own folder, and see that nothing else is in it.

    Args:
        name: Of its folder.
        package: That it is.
        distribution: What pip calls it.
        folder: Where to make it.
    """
    source = PROJECT / "plugins" / name
    plugin = folder / name
    # A copy, because setuptools builds in place, and other tests look at that place.
    shutil.copytree(source, plugin, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    pip_options = f"--constraint {PROJECT / 'constraints.txt'} --quiet"
    wagon = str(Path(sys.executable).with_name("wagon"))
    call([wagon, "create", "-f", str(plugin), "-o", str(folder), "--wheel-args", pip_options], _PIP_SECONDS)
    (found,) = folder.glob("*.wgn")
    assert _packed(found, distribution) == {
        str(path.relative_to(source))
        for path in (source / package).rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    return found


def _packed(wagon: Path, distribution: str) -> set[str]:
    """Return what the plugin's own wheel installs."""
    beginning = f"{distribution.replace('-', '_')}-"
    with zipfile.ZipFile(wagon) as archive:
        (wheel,) = [name for name in archive.namelist() if Path(name).name.startswith(beginning)]
        with archive.open(wheel) as stream, zipfile.ZipFile(stream) as inner:
            return {name for name in inner.namelist() if ".dist-info/" not in name}


def install_wagon(wagon: Path, distribution: str, folder: Path) -> Path:
    """Install a wagon where there is nothing but cloudify-common; return the Python there."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    with zipfile.ZipFile(wagon) as archive:
        archive.extractall(folder / "wagon")
    (wheels,) = (folder / "wagon").glob("*/wheels")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]
    # Nothing is compiled before it is imported: that takes as long as all the rest.
    install = [*pip, "install", "--no-compile"]
    # What a manager has, then the plugin out of the wagon alone, as a management worker installs it.
    call([*install, *_MANAGER], _PIP_SECONDS)
    call([*install, "--no-index", "--find-links", str(wheels), distribution], _PIP_SECONDS)
    return python


def call(words: list[str], seconds: float) -> str:
    """Run a command, which must succeed; without a package index there is nothing to be tested."""
    done = subprocess.run(words, cwd="/", capture_output=True, text=True, timeout=seconds, check=False)
    said = done.stdout[-3000:] + done.stderr[-3000:]
    if done.returncode and re.search(r"No matching distribution found|NewConnectionError", said):
        pytest.skip(f"no package index: {said[-300:]}")
    assert done.returncode == 0, said
    return done.stdout
