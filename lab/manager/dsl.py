"""Blueprints, as far as the lab understands them: inputs, nodes, workflows, plugins, outputs.

Not the real parser: node types, relationships and intrinsic functions are taken as they come, and
of what a platform brings (`types.yaml`) only the names are known. What is checked is what breaks
uploads in the field: YAML, sections, imports that cannot be found, nodes without a type.

A blueprint may tell the lab how its workflows end. The real parser ignores the section:

    dsl_definitions:
      lab:
        install: {seconds: 5, error: the disk is full, events: [one, two], logs: [a line]}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab.manager.exceptions import InvalidBlueprintError

_STANDARD_TYPES = re.compile(
    r"(https?://(www\.getcloudify\.org|cloudify\.co)/spec/cloudify/[^/]+/types\.yaml"
    r"|cloudify/types/types\.yaml)$"
)
_NOT_MERGED = ("imports", "tosca_definitions_version", "description")
_PARENTS = {
    "cloudify.nodes.Compute": "cloudify.nodes.Root",
    "cloudify.nodes.Container": "cloudify.nodes.Compute",
    "cloudify.nodes.Tier": "cloudify.nodes.Root",
}
_MANDATORY: dict[str, Any] = {}
"""A workflow's parameter without a default."""

PluginYaml = Callable[[str, dict[str, str]], "bytes | None"]
"""Finds the plugin.yaml of `plugin:NAME?version=V`: gets the name and the arguments."""


def builtin_workflows(version: tuple[int, int, int]) -> dict[str, dict[str, Any]]:
    """The workflows that the platform's own types bring: name -> parameters."""
    scope: dict[str, Any] = {
        "node_ids": {"default": []},
        "node_instance_ids": {"default": []},
        "type_names": {"default": []},
    }
    lifecycle = {"operation_parms": {"default": {}}, "run_by_dependency_order": {"default": True}, **scope}
    agents: dict[str, Any] = {
        "node_ids": {"default": []},
        "node_instance_ids": {"default": []},
    }
    if version >= (4, 4, 0):
        agents |= {
            "install_agent_timeout": {"default": 300},
            "install_methods": {"default": None},
            "stop_old_agent": {"default": False},
            "manager_ip": {"default": ""},
            "manager_certificate": {"default": ""},
            "validate": {"default": True},
            "install": {"default": True},
            "install_script": {"default": ""},
        }
    workflows: dict[str, dict[str, Any]] = {
        "install": {},
        "uninstall": {"ignore_failure": {"default": False}},
        "start": lifecycle,
        "stop": lifecycle,
        "restart": lifecycle,
        "update": {},
        "execute_operation": {
            "operation": _MANDATORY,
            "operation_kwargs": {"default": {}},
            "allow_kwargs_override": {"default": None},
            "run_by_dependency_order": {"default": False},
            **scope,
        },
        "heal": {
            "node_instance_id": _MANDATORY,
            "diagnose_value": {"default": "Not provided"},
            "ignore_failure": {"default": True},
        },
        "scale": {
            "scalable_entity_name": _MANDATORY,
            "delta": {"default": 1},
            "scale_compute": {"default": False},
            "ignore_failure": {"default": False},
        },
        "install_new_agents": agents,
        "validate_agents": {"node_ids": {"default": []}, "node_instance_ids": {"default": []}},
    }
    if version >= (5, 0, 0):
        workflows["check_status"] = {"node_instance_ids": {"default": []}}
        workflows["check_drift"] = {"node_instance_ids": {"default": []}}
    return workflows


@dataclass
class Plan:
    """What a blueprint says.

    Attributes:
        workflows: The blueprint's own and its plugins'; name -> parameters.
        types: node type -> the type it is derived from.
        script: How workflows are to end in the lab; see the module.
        secrets: The keys that `get_secret` names.
    """

    description: str | None = None
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    workflows: dict[str, dict[str, Any]] = field(default_factory=dict)
    plugins: dict[str, dict[str, Any]] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    capabilities: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, Any] = field(default_factory=dict)
    policies: dict[str, Any] = field(default_factory=dict)
    policy_types: dict[str, Any] = field(default_factory=dict)
    policy_triggers: dict[str, Any] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    script: dict[str, Any] = field(default_factory=dict)

    def type_hierarchy(self, type_name: str) -> list[str]:
        """A type and those it is derived from, root first."""
        chain = [type_name]
        while chain[-1] != "cloudify.nodes.Root" and len(chain) < 50:
            parents = {**_PARENTS, **self.types}
            chain.append(parents.get(chain[-1], "cloudify.nodes.Root"))
        return list(reversed(chain))


