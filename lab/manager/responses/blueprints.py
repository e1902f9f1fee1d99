"""/blueprints, what both generations have in common."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lab.manager.actions.workflows import workflows_of
from lab.manager.calls import Call
from lab.manager.exceptions import DependentExistsError
from lab.manager.responses.formats import attachment, chosen, deleted, listing, reply
from lab.manager.stores.blueprints import Blueprint
from lab.manager.stores.scoped import VISIBILITIES
from lab.manager.transitions import timestamp

_FIELDS = (
    "id",
    "main_file_name",
    "plan",
    "description",
    "created_at",
    "updated_at",
    "created_by",
    "tenant_name",
    "visibility",
    "private_resource",
    "resource_availability",
)
_STATE_FIELDS = ("state", "error", "error_traceback", "upload_execution", "labels")


async def list_blueprints(call: Call) -> web.StreamResponse:
    """GET /blueprints."""
    blueprints = call.database.blueprints.seen_by(call.tenant, everywhere=call.all_tenants)
    fields = _FIELDS + (_STATE_FIELDS if call.manager.traits.blueprint_states else ())
    items = [wire(call, blueprint) for blueprint in blueprints]
    return listing(call, items, fields=fields, default_sort="id")


async def get(call: Call) -> web.StreamResponse:
    """GET /blueprints/ID."""
    return reply(chosen(call, wire(call, find(call))))


async def delete(call: Call) -> web.StreamResponse:
    """DELETE /blueprints/ID."""
    blueprint = find(call)
    used_by = [
        deployment.id
        for deployment in call.database.deployments
        if deployment.blueprint_id == blueprint.id
        and (deployment.tenant == blueprint.tenant or blueprint.visibility == "global")
    ]
    if used_by:
        raise DependentExistsError(
            f"Can't delete blueprint {blueprint.id} - There exist deployments for this "
            f"blueprint; Deployments ids: {','.join(used_by)}"
        )
    item = wire(call, blueprint)
    call.database.blueprints.discard(blueprint)
    call.manager.files.delete(blueprint.folder)
    call.manager.replicate_files()
    return deleted(call, item)


async def download(call: Call) -> web.StreamResponse:
    """GET /blueprints/ID/archive."""
    blueprint = find(call)
    return await attachment(call, blueprint.archive_file, f"{blueprint.id}.{blueprint.archive_kind}")


async def set_visibility(call: Call) -> web.StreamResponse:
    """PATCH /blueprints/ID/set-visibility {visibility}."""
    body = await call.json()
    blueprint = find(call)
    call.database.blueprints.widen(blueprint, body.get("visibility"), VISIBILITIES[1:])
    return reply(wire(call, blueprint))


def find(call: Call) -> Blueprint:
    """The blueprint of the path."""
    return call.database.blueprints.get(call.tenant, call.part("id"))


def wire(call: Call, blueprint: Blueprint) -> dict[str, Any]:
    """A blueprint as it is on the wire; `state` and what goes with it in generation 5 only."""
    plan = blueprint.plan
    item: dict[str, Any] = {
        "id": blueprint.id,
        "main_file_name": blueprint.main_file_name,
        "description": plan.description,
        "plan": {
            "inputs": plan.inputs,
            "nodes": [{"name": name, **node} for name, node in plan.nodes.items()],
            "workflows": {
                name: {"parameters": parameters}
                for name, parameters in workflows_of(call.manager, plan).items()
            },
            "outputs": plan.outputs,
            "groups": plan.groups,
            "policy_types": plan.policy_types,
            "policy_triggers": plan.policy_triggers,
            "description": plan.description,
        },
        "updated_at": timestamp(blueprint.created_at),
        **blueprint.ownership(),
    }
    if call.manager.traits.blueprint_states:
        item |= {
            "state": blueprint.state,
            "error": blueprint.error,
            "error_traceback": None,
            "labels": [],
            "upload_execution": _upload_execution(call, blueprint),
        }
        if blueprint.state != "uploaded":
            item["plan"] = None
    return item


def _upload_execution(call: Call, blueprint: Blueprint) -> dict[str, Any] | None:
    if blueprint.upload_execution_id is None:
        return None
    return {"id": blueprint.upload_execution_id, "workflow_id": "upload_blueprint"}
