"""The stand-in's neutron: networks, subnets, security groups, ports and floating IPs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from lab.openstack.cloud import Cloud
from lab.openstack.refusals import RefusalError, find

_FILTERS = ("id", "name", "description", "floating_ip_address", "device_id", "network_id")

PAGE: int | None = None
"""How many of a list are given out at once; None, which is neutron's default, for all."""


def routes(cloud: Cloud) -> list[web.RouteDef]:
    """The calls of neutron."""
    api = _Neutron(cloud)
    found = [
        web.get("/v2.0/{kind:networks|subnets|security-groups|ports|floatingips}", api.list),
        web.get("/v2.0/{kind:networks|subnets|security-groups|ports|floatingips}/{id}", api.get),
    ]
    for kind, name in (("ports", "port"), ("floatingips", "floatingip")):
        found += [
            web.post(f"/v2.0/{kind}", getattr(api, f"create_{name}")),
            web.put(f"/v2.0/{kind}/{{id}}", getattr(api, f"update_{name}")),
            web.delete(f"/v2.0/{kind}/{{id}}", getattr(api, f"delete_{name}")),
        ]
    return found


class _Neutron:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def _shown(self, kind: str) -> Iterable[dict[str, Any]]:
        cloud = self._cloud
        if kind == "networks":
            return [network.shown() for network in cloud.networks]
        if kind == "subnets":
            return [network.subnet_shown() for network in cloud.networks]
        if kind == "security-groups":
            return [group.shown() for group in cloud.security_groups]
        if kind == "ports":
            return [port.shown() for port in cloud.ports.values()]
        return [floating.shown() for floating in cloud.floating_ips.values()]

    async def list(self, request: web.Request) -> web.Response:
        kind = request.match_info["kind"]
        wanted = {name: value for name, value in request.query.items() if name in _FILTERS}
        found = [
            one for one in self._shown(kind) if all(one.get(name) == value for name, value in wanted.items())
        ]
        for address in request.query.getall("fixed_ips", []):
            found = [one for one in found if _has_address(one, address.removeprefix("ip_address="))]
        return web.json_response(_page(kind.replace("-", "_"), found, request.query.get("marker")))

    async def get(self, request: web.Request) -> web.Response:
        kind, thing_id = request.match_info["kind"], request.match_info["id"]
        for one in self._shown(kind):
            if one["id"] == thing_id:
                return web.json_response({kind.replace("-", "_")[:-1]: one})
        raise RefusalError(404, f"{kind[:-1].title()} {thing_id} could not be found.")

    async def create_port(self, request: web.Request) -> web.Response:
        port = self._cloud.create_port((await request.json())["port"])
        return web.json_response({"port": port.shown()}, status=201)

    async def update_port(self, request: web.Request) -> web.Response:
        port = find(self._cloud.ports.values(), request.match_info["id"], "Port {} could not be found.")
        changes = (await request.json())["port"]
        if set(changes) != {"device_id"}:
            raise RefusalError(400, f"The stand-in cannot change {', '.join(changes)} of a port.")
        port.device_id = changes["device_id"]
        return web.json_response({"port": port.shown()})

    async def delete_port(self, request: web.Request) -> web.Response:
        self._cloud.delete_port(
            find(self._cloud.ports.values(), request.match_info["id"], "Port {} could not be found.")
        )
        return web.Response(status=204)

    def _floating(self, request: web.Request) -> Any:
        message = "Floating IP {} could not be found"
        return find(self._cloud.floating_ips.values(), request.match_info["id"], message)

    async def create_floatingip(self, request: web.Request) -> web.Response:
        floating = self._cloud.create_floating_ip((await request.json())["floatingip"])
        return web.json_response({"floatingip": floating.shown()}, status=201)

    async def update_floatingip(self, request: web.Request) -> web.Response:
        floating = self._floating(request)
        self._cloud.associate(floating, (await request.json())["floatingip"]["port_id"])
        return web.json_response({"floatingip": floating.shown()})

    async def delete_floatingip(self, request: web.Request) -> web.Response:
        del self._cloud.floating_ips[self._floating(request).id]
        return web.Response(status=204)


def _has_address(port: dict[str, Any], address: str) -> bool:
    return any(entry["ip_address"] == address for entry in port["fixed_ips"])


def _page(kind: str, found: list[dict[str, Any]], marker: str | None) -> dict[str, Any]:
    """A page of a list that begins after the marker, and where the next one is."""
    ids = [one["id"] for one in found]
    if marker is not None:
        if marker not in ids:
            raise RefusalError(404, f"{kind} {marker} could not be found.")
        found = found[ids.index(marker) + 1 :]
    if PAGE is None or len(found) <= PAGE:
        return {kind: found}
    href = f"?marker={found[PAGE - 1]['id']}"
    return {kind: found[:PAGE], f"{kind}_links": [{"rel": "next", "href": href}]}
