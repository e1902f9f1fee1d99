"""The routes, and the order in which a request passes faults, limits, the cluster, and the door."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from lab.manager import bodies, generation4, generation5
from lab.manager.calls import NOBODY, Call, authenticate, authorize_tenant
from lab.manager.exceptions import ManagerError
from lab.manager.faults import faults_middleware, page
from lab.manager.five.link import check_license
from lab.manager.limits import limits_middleware
from lab.manager.responses.maintenance import check as check_maintenance
from lab.manager.routes import Route

if TYPE_CHECKING:
    from lab.manager.models import Manager

_log = logging.getLogger(__name__)

_VERSIONED = "/api/{api_version:v(?:1|2|2\\.1|3|3\\.1)}"
_NOT_FOUND = (
    '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">\n'
    "<title>404 Not Found</title>\n"
    "<h1>Not Found</h1>\n"
    "<p>The requested URL was not found on the server.  If you entered the URL manually please "
    "check your spelling and try again.</p>\n"
)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes_of(manager: Manager) -> tuple[Route, ...]:
    """The routes that this version of a manager has."""
    return generation5.ROUTES if manager.traits.generation >= 5 else generation4.ROUTES


def build_application(manager: Manager) -> web.Application:
    """The REST service of one manager."""
    application = web.Application(
        middlewares=[
            faults_middleware(manager),
            limits_middleware(manager),
            _errors,
            _gate(manager),
        ],
        client_max_size=0,
    )
    for route in routes_of(manager):
        endpoint = _endpoint(manager, route)
        application.router.add_route(route.method, _VERSIONED + route.path, endpoint)
        if route.unversioned:
            application.router.add_route(route.method, "/api" + route.path, endpoint)
    return application


def _endpoint(manager: Manager, route: Route) -> _Handler:
    async def endpoint(request: web.Request) -> web.StreamResponse:
        user = NOBODY if route.open else authenticate(manager, request)
        check_maintenance(manager.database.maintenance, request.method, request.path)
        tenant = ""
        if route.tenant != "ignored":
            tenant = authorize_tenant(manager, request, required=route.tenant == "required")
        return await route.handler(Call(request, manager, user, tenant))

    return endpoint


def _gate(manager: Manager) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def gate(request: web.Request, handler: _Handler) -> web.StreamResponse:
        manager.settle()
        if manager.now() < manager.outage_until:
            return page(502)
        manager.seat.check_answering(manager.now())
        if manager.link is not None:
            data = manager.link.check()
            if manager.edition == "premium":
                check_license(data, request.path, request.method, manager.now())
        return await handler(request)

    return gate


@web.middleware
async def _errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ManagerError as error:
        # nginx takes the whole request before the service sees it, so no client is refused in
        # the middle of its sending.
        await bodies.drain(request)
        if error.status == 304:
            return web.Response(status=304)
        return _wire_error(error)
    except web.HTTPNotFound:
        return web.Response(status=404, text=_NOT_FOUND, content_type="text/html")
    except web.HTTPMethodNotAllowed as error:
        body = {"message": "The method is not allowed for the requested URL."}
        return web.json_response(body, status=405, headers={"Allow": error.headers["Allow"]})
    except (web.HTTPException, bodies.ConnectionCutError, ConnectionError):
        raise
    except Exception as error:
        if request.transport is None:
            raise
        _log.exception("%s %s failed", request.method, request.path)
        return _wire_error(ManagerError(f"{type(error).__name__}: {error}"))


def _wire_error(error: ManagerError) -> web.Response:
    body = {"message": error.message, "error_code": error.code, "server_traceback": None}
    return web.Response(status=error.status, text=json.dumps(body), content_type="application/json")
