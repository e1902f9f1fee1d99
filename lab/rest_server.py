"""Serving a manager's REST on a machine's port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence

from aiohttp import web

from lab.clock import Clock
from lab.faults import FaultBoard
from lab.network import PortGate


class RestServer:
    """One TLS port that serves one application at a time, through a gate.

    Args:
        addresses: the machine's.
        port: its REST port.
        clock: the lab's.
        board: the machine's faults. Those on REST are the application's own business.
    """

    def __init__(self, addresses: Sequence[str], port: int, clock: Clock, board: FaultBoard) -> None:
        self._addresses = addresses
        self._port = port
        self._clock = clock
        self._board = board
        self._runner: web.AppRunner | None = None
        self.gate: PortGate | None = None

    async def serve(
        self, app: web.Application, ssl_context: ssl.SSLContext, *, swallow: bool = False
    ) -> None:
        """Begin to serve; what was served before is stopped."""
        await self.stop()
        runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=0.1,
            handler_cancellation=True,
        )  # fmt: skip
        await runner.setup()

        async def take(connection: socket.socket) -> None:
            loop = asyncio.get_running_loop()
            assert runner.server is not None
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await loop.connect_accepted_socket(runner.server, connection, ssl=ssl_context)

        gate = PortGate(self._addresses, self._port, take, self._clock, self._board)
        try:
            gate.open(swallow=swallow)
        except BaseException:
            await runner.cleanup()
            raise
        self._runner, self.gate = runner, gate

    async def stop(self) -> None:
        """Close the port and reset its connections."""
        gate, self.gate = self.gate, None
        runner, self._runner = self._runner, None
        if gate is not None:
            gate.close()
        if runner is not None:
            await runner.cleanup()