def parse(folder: Path, file_name: str, plugin_yaml: PluginYaml) -> Plan:
    """Read a blueprint.

    Args:
        folder: The unpacked archive's one folder.
        file_name: The main file in it.
        plugin_yaml: Where the plugins are that it imports.

    Raises:
        InvalidBlueprintError: It is not one.
    """
    document = _load(folder / file_name, file_name)
    if "tosca_definitions_version" not in document:
        raise InvalidBlueprintError(
            "Invalid blueprint - 'tosca_definitions_version' field must be defined in the main blueprint file"
        )
    merged: dict[str, Any] = {}
    _merge(merged, document, file_name)
    _import_all(document, merged, folder, Path(file_name).parent, plugin_yaml, {file_name})
    return _plan(document, merged)


def _load(path: Path, shown: str) -> dict[str, Any]:
    try:
        return _document(path.read_bytes(), shown)
    except OSError as error:
        raise InvalidBlueprintError(f"Invalid blueprint - {shown} cannot be read") from error


def _document(content: bytes, shown: str) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidBlueprintError(f"Invalid blueprint - Failed parsing {shown}: {error}") from error
    if not isinstance(loaded, dict):
        raise InvalidBlueprintError(f"Invalid blueprint - {shown} is not a mapping")
    return loaded


def _import_all(
    document: dict[str, Any],
    merged: dict[str, Any],
    folder: Path,
    here: Path,
    plugin_yaml: PluginYaml,
    seen: set[str],
) -> None:
    imports = document.get("imports") or []
    if not isinstance(imports, list):
        raise InvalidBlueprintError("Invalid blueprint - 'imports' must be a list")
    for imported in imports:
        name = next(iter(imported)) if isinstance(imported, dict) else str(imported)
        if name in seen or _STANDARD_TYPES.match(name):
            continue
        seen.add(name)
        if name.startswith("plugin:"):
            below, content = here, _imported_plugin(name, plugin_yaml)
        else:
            path = (folder / here / name).resolve()
            if "://" in name or not path.is_relative_to(folder.resolve()) or not path.is_file():
                raise InvalidBlueprintError(
                    f"Invalid blueprint - Import failed: Unable to open import url {name}; "
                    f"Unable to import: {name}"
                )
            below, content = path.parent.relative_to(folder.resolve()), path.read_bytes()
        inner = _document(content, name)
        _merge(merged, inner, name)
        _import_all(inner, merged, folder, below, plugin_yaml, seen)


def _imported_plugin(name: str, plugin_yaml: PluginYaml) -> bytes:
    package, _, query = name.removeprefix("plugin:").partition("?")
    arguments = dict(part.split("=", 1) for part in query.split("&") if "=" in part)
    found = plugin_yaml(package.strip(), arguments)
    if found is None:
        raise InvalidBlueprintError(
            f"Invalid blueprint - Plugin {package.strip()} not found (query: {arguments})"
        )
    return found


def _merge(merged: dict[str, Any], document: dict[str, Any], shown: str) -> None:
    for section, content in document.items():
        if section in _NOT_MERGED or content is None:
            continue
        if not isinstance(content, dict):
            raise InvalidBlueprintError(f"Invalid blueprint - '{section}' in {shown} must be a mapping")
        merged[section] = {**content, **merged.get(section, {})}


def _plan(document: dict[str, Any], merged: dict[str, Any]) -> Plan:
    nodes = merged.get("node_templates") or {}
    if not nodes:
        raise InvalidBlueprintError("Invalid blueprint - 'node_templates' is a required field of a blueprint")
    for name, node in nodes.items():
        if not isinstance(node, dict) or not isinstance(node.get("type"), str):
            raise InvalidBlueprintError(
                f"Invalid blueprint - 'type' is a required field of node template '{name}'"
            )
    definitions = merged.get("dsl_definitions") or {}
    script = definitions.get("lab")
    return Plan(
        description=document.get("description"),
        inputs=_mappings(merged.get("inputs")),
        nodes=nodes,
        workflows={
            name: dict((value.get("parameters") or {}) if isinstance(value, dict) else {})
            for name, value in (merged.get("workflows") or {}).items()
        },
        plugins=_mappings(merged.get("plugins")),
        outputs=merged.get("outputs") or {},
        capabilities=merged.get("capabilities") or {},
        groups=merged.get("groups") or {},
        policies=merged.get("policies") or {},
        policy_types=merged.get("policy_types") or {},
        policy_triggers=merged.get("policy_triggers") or {},
        types={
            name: str(value.get("derived_from", "cloudify.nodes.Root"))
            for name, value in _mappings(merged.get("node_types")).items()
        },
        secrets=sorted(set(_secrets(nodes) + _secrets(merged.get("inputs")))),
        script=script if isinstance(script, dict) else {},
    )


def _mappings(section: Any) -> dict[str, dict[str, Any]]:
    return {name: value if isinstance(value, dict) else {} for name, value in (section or {}).items()}


def _secrets(value: Any) -> list[str]:
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(value.get("get_secret"), str):
            return [value["get_secret"]]
        return [key for inner in value.values() for key in _secrets(inner)]
    if isinstance(value, list):
        return [key for inner in value for key in _secrets(inner)]
    return []
