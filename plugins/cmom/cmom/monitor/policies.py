"""The host-failure policies that deployments declare in their blueprints' ``groups``. Pure.

In 4.x Riemann evaluated them, and their words mean here what they meant there: see
``cloudify.policies.types.host_failure`` and ``cloudify.policies.triggers.execute_workflow`` of the standard
types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cmom.monitor.tier2 import Order
from cmom.services.validation.fields import identifier_problem

HOST_FAILURE = "cloudify.policies.types.host_failure"
EXECUTE_WORKFLOW = "cloudify.policies.triggers.execute_workflow"
DIAGNOSIS = "heart-beat-failure"
DEFAULT_INTERVAL_SECONDS = 300.0
_ODD_SHAPE = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)


class PolicyFault(Exception):  # noqa: N818 - what is wrong with a blueprint
    """A policy cannot be evaluated; the text says why."""


@dataclass(frozen=True)
class Trigger:
    """What a policy starts.

    Attributes:
        parameters: Of the workflow, intrinsic functions left as they are.
    """

    name: str
    workflow_id: str
    parameters: Mapping[str, Any]
    force: bool = False
    allow_custom_parameters: bool = False

    def order(self, subject: Mapping[str, Any]) -> Order:
        """Return what is to be started for one instance.

        Args:
            subject: What ``get_property: [SELF, ...]`` finds; see `subject_of`.

        Raises:
            PolicyFault: A parameter asks for something else.
        """
        return Order(
            self.workflow_id,
            {name: _resolved(value, subject) for name, value in self.parameters.items()},
            self.force,
            self.allow_custom_parameters,
        )


@dataclass(frozen=True)
class Policy:
    """A host-failure policy.

    Attributes:
        name: ``GROUP.POLICY``.
        node_ids: The nodes whose instances it is about.
        interval_seconds: Between two runs of its workflows; negative for no limit.
        started_only: Whether it is only about instances whose state is ``started``.
        on_group: Whether the interval is that of the whole group, and not of each instance.
    """

    name: str
    node_ids: frozenset[str]
    interval_seconds: float
    started_only: bool
    on_group: bool
    triggers: tuple[Trigger, ...]


def subject_of(
    instance_id: str, node_id: str, deployment_id: str, address: str, diagnosis: str
) -> dict[str, str]:
    """Return what a trigger's parameters may ask of ``SELF``: the names that Riemann's events had.

    There ``node_id`` is the ID of the node *instance*, and ``node_name`` that of its node.
    """
    return {
        "node_id": instance_id,
        "node_name": node_id,
        "deployment_id": deployment_id,
        "host": address,
        "diagnose": diagnosis,
    }


def parse_policies(
    groups: Mapping[str, Any], inputs: Mapping[str, Any]
) -> tuple[tuple[Policy, ...], tuple[str, ...]]:
    """Read the host-failure policies of a deployment.

    Args:
        groups: As Tier 2 returns them.
        inputs: Of the deployment, for ``get_input``.

    Returns:
        The policies, and what is wrong with those that cannot be evaluated.
    """
    found, faults = [], []
    for group_name, group in groups.items():
        policies = group.get("policies") if isinstance(group, Mapping) else None
        for name, declared in policies.items() if isinstance(policies, Mapping) else ():
            if not isinstance(declared, Mapping) or declared.get("type") != HOST_FAILURE:
                continue
            full_name = f"{group_name}.{name}"
            try:
                found.append(_policy(full_name, declared, frozenset(_members(group_name, groups)), inputs))
            except PolicyFault as fault:
                faults.append(f"The policy {full_name}: {fault}")
            except _ODD_SHAPE as error:
                faults.append(f"The policy {full_name} has an unexpected shape ({type(error).__name__})")
    return tuple(found), tuple(faults)


def _policy(
    name: str, declared: Mapping[str, Any], node_ids: frozenset[str], inputs: Mapping[str, Any]
) -> Policy:
    properties = {
        key: _with_inputs(value, inputs) for key, value in (declared.get("properties") or {}).items()
    }
    triggers = tuple(_triggers(declared.get("triggers") or {}, inputs))
    if not triggers:
        raise PolicyFault(f"it has no trigger of the type {EXECUTE_WORKFLOW}")
    return Policy(
        name=name,
        node_ids=node_ids,
        interval_seconds=_number(properties, "interval_between_workflows", DEFAULT_INTERVAL_SECONDS),
        started_only=_flag(properties, "is_node_started_before_workflow", True),
        on_group=_flag(properties, "policy_operates_on_group", False),
        triggers=triggers,
    )


def _triggers(declared: Mapping[str, Any], inputs: Mapping[str, Any]) -> Iterator[Trigger]:
    for name, trigger in declared.items():
        if not isinstance(trigger, Mapping) or trigger.get("type") != EXECUTE_WORKFLOW:
            continue
        parameters = {
            key: _with_inputs(value, inputs) for key, value in (trigger.get("parameters") or {}).items()
        }
        workflow_id, given = parameters.get("workflow"), parameters.get("workflow_parameters") or {}
        # It becomes an argument of `cfy`, and a part of the name of a file.
        if not isinstance(workflow_id, str) or identifier_problem(workflow_id):
            raise PolicyFault(f"its trigger {name} names no workflow")
        if not isinstance(given, Mapping):
            raise PolicyFault(f"workflow_parameters of its trigger {name} is no mapping")
        yield Trigger(
            name,
            workflow_id,
            given,
            _flag(parameters, "force", False),
            _flag(parameters, "allow_custom_parameters", False),
        )


def _members(name: str, groups: Mapping[str, Any]) -> Iterator[str]:
    """Yield the nodes of a group; a member may be a group itself."""
    seen, waiting = {name}, [name]
    while waiting:
        group = groups.get(waiting.pop())
        for member in (group.get("members") if isinstance(group, Mapping) else None) or ():
            if member not in groups:
                yield str(member)
            elif member not in seen:
                seen.add(member)
                waiting.append(member)


def _resolved(value: Any, subject: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"get_property"}:
            return _property(value["get_property"], subject)
        return {key: _resolved(inner, subject) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolved(inner, subject) for inner in value]
    return value


def _property(path: Any, subject: Mapping[str, Any]) -> Any:
    if not isinstance(path, list) or len(path) != 2 or path[0] != "SELF" or path[1] not in subject:
        known = ", ".join(subject)
        raise PolicyFault(f"its trigger asks for get_property {path!r}; there is [SELF, one of {known}]")
    return subject[path[1]]


def _with_inputs(value: Any, inputs: Mapping[str, Any]) -> Any:
    """Replace ``get_input``, which Tier 2 leaves in groups as it is."""
    if isinstance(value, Mapping):
        if set(value) == {"get_input"}:
            name = value["get_input"]
            if not isinstance(name, str) or name not in inputs:
                raise PolicyFault(f"the input {name!r} is not among the deployment's")
            return inputs[name]
        return {key: _with_inputs(inner, inputs) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_inputs(inner, inputs) for inner in value]
    return value


def _number(properties: Mapping[str, Any], name: str, default: float) -> float:
    value = properties.get(name, default)
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise PolicyFault(f"{name} is no number")
    return float(value)


def _flag(properties: Mapping[str, Any], name: str, default: bool) -> bool:
    value = properties.get(name, default)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise PolicyFault(f"{name} is neither true nor false")
    return value
