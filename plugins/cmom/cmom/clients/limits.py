"""How long requests may take: a deadline in the socket, which holds for whoever uses the connection.

A read timeout of `requests` counts from one received piece to the next, so a server that sends a byte now and
then would be waited for without end. Here a request has a deadline in whole: connecting, the TLS handshake,
sending, headers and body.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Timeouts:
    """How long a request may take.

    Attributes:
        connect_seconds: For the TCP connection; and once more for the TLS handshake.
        read_seconds: The longest silence while sending or receiving.
        total_seconds: The whole request, unless the caller has set another limit with `time_limit`.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    total_seconds: float = 60.0


@dataclass(frozen=True)
class _Limit:
    deadline: float
    """On `time.monotonic`."""
    silence_seconds: float | None

    def next_wait(self) -> float:
        """Return how long the next piece may take.

        Raises:
            TimeoutError: The time is over.
        """
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the request took longer than it may take in whole")
        return remaining if self.silence_seconds is None else min(remaining, self.silence_seconds)


# Context variables, because the socket is far below whoever knows the limit, and each thread has its own. The
# outer one is that of all requests, and of a body that is streamed after its request was sent.
_limit: ContextVar[_Limit | None] = ContextVar("cmom_request_limit", default=None)
_outer_limit: ContextVar[_Limit | None] = ContextVar("cmom_time_limit", default=None)


@contextmanager
def time_limit(seconds: float, *, silence_seconds: float | None = None) -> Iterator[None]:
    """Set how long all requests made inside may take together, instead of each one's default.

    Within another limit the nearer end holds. It also holds for bodies that are streamed inside.

    Args:
        seconds: All requests together.
        silence_seconds: Instead of `Timeouts.read_seconds`, for what a manager does for minutes before it
            answers.
    """
    deadline = time.monotonic() + seconds
    outer = _outer_limit.get()
    if outer is not None:
        deadline = min(outer.deadline, deadline)
        silence_seconds = outer.silence_seconds if silence_seconds is None else silence_seconds
    token = _outer_limit.set(_Limit(deadline, silence_seconds))
    try:
        yield
    finally:
        _outer_limit.reset(token)


@contextmanager
def request_limit(timeouts: Timeouts) -> Iterator[float]:
    """Hold one request to its time: that of the `time_limit` around it, or its own.

    Yields:
        How many seconds the first piece may take.

    Raises:
        TimeoutError: The time is over already.
    """
    outer = _outer_limit.get() or _Limit(time.monotonic() + timeouts.total_seconds, None)
    limit = _Limit(outer.deadline, outer.silence_seconds or timeouts.read_seconds)
    token = _limit.set(limit)
    try:
        yield limit.next_wait()
    finally:
        _limit.reset(token)


class LimitedSocket(socket.socket):
    """A socket that asks the limit of the current request how long it may wait."""

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        self._set_patience()
        return super().recv_into(buffer, nbytes or 0, flags)  # 0: as much as there is room for

    def send(self, data: Any, flags: int = 0) -> int:
        self._set_patience()
        return super().send(data, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        self._set_patience()
        super().sendall(data, flags)

    def _set_patience(self) -> None:
        """Wait no longer than the limit allows; a system call only if that is another time than before.

        A large body comes 16 kB at a time, so what is done here counts.
        """
        limit = _limit.get() or _outer_limit.get()
        if limit is not None:
            patience = limit.next_wait()
            if patience != self.gettimeout():
                self.settimeout(patience)


class LimitedTlsSocket(LimitedSocket, ssl.SSLSocket):
    """The same for TLS."""
