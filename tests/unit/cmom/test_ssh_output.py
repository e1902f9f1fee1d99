"""Output of commands: kept within bounds, and read for sudo's refusals."""

from __future__ import annotations

import pytest

from cmom.clients.ssh_output import Tail, sudo_refusal
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
