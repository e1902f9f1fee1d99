"""Servers on this machine that say what they should not, at the pace they are told."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Talk = Callable[[socket.socket, bytes, threading.Event], None]


@contextmanager
def server(talk: Talk) -> Iterator[tuple[int, list[bytes]]]:
    """An HTTP server on this machine that says what `talk` says; gives its port, and the requests' heads."""
    over, heads = threading.Event(), []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(5)
                    heads.append(_request(connection))
                    try:
                        talk(connection, heads[-1], over)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1]), heads
        finally:
            over.set()
            thread.join(10)


def _request(connection: socket.socket) -> bytes:
    """Read a whole request: what is left unread cuts the connection before the answer is there."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
        head, ended, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if ended and len(body) >= int(length[1] if length else 0):
            break
    return received


def saying(answer: bytes) -> Talk:
    return lambda connection, _head, _over: connection.sendall(answer)


def drip(connection: socket.socket, _head: bytes, over: threading.Event) -> None:
    """A body of a gigabyte, a byte now and then."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    while not over.is_set():
        connection.sendall(b"x")
        over.wait(0.02)


def drip_headers(connection: socket.socket, _head: bytes, over: threading.Event) -> None:
    """A header that does not end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not over.is_set():
        connection.sendall(b"x")
        over.wait(0.02)
