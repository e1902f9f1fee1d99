"""The manager itself in generation 5: status, cluster status, tokens, configuration."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lab.manager.calls import Call
from lab.manager.exceptions import NotFoundError
from lab.manager.five import health
from lab.manager.responses.formats import listing, nothing, reply
from lab.manager.stores.users import Token
from lab.manager.transitions import timestamp

_TOKEN_FIELDS = (
    "id",
    "value",
    "role",
    "username",
    "description",
    "expiration_date",
    "last_used",
)


async def ok(call: Call) -> web.StreamResponse:
    """GET /ok, for load balancers: nobody has to log in for it."""
    if health.own_status(call.manager) == health.OK:
        return reply("OK")
    return reply("FAIL", 500)


async def license_check(call: Call) -> web.StreamResponse:
    """GET /license-check: a manager alone is taken to have one; others were refused before."""
    return reply("OK")


async def status(call: Call) -> web.StreamResponse:
    """GET /status; with `summary` without the services."""
    services = {} if call.flag("summary") else health.own_services(call.manager)
    return reply({"status": health.own_status(call.manager), "services": services})


async def cluster_status(call: Call) -> web.StreamResponse:
    """GET /cluster-status; with `summary` one word, and then 500 when it is `Fail`."""
    found = health.cluster_status(call.manager)
    if call.flag("summary"):
        failed = found["status"] == health.FAIL
        return reply({"status": found["status"], "services": {}}, 500 if failed else 200)
    return reply(found)


async def config(call: Call) -> web.StreamResponse:
    """GET /config: with a `scope` by name, without one as a list."""
    items = [
        {
            "name": name,
            "value": value,
            "scope": "rest",
            "schema": None,
            "is_editable": True,
            "updater_name": None,
            "updated_at": None,
        }
        for name, value in (
            ("blueprint_folder_max_size_mb", 50),
            ("blueprint_folder_max_files", 10000),
            ("default_page_size", 1000),
            ("rest_service_log_level", "INFO"),
        )
    ]
    if call.argument("scope"):
        return reply({str(item["name"]): item for item in items})
    return listing(call, items, fields=tuple(items[0]))


async def list_tokens(call: Call) -> web.StreamResponse:
    """GET /tokens; of the values only the beginning is shown."""
    items = [
        {**_token(call, token), "value": f"ctok-{token.id}-********"}
        for token in call.database.users.tokens.values()
    ]
    return listing(call, items, fields=_TOKEN_FIELDS)


async def create_token(call: Call) -> web.StreamResponse:
    """POST /tokens {description, expiration_date}; this once with the whole value."""
    body = await call.json(optional=True)
    description = body.get("description")
    token = call.database.users.make_token(call.user, str(description) if description else None)
    return reply(_token(call, token))


async def delete_token(call: Call) -> web.StreamResponse:
    """DELETE /tokens/ID."""
    if call.database.users.tokens.pop(call.part("id"), None) is None:
        raise NotFoundError(f"Requested `Token` with ID `{call.part('id')}` was not found")
    return nothing()


async def snapshot_status(call: Call) -> web.StreamResponse:
    """GET /snapshot-status: whether a restore is in progress."""
    running = any(
        execution.workflow_id == "restore_snapshot" for execution in call.database.executions.active()
    )
    words = "Snapshot restore in progress..." if running else "Snapshot restore not in progress"
    return reply({"status": words})


def _token(call: Call, token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "value": token.value,
        "username": token.username,
        "role": call.user.role,
        "description": token.description,
        "expiration_date": None,
        "last_used": timestamp(token.last_used),
    }
