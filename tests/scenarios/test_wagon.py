"""What `make wagon` packs is whole: it runs where there is nothing but cloudify-common."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from lab.clock import RealClock
from lab.local_profile import PROJECT, LocalProfile
from lab.testing import LabThread

PIP_SECONDS = 300.0
RUN_SECONDS = 120.0
COMMON = "cloudify-common==7.0.5"

IMPORT_ALL = """
import importlib, sys, yaml
found = []
def walk(item):
    if isinstance(item, dict):
        for key, value in item.items():
            if key in ("implementation", "mapping") and isinstance(value, str) and value:
                found.append(value)
            walk(value)
    elif isinstance(item, list):
        for one in item:
            walk(one)
walk(yaml.safe_load(open(sys.argv[1])))
for mapping in sorted(set(found)):
    module, _, function = mapping.partition(".")[2].rpartition(".")
    assert callable(getattr(importlib.import_module(module), function)), mapping
print(len(set(found)), importlib.import_module("cmom").__file__)
"""
INSTALL = """
import json, os, sys
from cloudify.workflows import local
from dsl_parser.import_resolver.default_import_resolver import DefaultImportResolver
given = json.load(open(sys.argv[1]))
os.chdir(given["folder"])
storage = local.FileStorage(given["storage"])
resolver = DefaultImportResolver(rules=given["rules"])
blueprint = os.path.join(given["folder"], "hosts_blueprint.yaml")
environment = local.init_env(
    blueprint, name="cluster", inputs=given["inputs"], storage=storage, resolver=resolver
)
settings = {"task_retries": 8, "task_retry_interval": 1, "task_thread_pool_size": 4}
environment.execute("install", **settings)
print(json.dumps(environment.outputs()))
environment.execute("uninstall", **settings)
"""


def make_wagon(folder: Path) -> Path:
    """Make the wagon of the plugin `cmom` out of nothing but its own folder."""
    plugin = folder / "cmom"
    # A copy, because setuptools builds in place, and other tests look at that place.
    shutil.copytree(
        PROJECT / "plugins" / "cmom", plugin, ignore=shutil.ignore_patterns("build", "*.egg-info")
    )
    pip_options = f"--constraint {PROJECT / 'constraints.txt'} --quiet"
    wagon = str(Path(sys.executable).with_name("wagon"))
    call([wagon, "create", "-f", str(plugin), "-o", str(folder), "--wheel-args", pip_options], PIP_SECONDS)
    (found,) = folder.glob("cmom-*.wgn")
    return found


def install_wagon(wagon: Path, folder: Path) -> Path:
    """Install a wagon where there is nothing but cloudify-common; return the Python there."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    with zipfile.ZipFile(wagon) as archive:
        archive.extractall(folder / "wagon")
    wheels = folder / "wagon" / "cmom" / "wheels"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # What a manager has, then the plugin out of the wagon alone, as a management worker installs it.
    call([*pip, COMMON], PIP_SECONDS)
    call([*pip, "--no-index", "--find-links", str(wheels), "cmom"], PIP_SECONDS)
    return python


def call(words: list[str], seconds: float) -> str:
    """Run a command, which must succeed; without a package index there is nothing to be tested."""
    done = subprocess.run(words, cwd="/", capture_output=True, text=True, timeout=seconds, check=False)
    said = done.stdout[-3000:] + done.stderr[-3000:]
    if done.returncode and re.search(r"No matching distribution found|NewConnectionError", said):
        pytest.skip(f"no package index: {said[-300:]}")
    assert done.returncode == 0, said
    return done.stdout


def test_a_wagon_is_whole_and_runs_where_there_is_nothing_else(tmp_path: Path) -> None:
    wagon = make_wagon(tmp_path / "wagon")
    assert_holds_the_plugin_only(wagon)
    python = install_wagon(wagon, tmp_path / "empty")
    assert_every_mapping_is_there(python)
    assert_the_blueprint_runs(python, tmp_path)


def assert_holds_the_plugin_only(wagon: Path) -> None:
    """Assert that what is packed is the plugin's own folder, and nothing else of this repository."""
    with zipfile.ZipFile(wagon) as archive:
        (wheel,) = [name for name in archive.namelist() if Path(name).name.startswith("cmom-")]
        with archive.open(wheel) as stream, zipfile.ZipFile(stream) as inner:
            packed = {name.partition("/")[0] for name in inner.namelist()}
            modules = {name for name in inner.namelist() if name.startswith("cmom/")}
    assert {name for name in packed if ".dist-info" not in name} == {"cmom"}
    source = PROJECT / "plugins" / "cmom"
    assert modules == {
        str(path.relative_to(source))
        for path in (source / "cmom").rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }


def assert_every_mapping_is_there(python: Path) -> None:
    """Assert that each operation and workflow of plugin.yaml can be imported."""
    contract = PROJECT / "plugins" / "cmom" / "plugin.yaml"
    said = call([str(python), "-W", "ignore", "-c", IMPORT_ALL, str(contract)], RUN_SECONDS)
    count, where = said.split()
    assert int(count) > 10
    assert Path(where).is_relative_to(python.parent.parent)


def assert_the_blueprint_runs(python: Path, folder: Path) -> None:
    """Assert that a manager is installed and uninstalled with Cloudify's own engine from there."""
    profile = LocalProfile.create(folder / "tier2")
    config = yaml.safe_load((profile.folder / "state" / ".cloudify" / "config.yaml").read_text())
    with LabThread(folder / "lab", machines=1, clock=RealClock()) as lab:
        given = {
            "folder": str(profile.blueprint_folder),
            "storage": str(folder / "storage"),
            "rules": config["import_resolver"]["parameters"]["rules"],
            "inputs": {**lab.inputs(), "poll_interval_seconds": 0.1},
        }
        (folder / "given.json").write_text(json.dumps(given))
        said = call([str(python), "-W", "ignore", "-c", INSTALL, str(folder / "given.json")], RUN_SECONDS)
        left = lab.machine("m1").manager
    (outputs,) = [json.loads(line) for line in said.splitlines() if line.startswith('{"cluster')]
    assert outputs["cluster_status"]["condition"] == "ready"
    assert left is None
