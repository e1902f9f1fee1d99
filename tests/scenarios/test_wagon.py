"""What `make wagon` packs is whole: it runs where there is nothing but cloudify-common."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from lab.clock import RealClock
from lab.local_profile import PROJECT, LocalProfile
from lab.testing import LabThread
from tests.scenarios.wagons import RUN_SECONDS, call, install_wagon, make_wagon

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


def test_a_wagon_is_whole_and_runs_where_there_is_nothing_else(tmp_path: Path) -> None:
    wagon = make_wagon("cmom", "cmom", "cmom", tmp_path / "wagon")
    python = install_wagon(wagon, "cmom", tmp_path / "empty")
    assert_every_mapping_is_there(python)
    assert_the_blueprint_runs(python, tmp_path)


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
