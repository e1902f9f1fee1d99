"""/secrets."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lab.manager.calls import Call, to_flag
from lab.manager.responses.formats import chosen, deleted, listing, reply
from lab.manager.stores.scoped import VISIBILITIES
from lab.manager.stores.secrets import Secret, check_value
from lab.manager.transitions import timestamp

_FIELDS = (
    "key",
    "created_at",
    "updated_at",
    "visibility",
    "private_resource",
    "resource_availability",
    "tenant_name",
    "created_by",
    "is_hidden_value",
)


async def put(call: Call) -> web.StreamResponse:
    """PUT /secrets/KEY {value, update_if_exists, visibility, is_hidden_value}."""
    body = await call.json()
    new = Secret(
        call.part("key"),
        call.tenant,
        body.get("visibility") or "tenant",
        call.user.username,
        call.now,
        check_value(body.get("value")),
        to_flag("is_hidden_value", body.get("is_hidden_value", False)),
        call.now,
    )
    update = to_flag("update_if_exists", body.get("update_if_exists", False))
    secret, _ = call.database.secrets.put(
        new, update_if_exists=update, visibility_given=bool(body.get("visibility"))
    )
    return reply(_wire(secret))


async def patch(call: Call) -> web.StreamResponse:
    """PATCH /secrets/KEY {value, is_hidden_value, visibility}."""
    body = await call.json()
    secret = _get(call)
    if "value" in body:
        secret.value = check_value(body["value"])
    if "is_hidden_value" in body:
        secret.is_hidden_value = to_flag("is_hidden_value", body["is_hidden_value"])
    if "visibility" in body:
        call.database.secrets.widen(secret, body["visibility"], VISIBILITIES)
    secret.updated_at = call.now
    return reply(_wire(secret))


async def get(call: Call) -> web.StreamResponse:
    """GET /secrets/KEY, with the value."""
    secret = _get(call)
    return reply(chosen(call, {**_wire(secret), "value": secret.value}))


async def list_secrets(call: Call) -> web.StreamResponse:
    """GET /secrets, without the values."""
    secrets = call.database.secrets.seen_by(call.tenant, everywhere=call.all_tenants)
    return listing(call, map(_wire, secrets), fields=_FIELDS, default_sort="key")


async def delete(call: Call) -> web.StreamResponse:
    """DELETE /secrets/KEY."""
    secret = _get(call)
    call.database.secrets.discard(secret)
    return deleted(call, _wire(secret))


async def set_visibility(call: Call) -> web.StreamResponse:
    """PATCH /secrets/KEY/set-visibility {visibility}."""
    body = await call.json()
    secret = _get(call)
    call.database.secrets.widen(secret, body.get("visibility"), ("tenant", "global"))
    return reply(_wire(secret))


def _get(call: Call) -> Secret:
    return call.database.secrets.get(call.tenant, call.part("key"))


def _wire(secret: Secret) -> dict[str, Any]:
    return {
        "key": secret.id,
        "updated_at": timestamp(secret.updated_at),
        "is_hidden_value": secret.is_hidden_value,
        **secret.ownership(),
    }
