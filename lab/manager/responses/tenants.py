"""/tenants; all but the list is premium."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lab.manager.calls import Call
from lab.manager.exceptions import MissingPremiumPackageError
from lab.manager.responses.formats import listing, nothing, reply
from lab.manager.stores.tenants import Tenant


async def list_tenants(call: Call) -> web.StreamResponse:
    """GET /tenants."""
    items = [_wire(tenant) for tenant in call.database.tenants.by_name.values()]
    return listing(call, items, fields=("name", "groups", "users"), default_sort="name")


async def get(call: Call) -> web.StreamResponse:
    """GET /tenants/NAME."""
    premium(call)
    return reply(_wire(call.database.tenants.get(call.part("name"))))


async def create(call: Call) -> web.StreamResponse:
    """POST /tenants/NAME."""
    premium(call)
    await call.json(optional=True)
    return reply(_wire(call.database.tenants.create(call.part("name"))), 201)


async def delete(call: Call) -> web.StreamResponse:
    """DELETE /tenants/NAME."""
    premium(call)
    name = call.part("name")
    call.database.tenants.delete(name, in_use=call.database.uses_tenant(name))
    return nothing()


def premium(call: Call) -> None:
    """Refuse on a community manager.

    Raises:
        MissingPremiumPackageError: It is one.
    """
    if call.manager.edition != "premium":
        raise MissingPremiumPackageError


def _wire(tenant: Tenant) -> dict[str, Any]:
    return {"name": tenant.name, "groups": 0, "users": 1}
