"""The plugin `cmom` as a distribution of its own: what `wagon create -f plugins/cmom` builds."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent


def version() -> str:
    """Return the version, which is written in one place only."""
    text = (HERE / "cmom" / "version.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("cmom/version.py names no __version__")
    return found.group(1)


def requirements() -> list[str]:
    """Return what the plugin imports; requirements.txt says why the bounds are as they are."""
    lines = (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


setup(
    name="cmom",
    version=version(),
    description="Cloudify manager of managers: installs, clusters and watches Cloudify Managers",
    author="the cmom developers",
    license="Apache-2.0",
    packages=find_packages(include=["cmom", "cmom.*"]),
    package_data={"cmom": ["py.typed"]},
    python_requires=">=3.10",
    install_requires=requirements(),
    entry_points={"console_scripts": ["cmom-monitor = cmom.monitor.command:main"]},
)
