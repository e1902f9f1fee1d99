"""The blueprints as a manager plans them, with the imports that a manager resolves by itself."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from dsl_parser.tasks import prepare_deployment_plan

from lab.local_profile import PROJECT
from lab.openstack.testing import local_profile
from tests.lab import engine


def parsed(folder: Path, blueprint: str, mode: str = "private_fixed_ip") -> Any:
    """Parse a blueprint out of a staged copy."""
    profile = local_profile(folder, mode)
    return engine.parsed(profile.blueprint_folder / blueprint, engine.resolver(profile))


def planned(plan: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Plan a deployment; refuses unknown and missing inputs and those of a wrong type, as a manager does."""
    deployment: dict[str, Any] = prepare_deployment_plan(copy.deepcopy(plan), inputs=dict(inputs))
    return deployment


def nodes(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nodes of a plan by name."""
    return {node["name"]: node for node in plan["nodes"]}


def sample_text() -> str:
    """Return sample_inputs.yaml as it is."""
    return (PROJECT / "sample_inputs.yaml").read_text(encoding="utf-8")


def sample(*uncommented: str, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the sample inputs, some of those that are commented out uncommented, some left out."""
    found = yaml.safe_load(uncomment(sample_text(), uncommented))
    return {name: value for name, value in found.items() if not name.startswith(without or ("\0",))}


def uncomment(text: str, names: tuple[str, ...]) -> str:
    """Uncomment whole entries of the sample: their line, and the lines under it."""
    lines, inside = [], False
    for line in text.splitlines():
        bare = line.removeprefix("# ") if line.startswith("# ") else None
        starts = bare is not None and bare.partition(":")[0] in names
        inside = starts or (inside and bare is not None and bare.startswith((" ", "-")))
        lines.append(bare if inside and bare is not None else line)
    return "\n".join(lines)
