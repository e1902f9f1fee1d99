"""PUT /blueprints/ID in generation 4: everything but the archive is in the query string.

A client that sends its parameters as multipart has its archive read and its parameters ignored:
then the main file is `blueprint.yaml`, the visibility `tenant`, whatever it wanted.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from lab.manager import bodies
from lab.manager.actions import downloads, uploads
from lab.manager.calls import Call
from lab.manager.exceptions import BadParametersError, ManagerError
from lab.manager.responses.blueprints import wire
from lab.manager.responses.formats import reply
from lab.manager.stores.blueprints import Blueprint
from lab.manager.stores.scoped import check_visibility
from lab.manager.stores.tenants import check_identifier


async def upload(call: Call) -> web.StreamResponse:
    """PUT /blueprints/ID?application_file_name=F&visibility=V&blueprint_archive_url=U."""
    identifier = check_identifier(call.part("id"), "blueprint_id")
    visibility = check_visibility(call.argument("visibility") or "tenant")
    with call.manager.files.incoming() as (target, path):
        await _receive(call, target, path)
        call.database.blueprints.check_free(call.tenant, identifier, visibility)
        blueprint = Blueprint(identifier, call.tenant, visibility, call.user.username, call.now)
        name = call.argument("application_file_name")
        await uploads.read_blueprint(call.manager, path, blueprint, unquote(name) if name else None)
        if call.manager.settings.blueprint_seconds:
            await call.manager.machine.clock.sleep(call.manager.settings.blueprint_seconds)
        call.database.blueprints.add(blueprint)
        uploads.keep_blueprint(call.manager, path, blueprint)
    return reply(wire(call, blueprint), 201)


async def _receive(call: Call, target: BinaryIO, path: Path) -> None:
    url = call.argument("blueprint_archive_url")
    if call.request.content_type == "multipart/form-data":
        size = await _save_part(call, target)
        if not size:
            # The real service looks for a file that is not there.
            raise ManagerError("[Errno 2] No such file or directory")
    else:
        size = await bodies.save(call.request, target)
    if url and size:
        raise BadParametersError(
            "Can't pass both a blueprint URL via query parameters and blueprint data via the request body"
        )
    if url:
        await downloads.fetch(url, path)
    elif not size:
        raise BadParametersError("Missing blueprint archive in the request body")


async def _save_part(call: Call, target: BinaryIO) -> int:
    size = 0
    parts = await call.request.multipart()
    while (part := await parts.next()) is not None:
        if isinstance(part, BodyPartReader) and part.name == "blueprint_archive":
            size = await bodies.save_part(call.request, part, target)
    return size
