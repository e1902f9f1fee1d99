"""/managers, /brokers, /db-nodes and /license of generation 5; changing them is premium.

What premium answers is not public; names, fields and codes are those of its client and of the
models in manager-rest.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lab.manager import bodies
from lab.manager.calls import Call
from lab.manager.exceptions import BadParametersError, ConflictError, NotFoundError
from lab.manager.five import license as licenses
from lab.manager.five.tables import BrokerRow, DatabaseRow, ManagerRow
from lab.manager.responses.formats import listing, nothing, reply
from lab.manager.responses.tenants import premium
from lab.manager.transitions import timestamp

_MANAGER_FIELDS = (
    *("id", "hostname", "private_ip", "public_ip", "version", "edition", "distribution"),
    *("distro_release", "last_seen", "networks", "ca_cert_content", "fs_sync_node_id"),
    "monitoring_username",
)
_BROKER_FIELDS = (
    *("name", "host", "management_host", "port", "networks", "is_external", "params"),
    *("ca_cert_content", "username", "password"),
)
_DB_FIELDS = ("name", "host", "is_external")
_LICENSE_FIELDS = (
    *("customer_id", "expiration_date", "license_edition", "trial", "cloudify_version"),
    *("capabilities", "expired"),
)


async def managers(call: Call) -> web.StreamResponse:
    """GET /managers; `hostname` chooses one."""
    items = [_manager(call, row) for row in call.manager.tables.managers.values()]
    return listing(call, items, fields=_MANAGER_FIELDS)


async def update_manager(call: Call) -> web.StreamResponse:
    """PUT /managers/HOSTNAME."""
    premium(call)
    await call.json(optional=True)
    return reply(_manager(call, _found(call.manager.tables.managers, call.part("name"), "Manager")))


async def add_manager(call: Call) -> web.StreamResponse:
    """POST /managers: done by the installer, which is the only one that can."""
    premium(call)
    name = str((await call.json()).get("hostname") or "")
    if name in call.manager.tables.managers:
        raise ConflictError(f"Manager with the hostname {name} already exists")
    raise BadParametersError("A manager is added by its installation")


async def remove_manager(call: Call) -> web.StreamResponse:
    """DELETE /managers/HOSTNAME: the manager itself is not told."""
    premium(call)
    rows = call.manager.tables.managers
    row = _found(rows, call.part("name"), "Manager")
    del rows[row.hostname]
    return reply(_manager(call, row))


async def brokers(call: Call) -> web.StreamResponse:
    """GET /brokers."""
    items = [_broker(row) for row in call.manager.tables.brokers.values()]
    return listing(call, items, fields=_BROKER_FIELDS)


async def add_broker(call: Call) -> web.StreamResponse:
    """POST /brokers {name, address, port, networks}."""
    premium(call)
    rows = call.manager.tables.brokers
    body = await call.json()
    name, address = _text(body, "name"), _text(body, "address")
    if name in rows:
        raise ConflictError(f"Broker with name {name} already exists")
    networks = _networks(body) or {"default": address}
    if address not in networks.values():
        raise BadParametersError(f"The address {address} is in none of the networks")
    known = next(iter(rows.values()), None)
    rows[name] = BrokerRow(
        name,
        address,
        networks,
        known.username if known is not None else "cloudify",
        known.password if known is not None else "",
        known.ca_cert if known is not None else None,
        port=body.get("port"),
        management_host=address,
    )
    return reply(_broker(rows[name]))


async def update_broker(call: Call) -> web.StreamResponse:
    """PUT /brokers/NAME {networks}: networks are added or changed."""
    premium(call)
    row = _found(call.manager.tables.brokers, call.part("name"), "RabbitMQBroker")
    networks = _networks(await call.json())
    if not networks:
        raise BadParametersError("Missing networks in json request body")
    row.networks = {**row.networks, **networks}
    row.host = row.networks.get("default", row.host)
    return reply(_broker(row))


async def remove_broker(call: Call) -> web.StreamResponse:
    """DELETE /brokers/NAME: the broker itself is not told."""
    premium(call)
    rows = call.manager.tables.brokers
    row = _found(rows, call.part("name"), "RabbitMQBroker")
    del rows[row.name]
    return reply(_broker(row))


async def db_nodes(call: Call) -> web.StreamResponse:
    """GET /db-nodes: a manager with its own database has none."""
    items = [_database(row) for row in call.manager.tables.db_nodes.values()]
    return listing(call, items, fields=_DB_FIELDS)


async def update_db_nodes(call: Call) -> web.StreamResponse:
    """POST /db-nodes {action: update}."""
    premium(call)
    action = (await call.json()).get("action")
    if action != "update":
        raise BadParametersError(f"Unknown action {action}")
    return await db_nodes(call)


async def list_license(call: Call) -> web.StreamResponse:
    """GET /license."""
    premium(call)
    found = call.manager.tables.license
    items = [] if found is None else [found.to_wire(call.now)]
    return listing(call, items, fields=_LICENSE_FIELDS)


async def upload_license(call: Call) -> web.StreamResponse:
    """PUT /license: the file is the body."""
    premium(call)
    content = b"".join([piece async for piece in bodies.pieces(call.request)])
    found = licenses.read(content, call.manager.version)
    call.manager.tables.license = found
    return reply(found.to_wire(call.now))


async def remove_license(call: Call) -> web.StreamResponse:
    """DELETE /license."""
    premium(call)
    call.manager.tables.license = None
    return nothing()


def _found(rows: dict[str, Any], name: str, kind: str) -> Any:
    if name not in rows:
        raise NotFoundError(f"Requested `{kind}` with ID `{name}` was not found")
    return rows[name]


def _manager(call: Call, row: ManagerRow) -> dict[str, Any]:
    running = row.manager.running
    return {
        "id": row.id,
        "hostname": row.hostname,
        "private_ip": row.private_ip,
        "public_ip": row.public_ip,
        "version": row.version,
        "edition": row.manager.edition,
        "distribution": "centos",
        "distro_release": "core",
        "last_seen": timestamp(call.now if running else row.manager.off_since or row.manager.on_since),
        "networks": row.networks,
        "ca_cert_content": row.ca_cert,
        "fs_sync_node_id": None,
        "monitoring_username": "monitoring",
    }


def _broker(row: BrokerRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "host": row.host,
        "management_host": row.management_host,
        "port": row.port,
        "networks": row.networks,
        "is_external": row.is_external,
        "params": None,
        "ca_cert_content": row.ca_cert,
        "username": row.username,
        "password": row.password,
    }


def _database(row: DatabaseRow) -> dict[str, Any]:
    return {"name": row.name, "host": row.host, "is_external": row.is_external}


def _networks(body: dict[str, Any]) -> dict[str, str]:
    networks = body.get("networks") or {}
    if not isinstance(networks, dict):
        raise BadParametersError("networks must be a mapping")
    return {str(name): str(address) for name, address in networks.items()}


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise BadParametersError(f"Missing {key} in json request body")
    return value
