"""One client of a machine's port, and the bytes between it and the server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lab.clock import Clock
from lab.faults import Fault

_log = logging.getLogger(__name__)
_END_SECONDS = 10.0

CHUNK_BYTES = 1 << 16
Serve = Callable[[socket.socket], Awaitable[None]]


@dataclass(frozen=True)
class GateFaults:
    """Which faults act on the connections of a gate; None: none of that sort."""

    cut: str | None = None
    refuse: str | None = None
    hang: str | None = None
    slow: str | None = None

    @property
    def kinds(self) -> frozenset[str]:
        """All of them."""
        chosen = (self.cut, self.refuse, self.hang, self.slow)
        return frozenset(kind for kind in chosen if kind is not None)


NO_FAULTS = GateFaults()
SSH_FAULTS = GateFaults("ssh-cut", "ssh-refuse", "ssh-hang", "ssh-slow")


class Connection:
    """One client, and the bytes between it and the server."""

    def __init__(
        self,
        client: socket.socket,
        flowing: asyncio.Event,
        clock: Clock,
        fault: Fault | None,
        kinds: GateFaults,
    ) -> None:
        self._client = client
        self._flowing = flowing
        self._clock = clock
        self._fault = fault
        self._kinds = kinds
        self.task: asyncio.Task[None] | None = None

    async def run(self, serve: Serve) -> None:
        kind = self._fault.kind if self._fault is not None else None
        try:
            if kind is not None and kind == self._kinds.refuse:
                _reset(self._client)
            elif kind is not None and kind == self._kinds.hang:
                await asyncio.Event().wait()
            else:
                await self._carry(serve, kind)
        finally:
            self._client.close()

    async def _carry(self, serve: Serve, kind: str | None) -> None:
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        server = asyncio.ensure_future(_serve(serve, far))
        pumps = [
            asyncio.ensure_future(self._pump(self._client, near, self._cut_after(kind))),
            asyncio.ensure_future(self._pump(near, self._client, None, self._delay(kind))),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
            if any(not pump.done() or pump.exception() is not None for pump in pumps):
                _reset(self._client)
        finally:
            # Nobody may wait for a descriptor any more when it is closed: its number is another
            # connection's a moment later.
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            near.close()
            # The server sees that its client is gone and closes its own end by itself.
            await asyncio.wait({server}, timeout=_END_SECONDS)
            server.cancel()

    def _cut_after(self, kind: str | None) -> int | None:
        if self._fault is None or kind is None or kind != self._kinds.cut:
            return None
        return self._fault.after_bytes

    def _delay(self, kind: str | None) -> float:
        if self._fault is None or kind is None or kind != self._kinds.slow:
            return 0.0
        return self._fault.seconds

    async def _pump(
        self,
        source: socket.socket,
        target: socket.socket,
        cut_after: int | None,
        delay_seconds: float = 0.0,
    ) -> None:
        loop = asyncio.get_running_loop()
        quick = source is self._client
        left = cut_after
        while True:
            data = await loop.sock_recv(source, CHUNK_BYTES)
            if quick:
                # Without it a client that leaves Nagle on waits 40 ms for each delayed ACK.
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            await self._flowing.wait()
            if delay_seconds:
                await self._clock.sleep(delay_seconds)
            if left is not None:
                data, left = data[:left], left - len(data)
            if data:
                await loop.sock_sendall(target, data)
            if left is not None and left <= 0:
                raise ConnectionResetError("cut by a fault")
            if not data:
                with contextlib.suppress(OSError):
                    target.shutdown(socket.SHUT_WR)
                return

    def reset(self) -> None:
        """Reset the connection; it is gone from both sides."""
        _reset(self._client)
        if self.task is not None:
            self.task.cancel()


async def _serve(serve: Serve, far: socket.socket) -> None:
    try:
        await serve(far)
    except (OSError, asyncio.TimeoutError):
        # A client that hung up, or that speaks another protocol: its own business.
        far.close()
    except Exception:
        _log.exception("a server failed on a new connection")
        far.close()


def _reset(client: socket.socket) -> None:
    """Make the coming close a reset instead of an orderly end."""
    with contextlib.suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
