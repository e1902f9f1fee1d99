"""One request on its way to a handler: who calls, for which tenant, with which arguments."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from lab.manager import bodies
from lab.manager.database import Database
from lab.manager.exceptions import BadParametersError, ForbiddenError, UnauthorizedError
from lab.manager.stores.users import User

if TYPE_CHECKING:
    from lab.manager.models import Manager

TENANT_HEADER = "Tenant"
TOKEN_HEADER = "Authentication-Token"
NOBODY = User("", "none", "", "")
"""Whoever asks for what is open to all."""


@dataclass(frozen=True)
class Call:
    """A request that was let in.

    Attributes:
        tenant: The tenant of the request's header; empty where a resource needs none.
    """

    request: web.Request
    manager: Manager
    user: User
    tenant: str

    @property
    def database(self) -> Database:
        """What the manager knows."""
        return self.manager.database

    @property
    def now(self) -> float:
        """The manager's time."""
        return self.manager.now()

    def part(self, name: str) -> str:
        """A part of the path, e.g. the identifier."""
        return self.request.match_info[name]

    def argument(self, name: str) -> str | None:
        """An argument of the query string; None when it is not there."""
        return self.request.query.get(name)

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean argument of the query string.

        Raises:
            BadParametersError: It is neither true nor false.
        """
        value = self.argument(name)
        return default if value is None else to_flag(name, value)

    @property
    def all_tenants(self) -> bool:
        """Whether the list is asked for across all tenants."""
        return self.flag("_all_tenants")

    async def json(self, *, optional: bool = False) -> dict[str, Any]:
        """The body as a JSON object."""
        return await bodies.read_json(self.request, optional=optional)


Handler = Callable[[Call], Awaitable[web.StreamResponse]]


def to_flag(name: str, value: object) -> bool:
    """A boolean as the manager accepts it: `true`, `True`, true, `false`...

    Raises:
        BadParametersError: It is something else.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "yes", "1"):
        return True
    if isinstance(value, str) and value.lower() in ("false", "no", "0", ""):
        return False
    raise BadParametersError(f"{name} must be <boolean>, got {value}")


def authenticate(manager: Manager, request: web.Request) -> User:
    """Who calls, by token or by name and password.

    Raises:
        UnauthorizedError: Nobody the manager knows.
    """
    users = manager.database.users
    token = request.headers.get(TOKEN_HEADER)
    if token:
        user = users.by_token(token)
        if user is None:
            raise UnauthorizedError("User unauthorized: Authentication failed for token")
        return user
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise UnauthorizedError("User unauthorized: No authentication info provided for user: None")
    try:
        username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise UnauthorizedError("User unauthorized: Invalid authorization header") from None
    user = users.by_password(username, password)
    if user is None:
        raise UnauthorizedError(f"User unauthorized: Wrong credentials for user {username}")
    return user


def authorize_tenant(manager: Manager, request: web.Request, *, required: bool) -> str:
    """The tenant of the request.

    Raises:
        ForbiddenError: It does not exist, or is missing where one is needed.
    """
    name = request.headers.get(TENANT_HEADER, "")
    if not name and not required:
        return ""
    if name not in manager.database.tenants:
        shown = name or None
        raise ForbiddenError(f"Authorization failed: Tried to authenticate with invalid tenant name: {shown}")
    return name
