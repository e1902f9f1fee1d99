"""How a member is: the whole table."""

from __future__ import annotations

import itertools

import pytest

from cmom.monitor.pulse import Pulse, Times
from cmom.monitor.verdict import State, Witness, Word, judge

TIMES = Times(grace_seconds=0.0)
NOW = 1000.0


def silent_for(seconds: float, *, misses: int | None = None, suspected: bool = False) -> Pulse:
    return Pulse(
        watched_since=0.0,
        looked_at=NOW,
        heard_at=NOW - seconds - 10,
        first_missed_at=NOW - seconds,
        silent_seconds=seconds,
        misses=1 + int(seconds // 10) if misses is None else misses,
        suspected=suspected,
        detail="connection refused",
    )


def witness(word: Word, age: float = 5.0) -> Witness:
    return Witness(word, NOW - age, f"They say {word.value}.")


WITNESSES = {
    "offline": witness(Word.OFFLINE),
    "online": witness(Word.ONLINE),
    "nothing": witness(Word.NOTHING),
    "offline, long ago": witness(Word.OFFLINE, age=46.0),
    "offline, in the future": witness(Word.OFFLINE, age=-5.0),
    "not asked": None,
}
SILENCES = (0.0, 29.9, 30.0, 59.9, 60.0, 3600.0)


@pytest.mark.parametrize(
    ("silence", "name", "doubt"), list(itertools.product(SILENCES, WITNESSES, ["", "The breaker is open."]))
)
def test_only_a_long_silence_with_a_fresh_second_witness_is_a_failure(
    silence: float, name: str, doubt: str
) -> None:
    state = judge(silent_for(silence), NOW, TIMES, WITNESSES[name], doubt=doubt).state
    if silence < 30:
        expected = State.HEALTHY
    elif silence < 60:
        expected = State.SUSPECT
    elif name == "offline" and not doubt:
        expected = State.FAILED
    else:
        expected = State.UNKNOWN
    assert state is expected


@pytest.mark.parametrize("name", WITNESSES)
@pytest.mark.parametrize("misses", [1, 2])
def test_a_few_missed_heartbeats_are_no_failure_however_long_they_took(misses: int, name: str) -> None:
    assert judge(silent_for(90, misses=misses), NOW, TIMES, WITNESSES[name]).state is State.SUSPECT


@pytest.mark.parametrize("name", WITNESSES)
def test_who_is_heard_is_never_failed_whatever_its_peers_say(name: str) -> None:
    pulse = Pulse(watched_since=0.0, looked_at=NOW, heard_at=NOW, beating_seconds=100.0)
    assert judge(pulse, NOW, TIMES, WITNESSES[name]).state is State.HEALTHY


def test_who_was_suspect_stays_so_until_it_was_heard_for_long_enough() -> None:
    pulse = Pulse(watched_since=0.0, looked_at=NOW, heard_at=NOW, beating_seconds=10.0, suspected=True)
    verdict = judge(pulse, NOW, TIMES)
    assert verdict.state is State.SUSPECT
    assert "Heard again since 10 s" in verdict.reason


def test_a_former_suspect_that_is_silent_again_is_still_suspect() -> None:
    assert judge(silent_for(5, suspected=True), NOW, TIMES).state is State.SUSPECT


def test_who_is_not_listened_to_is_absent() -> None:
    assert judge(None, NOW, TIMES, WITNESSES["offline"]).state is State.ABSENT


def test_who_was_never_heard_and_has_its_grace_is_starting() -> None:
    verdict = judge(Pulse(watched_since=NOW - 5, looked_at=NOW, detail="connection refused"), NOW, TIMES)
    assert verdict.state is State.STARTING
    assert "connection refused" in verdict.reason


@pytest.mark.parametrize("silence", SILENCES)
def test_when_this_machine_cannot_look_for_long_nothing_is_known(silence: float) -> None:
    pulse = silent_for(silence).listen(None, NOW, TIMES, "too many open files")
    verdict = judge(pulse, NOW + 30, TIMES, WITNESSES["offline"])
    assert verdict.state is State.UNKNOWN
    assert "too many open files" in verdict.reason


def test_one_look_that_failed_here_changes_nothing() -> None:
    pulse = Pulse(watched_since=0.0, looked_at=NOW - 10, heard_at=NOW - 10).listen(
        None, NOW, TIMES, "held up"
    )
    assert judge(pulse, NOW + 5, TIMES).state is State.HEALTHY


def test_the_reason_tells_how_long_what_came_and_what_the_witness_says() -> None:
    reason = judge(silent_for(61), NOW, TIMES, WITNESSES["offline"]).reason
    assert reason == "Silent for 61 s (connection refused). They say offline."
