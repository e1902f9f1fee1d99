"""Signs of life: a greeting counts, a connection alone does not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cmom.clients.probes import rest_answer, ssh_greeting


@contextmanager
def server(*pieces: bytes, stay: bool = True) -> Iterator[int]:
    """Accept one connection, send some bytes, and hang up or stay."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        over = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for piece in pieces:
                    connection.sendall(piece)
                if stay:
                    over.wait(30)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            over.set()
            thread.join(30)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("pieces", "greeting"),
    [
        ((b"SSH-2.0-OpenSSH_7.4\r\n",), "SSH-2.0-OpenSSH_7.4"),
        ((b"Welcome, stranger\r\nSSH-2.0-x\r\n",), "SSH-2.0-x"),
        ((b"SSH-", b"2.0-slow\n"), "SSH-2.0-slow"),
    ],
)
def test_a_greeting_is_a_sign_of_life(pieces: tuple[bytes, ...], greeting: str) -> None:
    with server(*pieces) as port:
        assert ssh_greeting("127.0.0.1", port) == greeting


def test_an_accepted_connection_is_none() -> None:
    with server() as port:
        assert ssh_greeting("127.0.0.1", port, 0.2) == ""


def test_another_protocol_is_none() -> None:
    with server(b"HTTP/1.1 400 Bad Request\r\n\r\n", stay=False) as port:
        assert ssh_greeting("127.0.0.1", port, 5.0) == ""


def test_one_that_talks_without_end_is_none() -> None:
    with server(b"x" * 10000, stay=False) as port:
        assert ssh_greeting("127.0.0.1", port, 5.0) == ""


def test_nobody_there_is_none() -> None:
    assert ssh_greeting("127.0.0.1", unused_port(), 5.0) == ""
    assert rest_answer("127.0.0.1", unused_port(), 5.0) is None


def test_a_rest_service_without_tls_or_an_answer_is_none() -> None:
    with server(b"HTTP/1.1 200 OK\r\n\r\n", stay=False) as port:
        assert rest_answer("127.0.0.1", port, 5.0) is None
    with server() as port:
        assert rest_answer("127.0.0.1", port, 0.2) is None
