"""What counts as silence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmom.monitor.pulse import Pulse, Times

TIMES = Times(grace_seconds=0.0)


def listened(*looks: tuple[float, bool | None], times: Times = TIMES, since: float = 0.0) -> Pulse:
    pulse = Pulse(watched_since=since)
    for at, heard in looks:
        pulse = pulse.listen(heard, at, times, "detail")
    return pulse


def missed_from(start: float, end: float, step: float = 10.0) -> list[tuple[float, bool]]:
    found = []
    while start <= end:
        found.append((start, False))
        start += step
    return found


def test_silence_counts_from_the_first_missed_heartbeat() -> None:
    pulse = listened((0, True), *missed_from(10, 40))
    assert pulse.first_missed_at == 10
    assert pulse.silence(40, TIMES) == 30
    assert pulse.silence(47, TIMES) == 37
    assert pulse.misses == 4


def test_one_heartbeat_ends_the_silence() -> None:
    pulse = listened((0, True), *missed_from(10, 60), (70, True))
    assert not pulse.silent
    assert pulse.silence(75, TIMES) == 0
    assert pulse.misses == 0


def test_a_process_that_stood_still_counts_no_silence_that_nobody_listened_to() -> None:
    pulse = listened((0, True), (10, False), (610, False))
    assert pulse.silence(610, TIMES) == TIMES.longest_gap_seconds
    assert pulse.silence(1610, TIMES) == 2 * TIMES.longest_gap_seconds


def test_a_clock_that_goes_backwards_counts_no_silence() -> None:
    pulse = listened((100, True), (110, False), (50, False))
    assert pulse.silence(50, TIMES) == 0
    assert pulse.silence(20, TIMES) == 0


def test_time_in_which_this_machine_could_not_look_is_no_silence() -> None:
    pulse = listened((0, True), (10, False), (20, None), (30, None), (40, False), (50, False))
    assert pulse.silence(50, TIMES) == 10
    assert not pulse.blind
    assert pulse.misses == 3


def test_being_blind_is_known_since_its_first_look() -> None:
    pulse = listened((0, True), (10, None), (20, None))
    assert pulse.blind_for(45) == 35
    assert not pulse.silent
    assert listened((0, True), (10, None), (20, True)).blind_for(45) == 0


def test_a_member_that_was_never_heard_has_its_grace() -> None:
    times = replace(TIMES, grace_seconds=60)
    pulse = listened(*missed_from(1, 51), times=times)
    assert not pulse.silent
    pulse = listened(*missed_from(1, 71), times=times)
    assert pulse.first_missed_at == 61


def test_a_member_that_was_heard_has_no_grace_left() -> None:
    times = replace(TIMES, grace_seconds=60)
    assert listened((1, True), (11, False), times=times).first_missed_at == 11


def test_a_suspect_is_trusted_again_only_after_it_was_heard_for_long_enough() -> None:
    silent = [(0.0, True), *missed_from(10, 40)]
    assert listened(*silent).suspected
    assert listened(*silent, (50, True), (60, True), (70, True)).suspected
    assert not listened(*silent, (50, True), (60, True), (70, True), (80, True)).suspected


def test_who_became_suspect_between_two_looks_is_not_trusted_at_once_either() -> None:
    pulse = listened((0, True), *missed_from(10, 30))
    assert not pulse.suspected
    assert pulse.listen(True, 44, TIMES).suspected


def test_a_gap_in_looking_does_not_make_a_suspect_trusted() -> None:
    pulse = listened((0, True), *missed_from(10, 40), (50, True), (500, True))
    assert pulse.suspected


@pytest.mark.parametrize("period", [2, 3, 5])
def test_a_member_that_flaps_is_never_silent_for_long(period: int) -> None:
    pulse, longest = Pulse(0.0), 0.0
    for beat in range(500):
        pulse = pulse.listen(beat % period == 0, beat * 10.0, TIMES)
        longest = max(longest, pulse.silence(beat * 10.0, TIMES))
    assert longest < TIMES.failed_seconds


LOOKS = st.lists(st.tuples(st.floats(-1e4, 1e4), st.sampled_from([True, False, None])), max_size=40)


@given(LOOKS, st.floats(-1e5, 1e5))
def test_silence_is_never_negative_and_never_more_than_was_listened_to(
    looks: list[tuple[float, bool | None]], now: float
) -> None:
    pulse = listened(*looks)
    assert 0 <= pulse.silence(now, TIMES) <= (pulse.misses + 1) * TIMES.longest_gap_seconds


@given(LOOKS)
def test_a_heartbeat_always_ends_the_silence(looks: list[tuple[float, bool | None]]) -> None:
    pulse = listened(*looks, (0.0, True))
    assert (pulse.silent, pulse.misses, pulse.blind) == (False, 0, "")
