"""The signs of life of `probes`, for many machines at once: on an event loop, without a thread for each.

Ten thousand machines, each greeting every ten seconds, are a thousand connections a second. So the greeting
is read by a small state machine on a bare socket, which costs a tenth of what a stream of asyncio does.
REST is asked rarely, and by streams.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import re
import socket
import ssl
import time
from dataclasses import dataclass

from cmom.clients.manager import API_VERSION

_GREETING = b"SSH-"
# A server may send other lines before its greeting (RFC 4253, 4.2).
_MAX_GREETING_BYTES = 8192
_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})\b")

# What tells of this machine and not of the other one: no descriptors, no memory, no ports, no network, a
# firewall.
_OWN_TROUBLE = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.EADDRNOTAVAIL,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EPERM,
        errno.EACCES,
    }
)


# A deadline that is noticed so much too late was not kept by us: the answer may lie there unread.
_LATE_SECONDS = 0.5
_HELD_UP = "this process was held up"


@dataclass(frozen=True)
class Beat:
    """What one look at a machine gave.

    Attributes:
        heard: Whether it gave a sign of life; None when this machine itself could not look.
        seconds: How long that took.
        detail: What came, or why nothing came, for people.
    """

    heard: bool | None
    seconds: float
    detail: str


async def ssh_beat(address: str, port: int, timeout_seconds: float) -> Beat:
    """Wait for the greeting of an SSH server. A connection that is taken without a greeting is no sign of
    life.

    Args:
        address: Of the machine; a name is resolved first.
        port: Of its SSH server.
        timeout_seconds: For all of it.
    """
    began = time.monotonic()
    try:
        family, target = await _resolve(address, port, timeout_seconds)
    except (OSError, ValueError, asyncio.TimeoutError) as error:
        return Beat(None, time.monotonic() - began, f"the name {address[:80]} cannot be resolved ({error})")
    listener = _Greeting(asyncio.get_running_loop())
    try:
        listener.begin(family, target, timeout_seconds)
        heard, detail = await listener.outcome
    finally:
        listener.end()
    return Beat(heard, time.monotonic() - began, detail)


async def rest_beat(address: str, port: int, timeout_seconds: float) -> Beat:
    """Ask a manager's REST service for anything: whatever HTTP status it answers with is a sign of life.

    No credentials are sent, so nothing needs to be trusted, and a password that has changed is no death.

    Args:
        address: Of the machine.
        port: Of the manager's REST service.
        timeout_seconds: For all of it.
    """
    began = time.monotonic()
    heard: bool | None
    try:
        heard, detail = await asyncio.wait_for(_ask(address, port), timeout_seconds)
    except (asyncio.TimeoutError, TimeoutError):
        late = time.monotonic() - began - timeout_seconds
        heard, detail = (
            (None, _HELD_UP) if _held_up(late) else (False, f"no answer within {timeout_seconds:g} s")
        )
    except ssl.SSLError as error:
        heard, detail = False, f"no TLS ({error.reason or error})"
    except (ValueError, OverflowError) as error:
        heard, detail = None, f"{address[:80]} is no address ({error})"
    except OSError as error:
        heard, detail = _by_errno(error.errno or 0, str(error))
    return Beat(heard, time.monotonic() - began, detail)


class _Greeting:
    """One connection that waits for a greeting."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.outcome: asyncio.Future[tuple[bool | None, str]] = loop.create_future()
        self._loop = loop
        self._sock: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._received = b""
        self._connected = False
        self._timeout_seconds = 0.0
        self._deadline = 0.0

    def begin(self, family: int, target: tuple[str, int], timeout_seconds: float) -> None:
        """Connect, and come back at once; `outcome` tells what became of it."""
        self._timeout_seconds = timeout_seconds
        try:
            self._sock = socket.socket(family, socket.SOCK_STREAM)
            self._sock.setblocking(False)
            code = self._sock.connect_ex(target)
        except OSError as error:
            self._settle(*_by_errno(error.errno or 0, str(error)))
            return
        except (ValueError, OverflowError) as error:
            self._settle(None, f"{target} is no address ({error})")  # nobody looked, so nobody is dead
            return
        if code not in (0, errno.EINPROGRESS):
            self._settle(*_by_errno(code))
            return
        self._deadline = self._loop.time() + timeout_seconds
        self._timer = self._loop.call_at(self._deadline, self._give_up)
        self._loop.add_writer(self._sock, self._on_connected)

    def end(self) -> None:
        """Let go of everything; also after a cancellation."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sock is not None:
            self._loop.remove_writer(self._sock)
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self._sock = None

    def _settle(self, heard: bool | None, detail: str) -> None:
        if not self.outcome.done():
            self.outcome.set_result((heard, detail))
        self.end()

    def _on_connected(self) -> None:
        assert self._sock is not None
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._settle(*_by_errno(code))
            return
        self._connected = True
        self._loop.remove_writer(self._sock)
        self._loop.add_reader(self._sock, self._on_readable)

    def _on_readable(self) -> None:
        assert self._sock is not None
        try:
            piece = self._sock.recv(1024)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._settle(*_by_errno(error.errno or 0))
            return
        self._received += piece
        *lines, _rest = self._received.split(b"\n")
        for line in lines:
            if line.startswith(_GREETING):
                self._settle(True, line.decode("ascii", "replace").strip())
                return
        if not piece:
            self._settle(False, "the connection was closed without a greeting")
        elif len(self._received) > _MAX_GREETING_BYTES:
            self._settle(False, "what answers is no SSH server")

    def _give_up(self) -> None:
        if _held_up(self._loop.time() - self._deadline):
            self._settle(None, _HELD_UP)
            return
        if self._connected:
            what = f"the connection was taken, but no greeting came within {self._timeout_seconds:g} s"
        else:
            what = f"no connection within {self._timeout_seconds:g} s"
        self._settle(False, what)


async def _resolve(address: str, port: int, timeout_seconds: float) -> tuple[int, tuple[str, int]]:
    """Return the family and the address to connect to; a number is taken as it is, without asking anybody."""
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        loop = asyncio.get_running_loop()
        found = await asyncio.wait_for(
            loop.getaddrinfo(address, port, type=socket.SOCK_STREAM), timeout_seconds
        )
        family, _, _, _, target = found[0]
        return family, (str(target[0]), int(target[1]))
    return (socket.AF_INET if version == 4 else socket.AF_INET6), (address, port)


async def _ask(address: str, port: int) -> tuple[bool, str]:
    context = _tls_context()
    reader, writer = await asyncio.open_connection(address, port, ssl=context, limit=_MAX_GREETING_BYTES)
    try:
        name = f"[{address}]" if ":" in address else address
        writer.write(
            f"GET /api/{API_VERSION}/status HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode()
        )
        line = await reader.read(_MAX_GREETING_BYTES)
    finally:
        writer.transport.abort()
    found = _STATUS_LINE.match(line)
    if found is None:
        return (
            False,
            "what answers is no HTTP server" if line else "the connection was closed without an answer",
        )
    return True, f"HTTP {found.group(1).decode()}"


def _held_up(late_seconds: float) -> bool:
    return late_seconds > _LATE_SECONDS


_context: ssl.SSLContext | None = None


def _tls_context() -> ssl.SSLContext:
    """Return the one context; making it reads files."""
    global _context
    if _context is None:
        _context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _context.check_hostname = False
        _context.verify_mode = ssl.CERT_NONE
    return _context


def _by_errno(code: int, text: str = "") -> tuple[bool | None, str]:
    detail = os.strerror(code).lower() if code > 0 else text or "the connection broke"
    return (None if code in _OWN_TROUBLE else False), detail
