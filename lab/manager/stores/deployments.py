"""Deployments, their nodes and node instances."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass, field
from typing import Any

from lab.manager.dsl import Plan
from lab.manager.exceptions import (
    DeploymentCreationError,
    MissingRequiredInputError,
    UnknownInputError,
)
from lab.manager.stores.scoped import Resource, Scoped

NOT_LIVE = ("uninitialized", "deleted")
"""The states of node instances that do not stand in the way of a deletion."""

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "float": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "dict": (dict,),
}


@dataclass
class NodeInstance:
    """One node instance."""

    id: str
    node_id: str
    state: str = "uninitialized"
    version: int = 1
    runtime_properties: dict[str, Any] = field(default_factory=dict)
    relationships: list[dict[str, str]] = field(default_factory=list)


@dataclass
class Deployment(Resource):
    """One deployment.

    Attributes:
        plan: The blueprint's, as it was at the creation.
        plugin_ids: The plugins of this manager that it uses.
    """

    blueprint_id: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    plan: Plan = field(default_factory=Plan)
    instances: list[NodeInstance] = field(default_factory=list)
    plugin_ids: list[str] = field(default_factory=list)

    @property
    def live_instances(self) -> list[NodeInstance]:
        """The instances that exist outside the manager."""
        return [instance for instance in self.instances if instance.state not in NOT_LIVE]

    def set_states(self, state: str) -> None:
        """Put every instance into a state, as a lifecycle workflow does."""
        for instance in self.instances:
            instance.state = state
            instance.version += 1


class Deployments(Scoped[Deployment]):
    """All deployments."""

    def __init__(self) -> None:
        super().__init__("Deployment")


def resolve_inputs(plan: Plan, given: dict[str, Any]) -> dict[str, Any]:
    """The inputs of a new deployment: what was given, completed by defaults.

    Raises:
        MissingRequiredInputError: One without a default was not given.
        UnknownInputError: One was given that the blueprint does not have.
        DeploymentCreationError: One is of the wrong type.
    """
    unknown = [name for name in given if name not in plan.inputs]
    if unknown:
        raise UnknownInputError(
            f"Unknown input '{unknown[0]}' specified for deployment. Expected inputs: "
            f"{', '.join(plan.inputs) or 'none'}"
        )
    missing = [
        name
        for name, schema in plan.inputs.items()
        if name not in given and "default" not in schema and schema.get("required", True)
    ]
    if missing:
        raise MissingRequiredInputError(
            f"Required inputs {missing} were not specified - expected inputs: {list(plan.inputs)}"
        )
    resolved: dict[str, Any] = {}
    for name, schema in plan.inputs.items():
        if name not in given and "default" not in schema:
            continue
        value = given[name] if name in given else schema["default"]
        _check_kind(name, schema, value)
        resolved[name] = value
    return resolved


def _check_kind(name: str, schema: dict[str, Any], value: Any) -> None:
    wanted = schema.get("type")
    kinds = _KINDS.get(wanted) if isinstance(wanted, str) else None
    if kinds is None or value is None or (isinstance(value, dict) and len(value) == 1):
        return
    wrong = isinstance(value, bool) and bool not in kinds
    if wrong or not isinstance(value, kinds):
        raise DeploymentCreationError(
            f"Property type validation failed in 'inputs.{name}': property type is '{wanted}', "
            f"yet it was assigned with the value '{value}'"
        )


def make_instances(plan: Plan, seed: str) -> list[NodeInstance]:
    """The node instances that a plan asks for."""
    chance = random.Random(seed)
    instances: dict[str, list[NodeInstance]] = {}
    for name, node in plan.nodes.items():
        signs = string.ascii_lowercase + string.digits
        instances[name] = [
            NodeInstance(f"{name}_{''.join(chance.choice(signs) for _ in range(6))}", name)
            for _ in range(instance_count(node))
        ]
    for name, node in plan.nodes.items():
        for relationship in node.get("relationships") or []:
            for instance in instances[name]:
                for target in instances.get(relationship.get("target"), []):
                    instance.relationships.append(
                        {
                            "target_name": target.node_id,
                            "target_id": target.id,
                            "type": relationship.get("type"),
                        }
                    )
    return [instance for group in instances.values() for instance in group]


def instance_count(node: dict[str, Any]) -> int:
    """How many instances of a node a deployment has."""
    scalable = ((node.get("capabilities") or {}).get("scalable") or {}).get("properties") or {}
    count = scalable.get("default_instances", (node.get("instances") or {}).get("deploy", 1))
    return count if isinstance(count, int) else 1
