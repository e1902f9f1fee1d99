"""What plugin.yaml of the meta plugin promises is there."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cmom_meta.version import __version__

PROJECT = Path(__file__).resolve().parents[3]
PLUGIN = PROJECT / "plugins" / "meta"
CONTRACT: dict[str, Any] = yaml.safe_load((PLUGIN / "plugin.yaml").read_text(encoding="utf-8"))
TYPE = CONTRACT["node_types"]["cloudify.nodes.MetaManager"]
OPERATIONS = TYPE["interfaces"]["cmom_meta.interfaces.fleet"]


def test_the_version_is_the_same_everywhere() -> None:
    assert CONTRACT["plugins"]["meta"]["package_version"] == __version__
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"], cwd=PLUGIN, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == __version__


@pytest.mark.parametrize(
    "mapping",
    [
        *(one["implementation"] for one in OPERATIONS.values()),
        *(one["mapping"] for one in CONTRACT["workflows"].values()),
    ],
)
def test_what_is_mapped_is_there(mapping: str) -> None:
    plugin, _, target = mapping.partition(".")
    module, _, function = target.rpartition(".")
    assert plugin in CONTRACT["plugins"]
    assert callable(getattr(importlib.import_module(module), function))


def test_every_property_input_and_parameter_says_what_it_is() -> None:
    blueprint = yaml.safe_load((PROJECT / "meta_blueprint.yaml").read_text(encoding="utf-8"))
    declared = {**TYPE["properties"], **blueprint["inputs"]}
    for name, workflow in CONTRACT["workflows"].items():
        declared.update({f"{name}.{key}": one for key, one in workflow["parameters"].items()})
    assert [name for name, one in declared.items() if not (one.get("description") and one.get("type"))] == []
