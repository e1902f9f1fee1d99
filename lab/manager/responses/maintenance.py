"""/maintenance, and what it holds back."""

from __future__ import annotations

import re

from aiohttp import web

from lab.manager.calls import Call
from lab.manager.exceptions import (
    MaintenanceActivatingError,
    MaintenanceActiveError,
    NotModifiedError,
)
from lab.manager.responses.formats import reply
from lab.manager.stores.maintenance import Maintenance
from lab.manager.transitions import timestamp

_ALWAYS_SERVED = re.compile(r"/(version|status|maintenance|snapshots|tokens|cluster|managers)\b")
_BEGINS_SOMETHING = re.compile(r"/(executions|deployments|snapshots)\b")


async def status(call: Call) -> web.StreamResponse:
    """GET /maintenance."""
    return _state(call)


async def activate(call: Call) -> web.StreamResponse:
    """POST /maintenance/activate; 304 when it is on already."""
    maintenance = call.database.maintenance
    if maintenance.status != "deactivated":
        raise NotModifiedError("Maintenance mode is already on")
    maintenance.status, maintenance.requested_at = "activating", call.now
    maintenance.requested_by = call.user.username
    call.manager.settle()
    return _state(call)


async def deactivate(call: Call) -> web.StreamResponse:
    """POST /maintenance/deactivate; 304 when it is off already."""
    if call.database.maintenance.status == "deactivated":
        raise NotModifiedError("Maintenance mode is already off")
    call.database.maintenance = Maintenance()
    return _state(call)


def check(maintenance: Maintenance, method: str, path: str) -> None:
    """Refuse what maintenance mode does not let through.

    Raises:
        MaintenanceActiveError: It is on.
        MaintenanceActivatingError: It will be, and this would begin something new.
    """
    if maintenance.status == "activated" and not _ALWAYS_SERVED.search(path):
        raise MaintenanceActiveError(
            "Your request was rejected since Cloudify manager is currently under maintenance"
        )
    if (
        maintenance.status == "activating"
        and method in ("POST", "PUT", "DELETE")
        and _BEGINS_SOMETHING.search(path)
        and not re.search(r"/executions/[^/]+$", path)
    ):
        raise MaintenanceActivatingError(
            "Your request was rejected since Cloudify manager is entering maintenance mode"
        )


def _state(call: Call) -> web.Response:
    maintenance = call.database.maintenance
    remaining = [
        {"id": e.id, "status": e.status, "deployment_id": e.deployment_id, "workflow_id": e.workflow_id}
        for e in call.database.executions.active()
    ]
    return reply(
        {
            "status": maintenance.status,
            "activated_at": timestamp(maintenance.activated_at) or "",
            "activation_requested_at": timestamp(maintenance.requested_at) or "",
            "remaining_executions": remaining if maintenance.status == "activating" else None,
            "requested_by": maintenance.requested_by or "",
        }
    )
