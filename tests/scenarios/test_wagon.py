"""What `make wagon` packs is whole: it runs where there is nothing but cloudify-common."""

from __future__ import annotations

import json
import re
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


@pytest.fixture(scope="module")
def wagon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wagon of the plugin `cmom`, made as `make wagon` makes it."""
    folder = tmp_path_factory.mktemp("wagons")
    made = subprocess.run(
        [sys.executable, "scripts/make_wagons.py", str(folder)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PIP_SECONDS,
        check=False,
    )
    assert_done(made)
    (found,) = folder.glob("cmom-*.wgn")
    return found


@pytest.fixture(scope="module")
def python(wagon: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with nothing but cloudify-common, into which the wagon's own packages were installed."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    with zipfile.ZipFile(wagon) as archive:
        archive.extractall(folder / "wagon")
    wheels = folder / "wagon" / "cmom" / "wheels"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # What a manager has, then the plugin out of the wagon alone, as a management worker installs it.
    for arguments in ([COMMON], ["--no-index", "--find-links", str(wheels), "cmom"]):
        done = subprocess.run(
            [*pip, *arguments], capture_output=True, text=True, timeout=PIP_SECONDS, check=False
        )
        assert_done(done)
    return python


def assert_done(done: subprocess.CompletedProcess[str]) -> None:
    """Assert that it succeeded; without a package index there is nothing to be tested."""
    said = done.stdout + done.stderr
    if done.returncode and re.search(r"No matching distribution|connection|Name or service", said):
        pytest.skip(f"no package index: {said[-300:]}")
    assert done.returncode == 0, said


def test_a_wagon_holds_the_plugin_and_nothing_of_this_repository_besides(wagon: Path) -> None:
    with zipfile.ZipFile(wagon) as archive:
        names = archive.namelist()
        (wheel,) = [name for name in names if Path(name).name.startswith("cmom-")]
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


def test_every_operation_and_workflow_is_there(python: Path) -> None:
    contract = PROJECT / "plugins" / "cmom" / "plugin.yaml"

    done = subprocess.run(
        [str(python), "-W", "ignore", "-c", IMPORT_ALL, str(contract)],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    count, where = done.stdout.split()
    assert int(count) > 10
    assert Path(where).is_relative_to(python.parent.parent)


def test_the_blueprint_runs_from_there(python: Path, tmp_path: Path) -> None:
    profile = LocalProfile.create(tmp_path / "tier2")
    config = yaml.safe_load((profile.folder / "state" / ".cloudify" / "config.yaml").read_text())
    with LabThread(tmp_path / "lab", machines=1, clock=RealClock()) as lab:
        given = {
            "folder": str(profile.blueprint_folder),
            "storage": str(tmp_path / "storage"),
            "rules": config["import_resolver"]["parameters"]["rules"],
            "inputs": {**lab.inputs(), "poll_interval_seconds": 0.1},
        }
        (tmp_path / "given.json").write_text(json.dumps(given))
        done = subprocess.run(
            [str(python), "-W", "ignore", "-c", INSTALL, str(tmp_path / "given.json")],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        left = lab.machine("m1").manager

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (outputs,) = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"cluster')]
    assert outputs["cluster_status"]["condition"] == "ready"
    assert left is None
