"""Version, tokens, and the status of generation 4."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lab.manager import services
from lab.manager.calls import Call
from lab.manager.responses.formats import reply


async def version(call: Call) -> web.StreamResponse:
    """GET /version."""
    return reply(
        {
            "version": call.manager.version,
            "edition": call.manager.edition,
            "distribution": "centos",
            "distro_release": "core",
            "build": None,
            "commit": None,
            "date": None,
        }
    )


async def token(call: Call) -> web.StreamResponse:
    """GET /tokens: the caller's token (generation 4 has one for each user, for ever)."""
    return reply({"username": call.user.username, "value": call.user.token, "role": call.user.role})


async def status(call: Call) -> web.StreamResponse:
    """GET /status as generation 4 has it; before 4.4 a service does not name its unit."""
    listed = []
    for service in services.of(call.manager):
        item: dict[str, Any] = {
            "display_name": service.display_name,
            "instances": [
                {
                    "LoadState": "loaded",
                    "Description": service.display_name,
                    "state": service.state,
                    "MainPID": service.pid,
                    "Id": f"{service.unit}.service",
                    "ActiveState": "active",
                    "SubState": "running",
                }
            ],
        }
        if call.manager.traits.unit_ids:
            item["unit_id"] = f"{service.unit}.service"
        listed.append(item)
    return reply({"status": "running", "services": listed})
