"""Serving the page and the metrics: read-only, without a password, so on loopback unless told otherwise."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from cmom.errors import ActionRequired
from cmom.monitor.config import WebSettings
from cmom.monitor.metrics import Metrics
from cmom.monitor.page import Surroundings, render
from cmom.monitor.watch import Monitor

_HEADERS = {
    # The page has a style of its own and nothing else: no script, no picture, no frame around it.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_LONGEST_REQUEST_BYTES = 4096
_SHUTDOWN_SECONDS = 1.0


def application(monitor: Monitor, metrics: Metrics) -> web.Application:
    """Return what answers ``/`` and ``/metrics``, to GET and HEAD only."""

    async def page(_request: web.Request) -> web.Response:
        around = Surroundings(
            monitor.breaker.reason, monitor.reading.error, monitor.reading_age_seconds(), monitor.dry_run
        )
        text = render(monitor.fleet, around, monitor.clock())
        # Names of files may hold bytes that are no text.
        body = text.encode("utf-8", "replace")
        return web.Response(body=body, content_type="text/html", charset="utf-8", headers=_HEADERS)

    async def numbers(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={**_HEADERS, "Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application(client_max_size=_LONGEST_REQUEST_BYTES)
    app.router.add_get("/", page)
    app.router.add_get("/metrics", numbers)
    return app


@asynccontextmanager
async def serving(
    settings: WebSettings, monitor: Monitor, metrics: Metrics, logger: logging.Logger
) -> AsyncIterator[int]:
    """Serve while inside; gives the port.

    Raises:
        ActionRequired: The address cannot be listened on.
    """
    runner = web.AppRunner(
        application(monitor, metrics),
        access_log=None,
        handle_signals=False,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.address, settings.port)
        try:
            await site.start()
        except (OSError, ValueError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or "that is no address"
            raise ActionRequired(
                f"The page cannot be served on {settings.address}, port {settings.port}: {reason}. "
                "Set web.address and web.port, or web.port to 0 for no page."
            ) from error
        port = int(runner.addresses[0][1])
        logger.info("The page is at http://%s:%s/, and the metrics are at /metrics.", settings.address, port)
        yield port
    finally:
        await runner.cleanup()
