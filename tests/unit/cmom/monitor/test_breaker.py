"""When much goes silent together."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from cmom.monitor.breaker import Breaker, BreakerSettings, Silence, too_much

SETTINGS = BreakerSettings(share=0.3, least_clusters=2, reset_seconds=60.0)
WHOLE, ONE_GONE, GONE, EMPTY = Silence(3, 0), Silence(3, 1), Silence(3, 3), Silence(0, 0)


class Case(NamedTuple):
    name: str
    clusters: list[Silence]
    opens: bool


CASES = [
    Case("nothing is watched", [], False),
    Case("nothing is installed", [EMPTY] * 5, False),
    Case("all is well", [WHOLE] * 10, False),
    Case("one member of one cluster", [ONE_GONE, *[WHOLE] * 9], False),
    Case("the only cluster, which has no witness left", [GONE], False),
    Case("one of two clusters", [GONE, WHOLE], False),
    Case("both of two clusters", [GONE, GONE], True),
    Case("one of ten clusters", [GONE, *[WHOLE] * 9], False),
    Case("two of ten clusters", [GONE] * 2 + [WHOLE] * 8, False),
    Case("three of ten clusters", [GONE] * 3 + [WHOLE] * 7, True),
    Case("all", [GONE] * 10, True),
    Case("a member of each of two clusters", [ONE_GONE] * 2, False),
    Case("a member of each of three clusters", [ONE_GONE] * 3, True),
    Case("a member of each of two of ten clusters", [ONE_GONE] * 2 + [WHOLE] * 8, False),
    Case("two members of each of five of ten clusters", [Silence(3, 2)] * 5 + [WHOLE] * 5, True),
    Case("those that are not installed do not count", [GONE, GONE, *[EMPTY] * 50], True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_opens_when_more_goes_silent_than_dies_by_chance(case: Case) -> None:
    breaker = Breaker().look(case.clusters, 10.0, SETTINGS)
    assert breaker.open is case.opens
    assert bool(too_much(case.clusters, SETTINGS)) is case.opens


def test_its_reason_says_what_is_suspected() -> None:
    assert "3 of 10 clusters vanished together: the network of this machine is the suspect" in too_much(
        [GONE] * 3 + [WHOLE] * 7, SETTINGS
    )
    assert "3 of 9 members, in 3 clusters, went silent together" in too_much([ONE_GONE] * 3, SETTINGS)


def test_it_stays_open_for_a_while_after_the_last_reason() -> None:
    breaker = Breaker().look([GONE, GONE], 10.0, SETTINGS).look([GONE, GONE], 50.0, SETTINGS)
    assert (breaker.since, breaker.last_at) == (10.0, 50.0)
    breaker = breaker.look([WHOLE, WHOLE], 109.0, SETTINGS)
    assert breaker.open
    assert not breaker.look([WHOLE, WHOLE], 110.0, SETTINGS).open


def test_it_opens_again_after_it_was_closed() -> None:
    closed = Breaker().look([GONE, GONE], 10.0, SETTINGS).look([WHOLE, WHOLE], 100.0, SETTINGS)
    again = closed.look([GONE, GONE], 200.0, SETTINGS)
    assert (again.open, again.since) == (True, 200.0)
