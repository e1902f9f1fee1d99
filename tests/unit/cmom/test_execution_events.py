"""Events are passed on once each, also those that are stored late."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

import pytest

from cmom.clients.executions import Event
from cmom.services.execution_events import EventStream
from cmom.services.execution_request import ExecutionRequest

REQUEST = ExecutionRequest("shop", "install", "blue")


class Wire:
    """A manager's events, as its REST service pages through them."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def call(self, function: Callable[[Any], Any], doing: str, *, wait_seconds: float) -> Any:
        return function(self)

    def list_events(
        self, tenant: str, execution_id: str, *, offset: int, size: int, include_logs: bool
    ) -> tuple[Event, ...]:
        assert (tenant, execution_id, include_logs) == ("blue", "execution", True)
        return tuple(sorted(self.events, key=lambda event: event.timestamp)[offset : offset + size])


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.levels: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.levels.append(record.levelno)


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def stream(wire: Wire, lines: Lines) -> EventStream:
    logger = logging.Logger("test", logging.DEBUG)
    logger.addHandler(lines)
    return EventStream(wire, REQUEST, "execution", logger)  # type: ignore[arg-type]


def event(number: int, text: str = "", **more: str) -> Event:
    return Event(f"2024-01-01T00:{number // 60:02d}:{number % 60:02d}Z", text or f"event {number}", **more)


def test_each_event_is_passed_on_once(wire: Wire, stream: EventStream, lines: Lines) -> None:
    for number in range(1000):
        wire.events.append(event(number))
        if number % 7 == 0:
            stream.pass_on(1.0)
    stream.pass_on(1.0)
    stream.pass_on(1.0)
    assert [line.rpartition("] ")[2] for line in lines.lines] == [f"event {n}" for n in range(1000)]


def test_one_that_is_stored_late_is_not_lost_and_costs_no_other(
    wire: Wire, stream: EventStream, lines: Lines
) -> None:
    numbers = list(range(400))
    disorder = random.Random(7)  # events of several agents arrive a little out of order
    numbers.sort(key=lambda number: number + disorder.uniform(0, 20))
    for count, number in enumerate(numbers):
        wire.events.append(event(number))
        if count % 5 == 0:
            stream.pass_on(1.0)
    stream.pass_on(1.0)
    assert sorted(line.rpartition("] ")[2] for line in lines.lines) == sorted(
        f"event {n}" for n in range(400)
    )


def test_two_that_are_alike_are_two(wire: Wire, stream: EventStream, lines: Lines) -> None:
    wire.events += [event(1, "again"), event(1, "again")]
    stream.pass_on(1.0)
    stream.pass_on(1.0)
    assert len(lines.lines) == 2


def test_a_line_says_where_it_comes_from_and_keeps_its_level(
    wire: Wire, stream: EventStream, lines: Lines
) -> None:
    wire.events = [
        event(1, "begins"),
        event(2, "made", node_instance_id="host_1", operation="cloudify.interfaces.lifecycle.create"),
        event(3, "slow", level="warning", node_instance_id="host_1"),
    ]
    stream.pass_on(1.0)
    assert lines.lines == [
        "Tier 1 [install] begins",
        "Tier 1 [host_1.create] made",
        "Tier 1 [host_1] slow",
    ]
    assert lines.levels == [logging.INFO, logging.INFO, logging.WARNING]
