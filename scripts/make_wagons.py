"""Packs each plugin into a wagon, as `wagon create -f plugins/NAME` does, in the tested versions.

Called as `PYTHON scripts/make_wagons.py OUTPUT_FOLDER`. A wagon holds compiled packages, so it fits the
Python it was made with: a Tier 2 manager 7.0 runs 3.11.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIER2_PYTHON = (3, 11)


def forget_builds(plugin: Path) -> None:
    """Remove what an earlier build left: setuptools would pack files of it that the source no longer has."""
    shutil.rmtree(plugin / "build", ignore_errors=True)
    for folder in plugin.glob("*.egg-info"):
        shutil.rmtree(folder, ignore_errors=True)


def make_wagon(plugin: Path, output: Path) -> int:
    """Make one wagon; return the exit code."""
    wagon = Path(sys.executable).with_name("wagon")
    pip_options = f"--constraint {ROOT / 'constraints.txt'} --quiet"
    forget_builds(plugin)
    try:
        arguments = [
            wagon,
            "create",
            "--force",
            "--output-directory",
            output,
            "--wheel-args",
            pip_options,
            plugin,
        ]
        return subprocess.run([str(word) for word in arguments], cwd=ROOT, check=False).returncode
    finally:
        forget_builds(plugin)


def main(output: Path) -> int:
    """Make the wagons of all plugins; return the exit code."""
    if sys.version_info[:2] != TIER2_PYTHON:
        used = "{}.{}".format(*sys.version_info[:2])
        print(
            f"Note: these wagons are for Python {used}; a Tier 2 manager 7.0 needs them made with 3.11.",
            flush=True,
        )
    for plugin in sorted(ROOT.glob("plugins/*/setup.py")):
        if make_wagon(plugin.parent, output):
            print(
                f"No wagon was made of {plugin.parent.relative_to(ROOT)}; wagon says why above.", flush=True
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
