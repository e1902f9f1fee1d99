"""Asking several at once."""

from __future__ import annotations

import threading

import pytest

from cmom.services.parallel import ask_in_parallel


def test_all_answers_and_errors_come_back_by_name() -> None:
    def fail() -> int:
        raise ValueError("no")

    answers = ask_in_parallel({"a": lambda: 1, "b": fail}, wait_seconds=30)
    assert answers["a"] == 1
    assert isinstance(answers["b"], ValueError)


def test_who_is_too_slow_is_left_out() -> None:
    never = threading.Event()
    try:
        answers = ask_in_parallel({"a": lambda: 1, "b": lambda: int(never.wait(60))}, wait_seconds=0.3)
    finally:
        never.set()
    assert answers == {"a": 1}


def test_one_answer_that_is_enough_ends_the_wait() -> None:
    never = threading.Event()
    try:
        answers = ask_in_parallel(
            {"slow": lambda: int(never.wait(60)), "good": lambda: 7}, wait_seconds=60, enough=lambda n: n == 7
        )
    finally:
        never.set()
    assert answers == {"good": 7}


def test_when_the_first_is_enough_nobody_else_is_asked() -> None:
    asked: list[str] = []

    def note(name: str) -> int:
        asked.append(name)
        return 1

    answers = ask_in_parallel(
        {"a": lambda: note("a"), "b": lambda: note("b")},
        wait_seconds=60,
        enough=lambda n: n == 1,
        first="b",
        head_start_seconds=60,
    )
    assert (answers, asked) == ({"b": 1}, ["b"])


@pytest.mark.parametrize("first", [None, "nobody"])
def test_nothing_asked_is_nothing_answered(first: str | None) -> None:
    assert ask_in_parallel({}, wait_seconds=60, first=first) == {}
