"""Signs of life over real sockets, on an event loop."""

from __future__ import annotations

import asyncio
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from cmom.clients.heartbeats import Beat, rest_beat, ssh_beat
from lab.manager.standalone import StandaloneManager
from lab.testing import LabThread

Talk = Callable[[socket.socket], None]
PATIENT, IMPATIENT = 20.0, 0.5


@contextmanager
def server(talk: Talk) -> Iterator[int]:
    """Serve on loopback, each connection in a thread; gives the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with closing(connection), suppress(OSError):
                talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def saying(*pieces: bytes, pause_seconds: float = 0.0) -> Talk:
    """Say something, piece by piece, and close."""

    def talk(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause_seconds)

    return talk


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def silence(connection: socket.socket) -> None:
    """Take the connection, and say nothing until the other side goes."""
    while connection.recv(1024):
        pass


def ssh(port: int, timeout_seconds: float = PATIENT, address: str = "127.0.0.1") -> Beat:
    return asyncio.run(ssh_beat(address, port, timeout_seconds))


def rest(port: int, timeout_seconds: float = PATIENT, address: str = "127.0.0.1") -> Beat:
    return asyncio.run(rest_beat(address, port, timeout_seconds))


@pytest.mark.parametrize(
    "pieces",
    [
        [b"SSH-2.0-OpenSSH_7.4\r\n"],
        [b"SSH-2.0-Open", b"SSH_7.4\r\n"],
        [b"Welcome.\r\nBehave.\r\n", b"SSH-2.0-OpenSSH_7.4\n"],
    ],
)
def test_a_greeting_is_a_sign_of_life(pieces: list[bytes]) -> None:
    with server(saying(*pieces, pause_seconds=0.05)) as port:
        beat = ssh(port)
    assert (beat.heard, beat.detail) == (True, "SSH-2.0-OpenSSH_7.4")
    assert 0 < beat.seconds < PATIENT


def test_a_connection_that_is_taken_is_none() -> None:
    with server(silence) as port:
        beat = ssh(port, IMPATIENT)
        assert beat.heard is False
        assert beat.detail == "the connection was taken, but no greeting came within 0.5 s"
        beat = rest(port, IMPATIENT)
        assert (beat.heard, beat.detail) == (False, "no answer within 0.5 s")


def test_who_closes_without_a_word_is_silent() -> None:
    with server(saying()) as port:
        assert ssh(port).heard is False
        assert rest(port).heard is False


def test_what_answers_otherwise_is_silent() -> None:
    with server(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        beat = ssh(port)
        assert (beat.heard, beat.detail) == (False, "the connection was closed without a greeting")
    with server(saying(b"x" * 20000)) as port:
        assert ssh(port).detail == "what answers is no SSH server"
    with server(saying(b"SSH-2.0-OpenSSH_7.4\r\n")) as port:
        beat = rest(port)
        assert beat.heard is False
        assert beat.detail.startswith("no TLS")


def test_a_line_that_never_ends_is_no_greeting() -> None:
    def talk(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"S")
            time.sleep(0.02)

    with server(talk) as port:
        assert ssh(port, IMPATIENT).heard is False


def test_nobody_there_is_silent_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for beat in (ssh(port), rest(port)):
            assert (beat.heard, beat.detail) == (False, "connection refused")
            assert beat.seconds < PATIENT / 2


def test_a_machine_behind_a_partition_is_silent(tmp_path: Path) -> None:
    with LabThread(tmp_path, machines=1, sandbox="interpreter") as lab:
        machine = lab.machine("m1")
        assert ssh(machine.ssh_port, address=machine.ip).heard is True
        lab.partition("m1", "tier2")
        beat = ssh(machine.ssh_port, IMPATIENT, machine.ip)
        assert (beat.heard, beat.detail) == (False, "no connection within 0.5 s")


def test_whatever_a_manager_says_over_rest_is_a_sign_of_life(tmp_path: Path) -> None:
    with StandaloneManager(tmp_path) as manager:
        assert rest(manager.port).detail == "HTTP 401"
        manager.fault("500")
        beat = rest(manager.port)
        assert (beat.heard, beat.detail) == (True, "HTTP 500")


def test_what_is_our_own_trouble_says_nothing_of_the_machine() -> None:
    # Tests cannot leave this machine: to them every other one is in a network that is out of reach.
    for beat in (ssh(22, address="192.0.2.1"), rest(443, address="192.0.2.1")):
        assert (beat.heard, beat.detail) == (None, "network is unreachable")
    beat = ssh(22, address="no-such-machine.invalid")
    assert beat.heard is None
    assert "cannot be resolved" in beat.detail


def test_too_many_open_files_say_nothing_of_the_machine() -> None:
    async def look(port: int) -> Beat:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # The next descriptor would be the first that is too high.
        with socket.socket() as probe:
            lowest = probe.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            return await ssh_beat("127.0.0.1", port, PATIENT)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    with server(saying(b"SSH-2.0-x\r\n")) as port:
        beat = asyncio.run(look(port))
    assert (beat.heard, beat.detail) == (None, "too many open files")


@pytest.mark.parametrize("probe", [ssh_beat, rest_beat])
def test_a_process_that_was_held_up_takes_nobody_for_dead(probe: Callable[..., object]) -> None:
    async def look(port: int) -> Beat:
        looking = asyncio.ensure_future(probe("127.0.0.1", port, IMPATIENT))  # type: ignore[arg-type,var-annotated]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        time.sleep(IMPATIENT + 1.0)  # as if the machine had stood still
        beat = await looking
        assert isinstance(beat, Beat)
        return beat

    with server(saying(b"SSH-2.0-x\r\n", pause_seconds=0.1)) as port:
        assert asyncio.run(look(port)).heard is not False


def test_many_are_heard_at_once_and_nothing_stays_open() -> None:
    async def look(port: int) -> list[Beat]:
        return await asyncio.gather(*(ssh_beat("127.0.0.1", port, PATIENT) for _ in range(500)))

    before = open_files()
    with server(saying(b"SSH-2.0-x\r\n")) as port:
        beats = asyncio.run(look(port))
    assert all(beat.heard for beat in beats)
    deadline = time.monotonic() + 10  # for the server's own ends, each closed by a thread
    while open_files() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert open_files() <= before


def test_a_look_that_is_cancelled_leaves_nothing_open() -> None:
    async def look(port: int) -> None:
        tasks = [asyncio.create_task(probe("127.0.0.1", port, PATIENT)) for probe in (ssh_beat, rest_beat)]
        await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError)
            for end in await asyncio.gather(*tasks, return_exceptions=True)
        )

    before = open_files()
    with server(silence) as port:
        asyncio.run(look(port))
    # The server's side may take a moment to end, where the machine is busy.
    deadline = time.monotonic() + 10
    while open_files() > before + 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert open_files() <= before + 1
