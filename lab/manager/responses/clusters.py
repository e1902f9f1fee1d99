"""/cluster and /cluster/nodes, generation 4, premium."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lab.manager.calls import Call
from lab.manager.cluster import Cluster, Node
from lab.manager.exceptions import BadParametersError
from lab.manager.responses.formats import listing, nothing, reply
from lab.manager.responses.tenants import premium

_NODE_FIELDS = (
    "name",
    "host_ip",
    "public_ip",
    "online",
    "master",
    "initialized",
    "checks",
    "credentials",
    "required",
    "remote_database",
    "options",
)


async def state(call: Call) -> web.StreamResponse:
    """GET /cluster: `{initialized, logs, error}`; `since` leaves out logs up to that cursor."""
    premium(call)
    since = call.argument("since") or "0"
    if not since.isdigit():
        raise BadParametersError("since must be the cursor of a log entry")
    return reply(_state(call, int(since)))


async def start_or_join(call: Call) -> web.StreamResponse:
    """PUT /cluster: begin a cluster, or, with `join_addrs`, join one."""
    premium(call)
    body = await call.json()
    host_ip, name = _text(body, "host_ip"), _text(body, "node_name")
    options = _mapping(body, "options")
    addresses = body.get("join_addrs")
    if not addresses:
        call.manager.seat.start(host_ip, name, options)
    elif not isinstance(addresses, list):
        raise BadParametersError("join_addrs must be a list of addresses")
    else:
        call.manager.seat.join(
            host_ip,
            name,
            options,
            _mapping(body, "credentials"),
            _mapping(body, "required"),
            [str(address) for address in addresses],
        )
    return reply(_state(call, 0))


async def update(call: Call) -> web.StreamResponse:
    """PATCH /cluster {master: NAME}: let another node lead."""
    premium(call)
    body = await call.json()
    call.manager.seat.member_of().set_active(_text(body, "master"), call.now)
    return reply(_state(call, 0))


async def list_nodes(call: Call) -> web.StreamResponse:
    """GET /cluster/nodes."""
    premium(call)
    cluster = call.manager.seat.member_of()
    items = [_node(call, cluster, node) for node in cluster.nodes.values()]
    return listing(call, items, fields=_NODE_FIELDS)


async def get_node(call: Call) -> web.StreamResponse:
    """GET /cluster/nodes/NAME."""
    premium(call)
    cluster = call.manager.seat.member_of()
    return reply(_node(call, cluster, cluster.get(call.part("name"))))


async def add_node(call: Call) -> web.StreamResponse:
    """PUT /cluster/nodes/NAME: expect a manager; answers with its `credentials`."""
    premium(call)
    body = await call.json()
    cluster = call.manager.seat.member_of()
    host_ip = _text(body, "host_ip")
    name = call.part("name")
    if body.get("node_name", name) != name:
        raise BadParametersError("node_name differs from the name in the URL")
    node = cluster.add(name, host_ip, host_ip, _mapping(body, "options"))
    return reply(_node(call, cluster, node))


async def remove_node(call: Call) -> web.StreamResponse:
    """DELETE /cluster/nodes/NAME."""
    premium(call)
    call.manager.seat.member_of().remove(call.part("name"), call.now)
    return nothing()


def _state(call: Call, since: int) -> dict[str, Any]:
    seat = call.manager.seat
    return {
        "initialized": seat.cluster is not None,
        "logs": [entry for entry in seat.logs if int(entry["cursor"]) > since],
        "error": seat.error,
    }


def _node(call: Call, cluster: Cluster, node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "host_ip": node.host_ip,
        "public_ip": node.public_ip,
        "online": cluster.is_online(node, call.now),
        "master": node.name == cluster.leader,
        "initialized": node.manager is not None,
        "checks": cluster.checks(node, call.now),
        "credentials": {"cluster_token": cluster.token, "node_secret": node.secret},
        "required": {"version": cluster.version},
        "remote_database": False,
        "options": node.options,
    }


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise BadParametersError(f"Missing {key} in json request body")
    return value


def _mapping(body: dict[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key) or {}
    if not isinstance(value, dict):
        raise BadParametersError(f"{key} must be a mapping")
    return value
