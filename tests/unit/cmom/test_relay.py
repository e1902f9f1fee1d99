"""Log lines of many threads come out of one."""

from __future__ import annotations

import logging
import threading

import pytest

from cmom.services.relay import Relay


class Lines(logging.Handler):
    """Keeps lines, and the thread that they were logged in."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, int]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append((record.getMessage(), threading.get_ident()))


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def relay(lines: Lines) -> Relay:
    logger = logging.Logger("test", logging.DEBUG)
    logger.addHandler(lines)
    return Relay(logger)


def test_lines_of_other_threads_are_passed_on_in_the_one_it_was_made_in(relay: Relay, lines: Lines) -> None:
    def task(number: int) -> int:
        relay.info("task %d, 100 %% of it", number)
        return number * 10

    outcomes = dict(relay.run([lambda n=n: task(n) for n in range(20)], workers=4))  # type: ignore[misc]
    assert outcomes == {n: n * 10 for n in range(20)}
    assert sorted(line for line, _ in lines.seen) == sorted(f"task {n}, 100 % of it" for n in range(20))
    assert {thread for _, thread in lines.seen} == {threading.get_ident()}


def test_lines_come_before_the_outcome_they_led_to(relay: Relay, lines: Lines) -> None:
    def task() -> None:
        relay.warning("about to end")

    for _ in relay.run([task], workers=1):
        assert lines.seen[-1][0] == "about to end"


def test_no_more_tasks_run_at_once_than_there_are_workers(relay: Relay) -> None:
    lock = threading.Lock()
    running = most = 0
    gate = threading.Barrier(3)

    def task() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(30)
        with lock:
            running -= 1

    list(relay.run([task] * 9, workers=3))
    assert most == 3


def test_an_error_of_a_task_ends_it_and_nothing_further_is_begun(relay: Relay) -> None:
    begun: list[int] = []

    def task(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        list(relay.run([lambda n=n: task(n) for n in range(5)], workers=1))  # type: ignore[misc]
    assert 0 in begun


def test_nothing_to_do_is_done_at_once(relay: Relay) -> None:
    assert list(relay.run([], workers=8)) == []
