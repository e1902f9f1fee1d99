"""PUT /blueprints/ID in generation 5: parsed by an execution (5.2 and later); multipart from 7.0 on.

Until 6.4 parameters are read from the query alone, as in generation 4; 5.1 does all as that does.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from lab.manager import bodies
from lab.manager.actions import blueprints5, downloads
from lab.manager.calls import Call, to_flag
from lab.manager.exceptions import BadParametersError, InvalidBlueprintError
from lab.manager.responses import blueprints4
from lab.manager.responses.blueprints import wire
from lab.manager.responses.formats import reply
from lab.manager.stores.scoped import check_visibility
from lab.manager.stores.tenants import check_identifier

_POLL_SECONDS = 0.02


async def upload(call: Call) -> web.StreamResponse:
    """PUT /blueprints/ID with the parts `params` (JSON) and `blueprint_archive`.

    `async_upload` answers at once with `upload_execution`; without it the answer waits, and a
    blueprint that is none is a 400 whose record stays.
    """
    if not call.manager.traits.blueprint_states:
        return await blueprints4.upload(call)
    identifier = check_identifier(call.part("id"), "blueprint_id")
    with call.manager.files.incoming() as (target, path):
        given = await _receive(call, target, path)
        name = given.get("application_file_name")
        request = blueprints5.UploadRequest(
            identifier,
            call.tenant,
            call.user.username,
            check_visibility(given.get("visibility") or "tenant"),
            unquote(str(name)) if name else None,
        )
        blueprint = await blueprints5.upload(call.manager, path, request)
    if to_flag("async_upload", given.get("async_upload", False)):
        return reply(wire(call, blueprint), 201)
    await call.manager.machine.clock.sleep(call.manager.settings.blueprint_seconds)
    call.manager.settle()
    while not blueprint.settled:
        await asyncio.sleep(_POLL_SECONDS)
        call.manager.settle()
    if blueprint.state != "uploaded":
        raise InvalidBlueprintError(blueprint.error or blueprint.state)
    return reply(wire(call, blueprint), 201)


async def _receive(call: Call, target: BinaryIO, path: Path) -> dict[str, Any]:
    """Save the archive; returns the parameters, from the form or the query string."""
    given: dict[str, Any] = dict(call.request.query)
    if call.request.content_type == "multipart/form-data":
        size = 0
        parts = await call.request.multipart()
        while (part := await parts.next()) is not None:
            if isinstance(part, BodyPartReader) and part.name == "params":
                told = _params(await part.text())
                given |= told if call.manager.traits.blueprint_form else {}
            elif isinstance(part, BodyPartReader) and part.name == "blueprint_archive":
                size = await bodies.save_part(call.request, part, target)
    else:
        size = await bodies.save(call.request, target)
    url = given.get("blueprint_archive_url")
    if url and size:
        raise BadParametersError("Can't pass both a blueprint URL and a blueprint archive")
    if url:
        await downloads.fetch(str(url), path)
    elif not size:
        raise BadParametersError("Missing blueprint archive in the request body")
    return given


def _params(text: str) -> dict[str, Any]:
    try:
        loaded = json.loads(text)
    except ValueError:
        loaded = None
    if not isinstance(loaded, dict):
        raise BadParametersError("`params` is not a JSON object")
    return loaded
