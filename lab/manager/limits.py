"""nginx's limit in front of REST, generation 5: `limit_req` with `burst` and `delay`.

Each client address may ask 10 times a second. What comes faster fills a bucket of 30: the first
20 are let through at once, the next are held back until the rate is met, and what does not fit is
answered with 503. A request that carries an execution token is free of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from lab.clock import ManualClock
from lab.manager.faults import page

if TYPE_CHECKING:
    from lab.manager.models import Manager

_AT_ONCE = 20
_FREE_HEADER = "Execution-Token"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Bucket:
    """How far one client is ahead of its rate.

    Args:
        per_second: The rate.
        burst: How many requests it may be ahead.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second, self._burst = per_second, burst
        self._excess = 0.0
        self._last: float | None = None

    def take(self, now: float) -> float | None:
        """One more request: how long to hold it back in seconds; None to refuse it."""
        excess = 0.0
        if self._last is not None:
            excess = max(0.0, self._excess - (now - self._last) * self._per_second + 1.0)
        if excess > self._burst:
            return None
        self._excess, self._last = excess, now
        return max(0.0, excess - _AT_ONCE) / self._per_second


def limits_middleware(manager: Manager) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The middleware for one manager; it lets everything through where there is no limit.

    With a clock that is moved by hand nothing is held back: the client that would have to wait
    is the one that moves it.
    """
    buckets: dict[str, Bucket] = {}

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        rate = manager.traits.requests_per_second
        if rate is None or not manager.settings.rate_limit or _FREE_HEADER in request.headers:
            return await handler(request)
        address = request.remote or ""
        if address not in buckets:
            buckets[address] = Bucket(rate, manager.traits.request_burst)
        held_seconds = buckets[address].take(manager.now())
        if held_seconds is None:
            return page(503)
        if held_seconds and not isinstance(manager.machine.clock, ManualClock):
            await asyncio.sleep(held_seconds)
        return await handler(request)

    return middleware
