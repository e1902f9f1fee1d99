"""The stand-in cloud on the wire: one HTTP server on a loopback address, a service under each path.

Faults may be put onto it (`lab.faults`; the path is the request's): ``500`` and ``503`` answer instead
of acting, ``hang`` *acts* and never answers, which is how a server comes to be made and not recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from lab.faults import FaultBoard
from lab.openstack import glance, keystone, neutron, nova
from lab.openstack.cloud import Cloud
from lab.openstack.keystone import TOKENS, Tokens
from lab.openstack.refusals import RefusalError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SHUTDOWN_SECONDS = 0.1


class CloudServer:
    """Serves a cloud.

    Args:
        cloud: What is served.
        address: Where to listen; any free port is taken.
    """

    def __init__(self, cloud: Cloud, address: str) -> None:
        self.cloud = cloud
        self.faults = FaultBoard()
        self.requests: list[tuple[str, str]] = []
        """Method and path of every request so far."""
        self._address = address
        self._runner: web.AppRunner | None = None
        self._url = ""

    @property
    def auth_url(self) -> str:
        """What is given as os_auth_url."""
        return f"{self._url}/identity/v3"

    async def start(self) -> None:
        """Begin to listen."""
        app = web.Application(middlewares=[self._faulty, _refusing])
        app[TOKENS] = Tokens(self.cloud.config.credentials, lambda: self._url)
        app.router.add_routes(keystone.routes())
        for prefix, routes in (
            ("/compute/v2.1", nova.routes(self.cloud)),
            ("/network", neutron.routes(self.cloud)),
            ("/image", glance.routes(self.cloud)),
        ):
            app.add_subapp(prefix, _service(routes, app[TOKENS]))
        self._runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_SECONDS, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._address, 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self._url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stop listening, and stop what the cloud has under way."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self.cloud.close()

    @web.middleware
    async def _faulty(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        fault = self.faults.match({"500", "503", "hang"}, request.path, request.method)
        if fault is not None and fault.kind != "hang":
            return web.Response(status=int(fault.kind), text="the stand-in was told to")
        response = await handler(request)
        if fault is not None:
            await asyncio.Event().wait()
        return response


def _service(routes: list[web.RouteDef], tokens: Tokens) -> web.Application:
    @web.middleware
    async def authorized(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not tokens.known(request.headers.get("X-Auth-Token", "")):
            raise RefusalError(401, "The request you have made requires authentication.")
        return await handler(request)

    app = web.Application(middlewares=[authorized])
    app.router.add_routes(routes)
    return app


@web.middleware
async def _refusing(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RefusalError as refusal:
        return web.json_response(_error(request.path, refusal), status=refusal.status)


def _error(path: str, refusal: RefusalError) -> dict[str, Any]:
    """Wrap a message as the service in question does."""
    message = str(refusal)
    if path.startswith("/network"):
        return {"NeutronError": {"type": "Refused", "message": message, "detail": ""}}
    if path.startswith("/compute"):
        word = {400: "badRequest", 403: "forbidden", 404: "itemNotFound", 409: "conflictingRequest"}
        return {word.get(refusal.status, "computeFault"): {"code": refusal.status, "message": message}}
    return {"error": {"code": refusal.status, "message": message, "title": "Refused"}}
