"""Output of commands: kept within bounds, and read for sudo's refusals."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from cmom.clients.ssh_output import Tail, collect, sudo_refusal
from cmom.commands import Result, command


def test_short_output_is_kept_whole():
    tail = Tail(100)
    tail.add(b"one\n")
    tail.add(b"two\n")
    assert tail.text() == "one\ntwo\n"


def test_of_long_output_the_end_is_kept_from_the_beginning_of_a_line():
    tail = Tail(10)
    for number in range(100):
        tail.add(f"line {number}\n".encode())
    assert tail.text() == "[the first 780 bytes or more are left out]\nline 99\n"


def test_half_a_secret_at_the_cut_is_left_out():
    tail = Tail(20, unsafe_characters=8)
    tail.add(b"x" * 50 + b"password" + b"y" * 16)
    assert "word" not in tail.text()
    assert tail.text().endswith("y" * 12)


def test_bytes_that_are_no_text_do_not_stop_anything():
    tail = Tail(100)
    tail.add(b"\xff\xfe ok")
    assert tail.text().endswith(" ok")


def result(exit_code, stderr):
    return Result(command("true", sudo=True), exit_code, "", stderr)


@pytest.mark.parametrize(
    "line",
    [
        "sudo: a password is required",
        "sudo: sorry, you must have a tty to run sudo",
        "bash: sudo: command not found",
        "sudo: a terminal is required to read the password",
    ],
)
def test_a_refusal_of_sudo_is_recognised(line):
    assert sudo_refusal(result(1, f"warning\n{line}\n")) == line


@pytest.mark.parametrize(
    ("exit_code", "stderr"),
    [(1, "test: x: binary operator expected"), (0, "sudo: a password is required"), (1, "")],
)
def test_other_failures_are_not_taken_for_a_refusal(exit_code, stderr):
    assert sudo_refusal(result(exit_code, stderr)) is None


class Arriving:
    """A channel on which things arrive at chosen moments: when somebody looks whether the command has ended.

    Args:
        looks: What arrives with each look; the last of them has ended the command.
        later: What arrives this many seconds after the end was seen, as a server may send it.
    """

    def __init__(self, *looks: bytes, later: tuple[float, bytes] | None = None) -> None:
        self._reading, self._writing = os.pipe()
        self._looks = list(looks)
        self._later = later
        self._buffered = b""
        self.eof_received = self.closed = False

    def fileno(self) -> int:
        return self._reading

    def exit_status_ready(self) -> bool:
        if self._looks:
            self._arrive(self._looks.pop(0))
        if not self._looks and self._later is not None:
            (seconds, data), self._later = self._later, None
            threading.Timer(seconds, self._arrive, [data]).start()
        return not self._looks

    def _arrive(self, data: bytes) -> None:
        self._buffered += data
        if data:
            os.write(self._writing, b"*")

    def recv_ready(self) -> bool:
        return bool(self._buffered)

    def recv(self, _size: int) -> bytes:
        # As paramiko does, the pipe is emptied with the buffer.
        os.read(self._reading, 100)
        data, self._buffered = self._buffered, b""
        return data

    def recv_stderr_ready(self) -> bool:
        return False

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)


@pytest.mark.parametrize(
    "channel",
    [
        pytest.param(lambda: Arriving(b"all of it"), id="with the end"),
        pytest.param(lambda: Arriving(b"", b"", b"all of it"), id="with the end, after long silence"),
        pytest.param(lambda: Arriving(b"all ", b"of it"), id="before and with the end"),
        pytest.param(lambda: Arriving(b"all ", b"", later=(0.3, b"of it")), id="after the end"),
    ],
)
def test_what_comes_at_the_last_moment_is_not_lost(channel: Callable[[], Arriving]) -> None:
    """A command's output may come while it is being looked whether the command has ended, or right after."""
    arriving = channel()
    out, err = collect(arriving, 0)  # type: ignore[arg-type]
    arriving.close()

    assert (out, err) == ("all of it", "")
