"""/deployments, /nodes and /node-instances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from lab.manager.actions import environments
from lab.manager.actions.workflows import workflows_of
from lab.manager.calls import Call, to_flag
from lab.manager.exceptions import BadParametersError, NotFoundError
from lab.manager.responses.formats import chosen, listing, nothing, reply
from lab.manager.stores.deployments import Deployment, NodeInstance, instance_count
from lab.manager.transitions import timestamp

_FIELDS = (
    "id",
    "blueprint_id",
    "created_at",
    "updated_at",
    "created_by",
    "description",
    "inputs",
    "outputs",
    "capabilities",
    "workflows",
    "groups",
    "policy_types",
    "policy_triggers",
    "scaling_groups",
    "tenant_name",
    "visibility",
    "private_resource",
    "resource_availability",
)
_MODERN_FIELDS = (
    "display_name",
    "labels",
    "site_name",
    "installation_status",
    "deployment_status",
    "latest_execution_status",
    "environment_type",
)
_NODE_FIELDS = (
    "id",
    "deployment_id",
    "blueprint_id",
    "type",
    "type_hierarchy",
    "host_id",
    "properties",
    "relationships",
    "plugins",
    "operations",
    "number_of_instances",
    "deploy_number_of_instances",
    "planned_number_of_instances",
    "min_number_of_instances",
    "max_number_of_instances",
    "tenant_name",
    "visibility",
    "created_by",
    "private_resource",
    "resource_availability",
)
_INSTANCE_FIELDS = (
    "id",
    "node_id",
    "deployment_id",
    "host_id",
    "state",
    "version",
    "runtime_properties",
    "relationships",
    "scaling_groups",
    "tenant_name",
    "visibility",
    "created_by",
    "private_resource",
    "resource_availability",
)
_COMPUTE = "cloudify.nodes.Compute"


async def create(call: Call) -> web.StreamResponse:
    """PUT /deployments/ID {blueprint_id, inputs, visibility, skip_plugins_validation}."""
    body = await call.json()
    blueprint_id = body.get("blueprint_id")
    if not isinstance(blueprint_id, str):
        raise BadParametersError("Missing blueprint_id in json request body")
    inputs = body.get("inputs") or {}
    if not isinstance(inputs, dict):
        raise BadParametersError("inputs parameter is expected to be of type dict")
    blueprint = call.database.blueprints.get(call.tenant, blueprint_id)
    if blueprint.state != "uploaded":
        raise NotFoundError(f"Blueprint {blueprint_id} is not uploaded: {blueprint.state}")
    deployment = environments.create(
        call.manager,
        environments.CreateRequest(
            call.part("id"),
            blueprint,
            call.tenant,
            call.user.username,
            inputs,
            body.get("visibility") or "tenant",
            to_flag("skip_plugins_validation", body.get("skip_plugins_validation", False)),
        ),
    )
    return reply(_wire(call, deployment), 201)


async def list_deployments(call: Call) -> web.StreamResponse:
    """GET /deployments."""
    found = call.database.deployments.seen_by(call.tenant, everywhere=call.all_tenants)
    fields = _FIELDS + (_MODERN_FIELDS if call.manager.traits.generation >= 5 else ())
    return listing(call, [_wire(call, d) for d in found], fields=fields, default_sort="id")


async def get(call: Call) -> web.StreamResponse:
    """GET /deployments/ID."""
    return reply(chosen(call, _wire(call, _get(call))))


async def delete(call: Call) -> web.StreamResponse:
    """DELETE /deployments/ID: `ignore_live_nodes` in generation 4, `force` in generation 5."""
    deployment = _get(call)
    modern = call.manager.traits.generation >= 5
    ignore = call.flag("force") if modern else call.flag("ignore_live_nodes")
    item = _wire(call, deployment)
    environments.delete(call.manager, deployment, user=call.user.username, ignore_live=ignore)
    return nothing() if modern else reply(item)


async def outputs(call: Call) -> web.StreamResponse:
    """GET /deployments/ID/outputs; of functions only `get_input` is evaluated."""
    deployment = _get(call)
    return reply(
        {
            "deployment_id": deployment.id,
            "outputs": _evaluated(deployment, deployment.plan.outputs),
        }
    )


async def capabilities(call: Call) -> web.StreamResponse:
    """GET /deployments/ID/capabilities."""
    deployment = _get(call)
    return reply(
        {
            "deployment_id": deployment.id,
            "capabilities": _evaluated(deployment, deployment.plan.capabilities),
        }
    )


async def set_visibility(call: Call) -> web.StreamResponse:
    """PATCH /deployments/ID/set-visibility {visibility}; a deployment is never global."""
    body = await call.json()
    deployment = _get(call)
    call.database.deployments.widen(deployment, body.get("visibility"), ("tenant",))
    return reply(_wire(call, deployment))


async def list_nodes(call: Call) -> web.StreamResponse:
    """GET /nodes."""
    found = call.database.deployments.seen_by(call.tenant, everywhere=call.all_tenants)
    items = [item for deployment in found for item in _nodes(deployment)]
    return listing(call, items, fields=_NODE_FIELDS)


async def list_instances(call: Call) -> web.StreamResponse:
    """GET /node-instances."""
    found = call.database.deployments.seen_by(call.tenant, everywhere=call.all_tenants)
    items = [_instance(d, instance) for d in found for instance in d.instances]
    return listing(call, items, fields=_INSTANCE_FIELDS)


async def get_instance(call: Call) -> web.StreamResponse:
    """GET /node-instances/ID."""
    for deployment in call.database.deployments.seen_by(call.tenant):
        for instance in deployment.instances:
            if instance.id == call.part("id"):
                return reply(chosen(call, _instance(deployment, instance)))
    raise NotFoundError(f"Requested `NodeInstance` with ID `{call.part('id')}` was not found")


def _get(call: Call) -> Deployment:
    return call.database.deployments.get(call.tenant, call.part("id"))


def _wire(call: Call, deployment: Deployment) -> dict[str, Any]:
    plan = deployment.plan
    created = timestamp(deployment.created_at)
    item: dict[str, Any] = {
        "id": deployment.id,
        "blueprint_id": deployment.blueprint_id,
        "updated_at": created,
        "description": plan.description,
        "inputs": deployment.inputs,
        "outputs": plan.outputs,
        "capabilities": plan.capabilities,
        "workflows": [
            {"name": name, "parameters": parameters, "created_at": created}
            for name, parameters in workflows_of(call.manager, plan).items()
        ],
        "groups": plan.groups,
        "policy_types": plan.policy_types,
        "policy_triggers": plan.policy_triggers,
        "scaling_groups": {},
        **deployment.ownership(),
    }
    if call.manager.traits.generation >= 5:
        item |= _modern(call, deployment)
    return item


def _modern(call: Call, deployment: Deployment) -> dict[str, Any]:
    runs = [
        e
        for e in call.database.executions
        if (e.deployment_id, e.tenant) == (deployment.id, deployment.tenant)
    ]
    latest = runs[-1].status if runs else None
    words = {"terminated": "completed", "failed": "failed", "cancelled": "cancelled"}
    failed = latest in ("failed", "cancelled")
    return {
        "display_name": deployment.id,
        "labels": [],
        "site_name": None,
        "environment_type": "",
        "installation_status": "active" if deployment.live_instances else "inactive",
        "deployment_status": "requires_attention" if failed else "good",
        "latest_execution_status": words.get(latest or "", "in_progress"),
    }


def _nodes(deployment: Deployment) -> Iterator[dict[str, Any]]:
    plan = deployment.plan
    for name, node in plan.nodes.items():
        hierarchy = plan.type_hierarchy(node["type"])
        count = instance_count(node)
        item = {
            "id": name,
            "deployment_id": deployment.id,
            "blueprint_id": deployment.blueprint_id,
            "type": node["type"],
            "type_hierarchy": hierarchy,
            "host_id": name if _COMPUTE in hierarchy else None,
            "properties": node.get("properties") or {},
            "relationships": node.get("relationships") or [],
            "plugins": [],
            "operations": {},
            "number_of_instances": count,
            "deploy_number_of_instances": count,
            "planned_number_of_instances": count,
            "min_number_of_instances": 0,
            "max_number_of_instances": -1,
            **deployment.ownership(),
        }
        del item["created_at"]
        yield item


def _instance(deployment: Deployment, instance: NodeInstance) -> dict[str, Any]:
    hierarchy = deployment.plan.type_hierarchy(deployment.plan.nodes[instance.node_id]["type"])
    item = {
        "id": instance.id,
        "node_id": instance.node_id,
        "deployment_id": deployment.id,
        "host_id": instance.id if _COMPUTE in hierarchy else None,
        "state": instance.state,
        "version": instance.version,
        "runtime_properties": instance.runtime_properties,
        "relationships": instance.relationships,
        "scaling_groups": [],
        **deployment.ownership(),
    }
    del item["created_at"]
    return item


def _evaluated(deployment: Deployment, section: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, output in section.items():
        value = output.get("value") if isinstance(output, dict) else output
        if isinstance(value, dict) and set(value) == {"get_input"}:
            value = deployment.inputs.get(value["get_input"])
        values[name] = value
    return values
