"""What a route is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lab.manager.calls import Handler


@dataclass(frozen=True)
class Route:
    """One method of one path.

    Attributes:
        path: Below `/api/v3.1`, in aiohttp's notation.
        tenant: Whether the Tenant header is `required`, only looked at when it is there
            (`optional`), or `ignored`. An unknown tenant is refused unless it is ignored.
        unversioned: Served below `/api` as well, as `/version` is.
        open: Nobody has to log in for it.
    """

    method: str
    path: str
    handler: Handler
    tenant: Literal["required", "optional", "ignored"] = "required"
    unversioned: bool = False
    open: bool = False
