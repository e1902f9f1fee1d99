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
    read_seconds: float

    def remaining(self) -> float:
        return self.deadline - time.monotonic()

    def next_wait(self) -> float:
        """Return how long the next piece may take.

        Raises:
            TimeoutError: The time is over.
        """
        remaining = self.remaining()
        if remaining <= 0:
            raise TimeoutError("the request took longer than it may take in whole")
        return min(remaining, self.read_seconds)


# A context variable, because the socket is far below whoever knows the limit, and each thread has its own.
_limit: ContextVar[_Limit | None] = ContextVar("cmom_request_limit", default=None)
_outer_deadline: ContextVar[float | None] = ContextVar("cmom_time_limit", default=None)
_silence: ContextVar[float | None] = ContextVar("cmom_silence", default=None)


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
    outer = _outer_deadline.get()
    token = _outer_deadline.set(deadline if outer is None else min(outer, deadline))
    silence = _silence.set(_silence.get() if silence_seconds is None else silence_seconds)
    try:
        yield
    finally:
        _silence.reset(silence)
        _outer_deadline.reset(token)


@contextmanager
def request_limit(timeouts: Timeouts) -> Iterator[float]:
    """Hold one request to its time: that of the `time_limit` around it, or its own.

    Yields:
        How many seconds the first piece may take.

    Raises:
        TimeoutError: The time is over already.
    """
    outer = _outer_deadline.get()
    deadline = outer if outer is not None else time.monotonic() + timeouts.total_seconds
    limit = _Limit(deadline, _silence.get() or timeouts.read_seconds)
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
        limit = _limit.get() or _limit_of_a_body()
        if limit is not None:
            patience = limit.next_wait()
            if patience != self.gettimeout():
                self.settimeout(patience)


class LimitedTlsSocket(LimitedSocket, ssl.SSLSocket):
    """The same for TLS."""


def _limit_of_a_body() -> _Limit | None:
    """Return the limit of a body that is streamed after its request was sent."""
    deadline = _outer_deadline.get()
    return None if deadline is None else _Limit(deadline, _silence.get() or float("inf"))
