"""Damage on the wire: an aiohttp middleware that does what the machine's board of faults says.

`refuse` closes the connection without an answer, `hang` never answers (or not for `seconds`),
`slow` answers after `seconds`, `500` and `503` answer with a page as nginx does, `broken-json` cuts
an answer in its middle while pretending it is whole, and `cut` closes the connection once
`after_bytes` of the request's or of the response's body have passed. A manager that lost its power, or
was removed, answers nothing, also on a connection that was just being made then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from lab.faults import REST_KINDS, Fault
from lab.manager.bodies import CUT, ConnectionCutError, Cut

if TYPE_CHECKING:
    from lab.manager.models import Manager

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_POLL_SECONDS = 0.2
_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_WORDS = {
    500: "500 Internal Server Error",
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
}


def faults_middleware(manager: Manager) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The middleware for one manager's application; it has to be the outermost one."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not manager.running:
            return drop(request)
        fault = manager.machine.faults.match(REST_KINDS, path=request.path, method=request.method)
        if fault is None:
            return await handler(request)
        return await _strike(manager, fault, request, handler)

    return middleware


async def _strike(
    manager: Manager, fault: Fault, request: web.Request, handler: Handler
) -> web.StreamResponse:
    if fault.kind == "refuse":
        return drop(request)
    if fault.kind == "hang":
        await hang(manager, request, fault.seconds)
        return await handler(request) if fault.seconds else drop(request)
    if fault.kind == "slow":
        await manager.machine.clock.sleep(fault.seconds)
        return await handler(request)
    if fault.kind in ("500", "503"):
        return page(int(fault.kind))
    if fault.kind == "cut":
        return await _cut(fault, request, handler)
    response = await handler(request)
    body = response.body if isinstance(response, web.Response) else None
    broken = bytes(body)[: max(1, len(body) // 2)] if isinstance(body, bytes) else b'{"items": ['
    return web.Response(body=broken, status=200, content_type="application/json")


async def _cut(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    request[CUT] = cut = Cut(fault.after_bytes)
    try:
        response = await handler(request)
        if isinstance(response, web.Response) and isinstance(response.body, bytes):
            return await cut.answer(request, response)
        return response
    except ConnectionCutError:
        return drop(request)


def page(status: int) -> web.Response:
    """nginx's own page for a status."""
    return web.Response(status=status, text=_PAGE.format(_WORDS[status]), content_type="text/html")


def drop(request: web.Request) -> web.Response:
    """Close the connection as it is; what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def hang(manager: Manager, request: web.Request, seconds: float) -> None:
    """Say nothing for `seconds`, or until the other side has had enough."""
    if seconds:
        await manager.machine.clock.sleep(seconds)
        return
    while request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(_POLL_SECONDS)
