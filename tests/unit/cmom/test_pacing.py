"""Asking no faster than a manager takes it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from cmom.clients.pacing import GENERATION_5_BURST, Pacer
from cmom.errors import ManagerBusy, ManagerUnreachable


class Time:
    """Time that passes by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Nginx:
    """What stands in front of generation 5: 10 a second, a burst of 30, of which 20 are not delayed."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self._excess = 0.0
        self._last = time.now
        self.refused = 0
        self.delayed = 0

    def request(self) -> None:
        now = self._time.now
        excess = max(0.0, self._excess - (now - self._last) * 10) + 1
        self._last = now
        if excess - 1 > 30:
            self.refused += 1
            raise ManagerBusy("503")
        self.delayed += excess - 1 > 20
        self._excess = excess


def test_a_thousand_requests_are_never_refused_and_lose_little_of_the_rate() -> None:
    time = Time()
    pacer = Pacer.for_generation(5, monotonic=time.monotonic, sleep=time.sleep)
    nginx = Nginx(time)
    for _ in range(1000):
        pacer.run(nginx.request)
    assert nginx.refused == 0
    assert nginx.delayed == 0
    assert time.now - 1000.0 < 1000 / 10 * 1.1


def test_the_first_go_at_once_and_so_do_those_after_a_rest() -> None:
    time = Time()
    pacer = Pacer.for_generation(5, monotonic=time.monotonic, sleep=time.sleep)
    for _ in range(GENERATION_5_BURST):
        pacer.run(lambda: None)
    assert time.now == 1000.0
    pacer.run(lambda: None)
    assert time.now > 1000.0
    time.now += 60
    began = time.now
    for _ in range(GENERATION_5_BURST):
        pacer.run(lambda: None)
    assert time.now == pytest.approx(began)


def test_generation_4_is_not_paced() -> None:
    time = Time()
    pacer = Pacer.for_generation(4, monotonic=time.monotonic, sleep=time.sleep)
    for _ in range(1000):
        pacer.run(lambda: None)
    assert time.now == 1000.0


@pytest.mark.parametrize("generation", [4, 5])
def test_a_busy_manager_is_asked_again_later(generation: int) -> None:
    time = Time()
    pacer = Pacer.for_generation(generation, monotonic=time.monotonic, sleep=time.sleep)
    answers = iter([*[ManagerBusy("503")] * 4, "done"])
    assert pacer.run(answering(answers)) == "done"
    assert 10.0 <= time.now - 1000.0 <= 20.0


def test_one_that_stays_busy_is_given_up() -> None:
    time = Time()
    pacer = Pacer(patience_seconds=30.0, monotonic=time.monotonic, sleep=time.sleep)
    with pytest.raises(ManagerBusy):
        pacer.run(answering(itertools.repeat(ManagerBusy("503"))))
    assert time.now - 1000.0 <= 30.0


def test_other_troubles_are_none_of_its_business() -> None:
    time = Time()
    with pytest.raises(ManagerUnreachable, match="refused"):
        Pacer(monotonic=time.monotonic, sleep=time.sleep).run(
            answering(iter([ManagerUnreachable("refused")]))
        )
    assert time.now == 1000.0


def answering(answers: Iterator[object]) -> Callable[[], object]:
    def send() -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return send
