"""Whether a machine shows any sign of life: its SSH server greets, its REST service answers whatever it says.

Nothing is sent that could tell anything to a stranger: no credentials, no key. So nothing needs to be trusted
either, and a certificate or a host key that has changed is a sign of life like any other.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from contextlib import suppress

from cmom.clients.manager import API_VERSION

DEFAULT_TIMEOUT_SECONDS = 10.0
_GREETING = b"SSH-"
_MAX_GREETING = 255
# A server may send other lines before its greeting (RFC 4253, 4.2).
_MAX_GREETING_BYTES = 8192


def ssh_greeting(address: str, port: int, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> str:
    """Return the line with which an SSH server introduces itself; empty when it does not.

    That a TCP connection is accepted says little: a kernel does that for a machine whose services are dead.
    """
    received, deadline = b"", time.monotonic() + timeout_seconds
    try:
        with socket.create_connection((address, port), timeout_seconds) as sock:
            while len(received) < _MAX_GREETING_BYTES and (left := deadline - time.monotonic()) > 0:
                sock.settimeout(left)
                piece = sock.recv(1024)
                received += piece
                for line in received.split(b"\n")[:-1]:
                    if line.startswith(_GREETING):
                        return line.decode("ascii", "replace").strip()[:_MAX_GREETING]
                if not piece:
                    break
    except (OSError, ValueError, OverflowError):
        return ""
    return ""


def rest_answer(address: str, port: int, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> int | None:
    """Return the HTTP status that a manager gives to somebody it does not know; None when it gives none.

    Args:
        address: Where Tier 2 reaches it.
        port: Of its REST service.
        timeout_seconds: For each piece of it; whoever needs a bound for the whole asks in a thread.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = None
    try:
        connection = http.client.HTTPSConnection(address, port, timeout=timeout_seconds, context=context)
        connection.request("GET", f"/api/{API_VERSION}/status")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError, OverflowError):
        return None
    finally:
        with suppress(OSError):
            if connection is not None:
                connection.close()
