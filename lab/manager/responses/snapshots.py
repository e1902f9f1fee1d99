"""/snapshots."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lab.manager import bodies
from lab.manager.actions import downloads
from lab.manager.actions import snapshots as actions
from lab.manager.calls import Call, to_flag
from lab.manager.exceptions import BadParametersError, ManagerError, SnapshotActionError
from lab.manager.responses.executions import wire as wire_execution
from lab.manager.responses.formats import attachment, chosen, deleted, listing, reply
from lab.manager.stores.snapshots import Snapshot
from lab.manager.stores.tenants import check_identifier

_FIELDS = (
    "id",
    "status",
    "error",
    "created_at",
    "created_by",
    "tenant_name",
    "visibility",
    "private_resource",
    "resource_availability",
)
_RESTORE_FLAGS = ("restore_certificates", "no_reboot", "ignore_plugin_failure")


async def create(call: Call) -> web.StreamResponse:
    """PUT /snapshots/ID; answers with the execution that makes it."""
    body = await call.json()
    queue = to_flag("queue", body.get("queue", False)) and call.manager.traits.queue
    to_flag("include_credentials", body.get("include_credentials", False))
    execution = actions.create(
        call.manager,
        actions.CreateRequest(
            call.part("id"),
            call.tenant,
            call.user.username,
            include_events=to_flag("include_events", body.get("include_events", True)),
            include_logs=to_flag("include_logs", body.get("include_logs", True)),
            queue=queue,
        ),
    )
    return reply(wire_execution(call, execution), 201)


async def list_snapshots(call: Call) -> web.StreamResponse:
    """GET /snapshots."""
    found = call.database.snapshots.seen_by(call.tenant, everywhere=call.all_tenants)
    return listing(call, map(_wire, found), fields=_FIELDS, default_sort="created_at")


async def get(call: Call) -> web.StreamResponse:
    """GET /snapshots/ID."""
    return reply(chosen(call, _wire(_get(call))))


async def delete(call: Call) -> web.StreamResponse:
    """DELETE /snapshots/ID."""
    snapshot = _get(call)
    actions.check_deletable(call.manager, snapshot)
    item = _wire(snapshot)
    call.database.snapshots.discard(snapshot)
    call.manager.files.delete(snapshot.folder)
    call.manager.replicate_files()
    return deleted(call, item)


async def upload(call: Call) -> web.StreamResponse:
    """PUT /snapshots/ID/archive; for an id that exists: 201 with nothing in it."""
    identifier = check_identifier(call.part("id"), "snapshot_id")
    with call.manager.files.incoming() as (target, path):
        size = await bodies.save(call.request, target)
        if call.database.snapshots.find(call.tenant, identifier) is not None:
            return reply(dict.fromkeys(_FIELDS), 201)
        url = call.argument("snapshot_archive_url")
        if url and not size:
            await downloads.fetch(url, path)
        elif not size:
            raise BadParametersError("Missing snapshot archive in the request body")
        snapshot = Snapshot(identifier, call.tenant, "private", call.user.username, call.now, "uploaded")
        call.manager.files.adopt(path, snapshot.file)
        call.database.snapshots.add(snapshot)
        call.manager.replicate_files()
    return reply(_wire(snapshot), 201)


async def download(call: Call) -> web.StreamResponse:
    """GET /snapshots/ID/archive."""
    snapshot = _get(call)
    if snapshot.status == "failed":
        raise SnapshotActionError(f"Snapshot {snapshot.id} cannot be downloaded: its creation has failed")
    if snapshot.status == "creating":
        raise ManagerError(f"[Errno 2] No such file or directory: '{snapshot.id}.zip'")
    return await attachment(call, snapshot.file, f"{snapshot.id}.zip")


async def restore(call: Call) -> web.StreamResponse:
    """POST /snapshots/ID/restore; answers with the execution that does it."""
    body = await call.json()
    parameters: dict[str, Any] = {}
    if not call.manager.traits.environments_first:
        if "recreate_deployments_envs" not in body:
            raise BadParametersError("Missing recreate_deployments_envs in json request body")
        parameters["recreate_deployments_envs"] = to_flag(
            "recreate_deployments_envs", body["recreate_deployments_envs"]
        )
    for name in _RESTORE_FLAGS:
        parameters[name] = to_flag(name, body.get(name, False))
    request = actions.RestoreRequest(
        _get(call),
        call.tenant,
        call.user.username,
        to_flag("force", body.get("force", False)),
        parameters,
    )
    return reply(wire_execution(call, actions.restore(call.manager, request)))


def _get(call: Call) -> Snapshot:
    return call.database.snapshots.get(call.tenant, call.part("id"))


def _wire(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "id": snapshot.id,
        "status": snapshot.status,
        "error": snapshot.error,
        **snapshot.ownership(),
    }
