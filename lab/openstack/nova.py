"""The stand-in's nova: servers, flavors, key pairs and server groups."""

from __future__ import annotations

import re

from aiohttp import web

from lab.openstack.cloud import POLICIES, Cloud
from lab.openstack.models import Server, ServerGroup
from lab.openstack.refusals import RefusalError, find

PAGE = 100
SOFT_SINCE = (2, 15)
"""The microversion that brought the soft policies of server groups."""


def routes(cloud: Cloud) -> list[web.RouteDef]:
    """The calls of nova."""
    api = _Nova(cloud)
    return [
        web.get("/servers/detail", api.list_servers),
        web.post("/servers", api.create_server),
        web.get("/servers/{id}", api.get_server),
        web.delete("/servers/{id}", api.delete_server),
        web.post("/servers/{id}/action", api.act),
        web.get("/flavors", api.list_flavors),
        web.get("/os-keypairs/{name}", api.get_keypair),
        web.get("/os-server-groups", api.list_server_groups),
        web.post("/os-server-groups", api.create_server_group),
        web.delete("/os-server-groups/{id}", api.delete_server_group),
    ]


class _Nova:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def _server(self, request: web.Request) -> Server:
        found = self._cloud.servers.get(request.match_info["id"])
        if found is None:
            raise RefusalError(404, f"Instance {request.match_info['id']} could not be found.")
        return found

    async def list_servers(self, request: web.Request) -> web.Response:
        pattern, marker = request.query.get("name"), request.query.get("marker")
        servers = [
            server
            for server in self._cloud.servers.values()
            if pattern is None or re.search(pattern, server.name)
        ]
        if marker is not None:
            ids = [server.id for server in servers]
            if marker not in ids:
                raise RefusalError(400, f"marker [{marker}] not found")
            servers = servers[ids.index(marker) + 1 :]
        return web.json_response({"servers": [self._cloud.shown(server) for server in servers[:PAGE]]})

    async def create_server(self, request: web.Request) -> web.Response:
        body = await request.json()
        server = self._cloud.create_server(body["server"], body.get("os:scheduler_hints") or {})
        return web.json_response({"server": {"id": server.id, "adminPass": "unused"}}, status=202)

    async def get_server(self, request: web.Request) -> web.Response:
        return web.json_response({"server": self._cloud.shown(self._server(request))})

    async def delete_server(self, request: web.Request) -> web.Response:
        self._cloud.delete_server(self._server(request))
        return web.Response(status=204)

    async def act(self, request: web.Request) -> web.Response:
        server, body = self._server(request), await request.json()
        if "os-stop" in body:
            self._cloud.stop_server(server)
        elif body.get("reboot", {}).get("type") == "HARD":
            self._cloud.reboot_server(server)
        elif "addSecurityGroup" in body:
            wanted = body["addSecurityGroup"]["name"]
            group = find(self._cloud.security_groups, wanted, "Security group {} not found.")
            if group.id in server.port.security_groups:
                raise RefusalError(400, f"Duplicate items in the list: '{group.id}'.")
            server.port.security_groups.append(group.id)
        else:
            raise RefusalError(400, f"The stand-in knows no action {', '.join(body)}.")
        return web.Response(status=202)

    async def list_flavors(self, request: web.Request) -> web.Response:
        flavor = {"id": self._cloud.flavor_id, "name": self._cloud.config.flavor}
        return web.json_response({"flavors": [flavor]})

    async def get_keypair(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name != self._cloud.config.key_name:
            raise RefusalError(404, f"Keypair {name} not found for user")
        return web.json_response({"keypair": {"id": 1, "name": name, "type": "ssh"}})

    async def list_server_groups(self, request: web.Request) -> web.Response:
        groups = [group.shown() for group in self._cloud.server_groups.values()]
        return web.json_response({"server_groups": groups})

    async def create_server_group(self, request: web.Request) -> web.Response:
        wanted = (await request.json())["server_group"]
        policies = wanted.get("policies") or []
        known = [one for one in POLICIES if _microversion(request) >= SOFT_SINCE or "soft" not in one]
        if len(policies) != 1 or policies[0] not in known:
            raise RefusalError(
                400,
                f"Invalid input for field/attribute 0. Value: {''.join(policies[:1])}. "
                f"{''.join(policies[:1])!r} is not one of {known}",
            )
        group = ServerGroup(wanted["name"], policies[0])
        self._cloud.server_groups[group.id] = group
        return web.json_response({"server_group": group.shown()})

    async def delete_server_group(self, request: web.Request) -> web.Response:
        if self._cloud.server_groups.pop(request.match_info["id"], None) is None:
            raise RefusalError(404, f"Instance group {request.match_info['id']} could not be found.")
        return web.Response(status=204)


def _microversion(request: web.Request) -> tuple[int, ...]:
    """What the request asks for; nova's oldest, 2.1, when it asks for nothing."""
    wanted = request.headers.get("X-OpenStack-Nova-API-Version", "2.1")
    return tuple(int(number) for number in wanted.split("."))
