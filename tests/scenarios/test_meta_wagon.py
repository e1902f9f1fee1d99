"""The wagon of the meta plugin is whole: it runs where there is nothing but cloudify-common."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from lab.local_profile import PROJECT
from tests.scenarios.wagons import RUN_SECONDS, call, install_wagon, make_wagon

NAME = "cloudify-meta-manager"


IMPORT_THESE = """
import importlib, sys
for mapping in sys.argv[1:]:
    module, _, function = mapping.partition(".")[2].rpartition(".")
    assert callable(getattr(importlib.import_module(module), function)), mapping
print(importlib.import_module("cmom_meta").__file__)
"""


def test_the_meta_wagon_is_whole_and_imports_where_there_is_nothing_else(tmp_path: Path) -> None:
    wagon = make_wagon("meta", "cmom_meta", NAME, tmp_path / "wagon")
    python = install_wagon(wagon, NAME, tmp_path / "empty")
    found = mappings()
    assert len(found) == 9
    where = call([str(python), "-W", "ignore", "-c", IMPORT_THESE, *found], RUN_SECONDS).strip()
    assert Path(where).is_relative_to(python.parent.parent)
    alone = subprocess.run([str(python), "-c", "import cmom"], cwd="/", capture_output=True, check=False)
    assert alone.returncode != 0, "cmom is there, so this shows nothing"


def mappings() -> list[str]:
    """Return every operation and workflow that plugin.yaml maps to code."""
    contract = yaml.safe_load((PROJECT / "plugins" / "meta" / "plugin.yaml").read_text(encoding="utf-8"))
    interfaces = contract["node_types"]["cloudify.nodes.MetaManager"]["interfaces"].values()
    operations = [one["implementation"] for interface in interfaces for one in interface.values()]
    return [*operations, *(one["mapping"] for one in contract["workflows"].values())]
