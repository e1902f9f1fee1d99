"""nginx's limit of requests, and what a version can do."""

from __future__ import annotations

import pytest

from lab.manager.generation import parse_version, traits_of
from lab.manager.limits import Bucket


def test_a_burst_passes_then_is_held_back_then_refused() -> None:
    bucket = Bucket(10.0, 30)
    answers = [bucket.take(0.0) for _ in range(33)]
    assert answers[:21] == [0.0] * 21
    assert answers[21:31] == pytest.approx([n / 10 for n in range(1, 11)])
    assert answers[31:] == [None, None]


def test_who_keeps_to_the_rate_is_never_held_back() -> None:
    bucket = Bucket(10.0, 30)
    assert {bucket.take(n * 0.1) for n in range(500)} == {0.0}


def test_the_bucket_empties_with_time() -> None:
    bucket = Bucket(10.0, 30)
    for _ in range(40):
        bucket.take(0.0)
    assert bucket.take(0.05) is None
    assert bucket.take(10.0) == 0.0


@pytest.mark.parametrize(
    ("text", "number"), [("4.6", (4, 6, 0)), ("4.5.5", (4, 5, 5)), ("7.0.5-ga", (7, 0, 5))]
)
def test_versions_are_read(text: str, number: tuple[int, int, int]) -> None:
    assert parse_version(text) == number


def test_versions_differ_in_what_they_can_do() -> None:
    old, late, modern = traits_of("4.3.0"), traits_of("4.6.0"), traits_of("7.0.5")
    assert (old.queue, old.dry_run, old.kill, old.page_size) == (False, False, False, None)
    assert (late.queue, late.dry_run, late.kill, late.page_size) == (True, True, True, 1000)
    assert (old.generation, late.generation, modern.generation) == (4, 4, 5)
    assert (late.requests_per_second, modern.requests_per_second) == (None, 10.0)
