"""The stand-in's keystone: tokens for one user, a catalogue of one region; v3, and the old v2.0."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from aiohttp import web

from lab.openstack.models import PROJECT_ID, Credentials
from lab.openstack.refusals import RefusalError

SERVICES = {"compute": "/compute/v2.1", "network": "/network", "image": "/image"}
UNAUTHORIZED = "The request you have made requires authentication."


class Tokens:
    """Gives out tokens and knows them again.

    Args:
        credentials: Who gets one.
        url: Where the cloud is served.
    """

    def __init__(self, credentials: Credentials, url: Callable[[], str]) -> None:
        self._credentials = credentials
        self._url = url
        self._given: set[str] = set()

    def known(self, token: str) -> bool:
        """Whether the token was given out here."""
        return token in self._given

    def give_v3(self, body: dict[str, Any]) -> str:
        """Check a v3 request and return a token."""
        try:
            user = body["auth"]["identity"]["password"]["user"]
            project = body["auth"]["scope"]["project"]
            named = {
                "username": user["name"],
                "password": user["password"],
                "user_domain": _domain(user["domain"]),
                "project": project["name"],
                "project_domain": _domain(project["domain"]),
            }
        except (KeyError, TypeError):
            raise RefusalError(
                400, "Expecting to find domain in user. The server could not comply."
            ) from None
        return self._give(named)

    def give_v2(self, body: dict[str, Any]) -> str:
        """Check a v2.0 request and return a token."""
        login = body["auth"]["passwordCredentials"]
        return self._give(
            {
                "username": login["username"],
                "password": login["password"],
                "project": body["auth"]["tenantName"],
            }
        )

    def endpoints(self) -> dict[str, str]:
        """The services and their URLs."""
        return {service: self._url() + path for service, path in SERVICES.items()}

    @property
    def region(self) -> str:
        """The only region."""
        return self._credentials.region

    def _give(self, named: dict[str, Any]) -> str:
        if any(getattr(self._credentials, name) != value for name, value in named.items()):
            raise RefusalError(401, UNAUTHORIZED)
        token = secrets.token_hex(16)
        self._given.add(token)
        return token


TOKENS = web.AppKey("tokens", Tokens)


def _domain(domain: dict[str, str]) -> str:
    # The stand-in's domains have their name as their ID, as keystone's default domain nearly has.
    return domain["name"] if "name" in domain else domain["id"].title()


def routes() -> list[web.RouteDef]:
    """The calls of keystone."""
    return [
        web.post("/identity/v3/auth/tokens", _tokens_v3),
        web.post("/identity/v2.0/tokens", _tokens_v2),
    ]


async def _tokens_v3(request: web.Request) -> web.Response:
    tokens = request.app[TOKENS]
    token = tokens.give_v3(await request.json())
    catalog = [
        {
            "type": service,
            "name": service,
            "endpoints": [
                {"interface": interface, "region": tokens.region, "region_id": tokens.region, "url": url}
                for interface in ("admin", "public")
            ],
        }
        for service, url in tokens.endpoints().items()
    ]
    body = {"token": {"project": {"id": PROJECT_ID}, "catalog": catalog}}
    return web.json_response(body, status=201, headers={"X-Subject-Token": token})


async def _tokens_v2(request: web.Request) -> web.Response:
    tokens = request.app[TOKENS]
    token = tokens.give_v2(await request.json())
    catalog = [
        {"type": service, "name": service, "endpoints": [{"region": tokens.region, "publicURL": url}]}
        for service, url in tokens.endpoints().items()
    ]
    return web.json_response({"access": {"token": {"id": token}, "serviceCatalog": catalog}})
