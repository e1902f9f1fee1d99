"""/executions and /events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aiohttp import web

from lab.manager.actions import workflows
from lab.manager.calls import Call, to_flag
from lab.manager.exceptions import BadParametersError
from lab.manager.responses.formats import chosen, listing, reply
from lab.manager.stores.executions import Execution
from lab.manager.transitions import timestamp

_FIELDS = (
    "id",
    "workflow_id",
    "status",
    "deployment_id",
    "blueprint_id",
    "parameters",
    "error",
    "is_system_workflow",
    "created_at",
    "created_by",
    "tenant_name",
    "visibility",
    "private_resource",
    "resource_availability",
)
_TIME_FIELDS = ("started_at", "ended_at", "status_display", "is_dry_run", "scheduled_for")
_EVENT_FIELDS = (
    "_storage_id",
    "type",
    "timestamp",
    "reported_timestamp",
    "execution_id",
    "deployment_id",
    "blueprint_id",
    "workflow_id",
    "node_name",
    "node_instance_id",
    "operation",
    "message",
    "event_type",
    "level",
    "logger",
    "error_causes",
)


async def start(call: Call) -> web.StreamResponse:
    """POST /executions; what a version does not know of it is ignored, as in the field."""
    body = await call.json()
    traits = call.manager.traits
    deployment_id, workflow_id = body.get("deployment_id"), body.get("workflow_id")
    for name, value in (("deployment_id", deployment_id), ("workflow_id", workflow_id)):
        if not isinstance(value, str) or not value:
            raise BadParametersError(f"Missing {name} in json request body")
    parameters = body.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadParametersError(
            f"request body's 'parameters' field must be a dict but is of type {type(parameters).__name__}"
        )
    execution = workflows.start(
        call.manager,
        workflows.StartRequest(
            call.database.deployments.get(call.tenant, str(deployment_id)),
            str(workflow_id),
            call.user.username,
            parameters,
            to_flag("allow_custom_parameters", body.get("allow_custom_parameters", False)),
            to_flag("force", body.get("force", False)),
            traits.queue and to_flag("queue", body.get("queue", False)),
            traits.dry_run and to_flag("dry_run", body.get("dry_run", False)),
            _scheduled(body.get("scheduled_time")) if traits.schedule else None,
        ),
    )
    return reply(wire(call, execution), 201)


async def list_executions(call: Call) -> web.StreamResponse:
    """GET /executions; those of the system only with `_include_system_workflows`."""
    found = call.database.executions.seen_by(call.tenant, everywhere=call.all_tenants)
    if not call.flag("_include_system_workflows"):
        found = [execution for execution in found if not execution.is_system_workflow]
    fields = _FIELDS + (_TIME_FIELDS if call.manager.traits.execution_times else ())
    items = [wire(call, execution) for execution in found]
    return listing(call, items, fields=fields, default_sort="created_at")


async def get(call: Call) -> web.StreamResponse:
    """GET /executions/ID."""
    return reply(chosen(call, wire(call, _get(call))))


async def act(call: Call) -> web.StreamResponse:
    """POST /executions/ID {action}: `cancel`, `force-cancel`, and `kill` where it is known."""
    body = await call.json()
    known = ["cancel", "force-cancel"] + (["kill"] if call.manager.traits.kill else [])
    action = body.get("action")
    execution = _get(call)
    if not isinstance(action, str) or action not in known:
        raise BadParametersError(f"Invalid action: {action}, Valid action values are: {known}")
    call.database.engine.cancel(execution, action, call.now)
    return reply(wire(call, execution))


async def list_events(call: Call) -> web.StreamResponse:
    """GET /events: `type` (both kinds may be asked for), `execution_id` and the other fields."""
    seen = call.database.events.seen(call.tenant, call.now, everywhere=call.all_tenants)
    items = [event.wire() for event in seen]
    for lowest, highest in _ranges(call):
        items = [
            item
            for item in items
            if lowest <= item["timestamp"] and (not highest or item["timestamp"] <= highest)
        ]
    return listing(
        call,
        items,
        fields=_EVENT_FIELDS,
        default_sort="timestamp",
        aliases={"@timestamp": "timestamp"},
    )


def _ranges(call: Call) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for given in call.request.query.getall("_range", []):
        parts = given.split(",")
        if len(parts) != 3 or parts[0].lstrip("@") not in ("timestamp", "reported_timestamp"):
            raise BadParametersError(f"Range parameter is invalid: {given}")
        found.append((parts[1], parts[2]))
    return found


def _get(call: Call) -> Execution:
    return call.database.executions.get(call.tenant, call.part("id"))


def _scheduled(value: object) -> float | None:
    if value is None:
        return None
    try:
        return datetime.strptime(str(value), "%Y%m%d%H%M%z").timestamp()
    except ValueError:
        raise BadParametersError("Scheduled time must be of the form YYYYMMDDHHMM+HHMM") from None


def wire(call: Call, execution: Execution) -> dict[str, Any]:
    """An execution as it is on the wire; 4.3 does not tell its times."""
    item: dict[str, Any] = {
        "id": execution.id,
        "workflow_id": execution.workflow_id,
        "status": execution.status,
        "deployment_id": execution.deployment_id,
        "blueprint_id": execution.blueprint_id,
        "parameters": execution.parameters,
        "error": execution.error,
        "is_system_workflow": execution.is_system_workflow,
        **execution.ownership(),
    }
    if call.manager.traits.execution_times:
        item |= {
            "started_at": timestamp(execution.started_at),
            "ended_at": timestamp(execution.ended_at),
            "status_display": execution.status_display,
            "is_dry_run": execution.is_dry_run,
            "scheduled_for": timestamp(execution.scheduled_for),
        }
    return item
