"""What silence means: one word for a member, and why. No I/O, no clock.

A member is not dead because we do not hear it: our network may be what is broken. So silence alone never
makes it *failed*; the members that are left must list it offline as well. Without such a witness it is
*unknown*, and nothing is done to it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cmom.monitor.pulse import Pulse, Times


class State(str, enum.Enum):
    """How a member is.

    ABSENT: its deployment has not installed it (yet, or any more), so nobody listens. STARTING: not heard
        yet, and within its grace. HEALTHY: heard. SUSPECT: silent for a while, or heard again only since a
        moment ago. FAILED: silent for long, and its peers miss it too. UNKNOWN: silent for long, but nobody
        else misses it; or we cannot look.
    """

    ABSENT = "absent"
    STARTING = "starting"
    HEALTHY = "healthy"
    SUSPECT = "suspect"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Word(str, enum.Enum):
    """What the second witness says of a member."""

    OFFLINE = "offline"
    ONLINE = "online"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Witness:
    """The surviving members' word on a member.

    Attributes:
        said_at: When, on the monotonic clock.
        detail: For people: who says so, or why nobody does.
    """

    word: Word
    said_at: float
    detail: str

    def fresh(self, now: float, longest_seconds: float) -> bool:
        """Tell whether the word still counts."""
        return 0.0 <= now - self.said_at <= longest_seconds


@dataclass(frozen=True)
class Verdict:
    """A state, and why."""

    state: State
    reason: str = ""


def judge(
    pulse: Pulse | None,
    now: float,
    times: Times,
    witness: Witness | None = None,
    *,
    doubt: str = "",
    witness_seconds: float = 45.0,
) -> Verdict:
    """Say how a member is.

    Args:
        pulse: What was heard; None for one that is not to be listened to.
        now: On the monotonic clock.
        times: See `Times`.
        witness: What its peers said last; None when they were not asked.
        doubt: Why this machine itself is in doubt (`breaker`); empty when it is not.
        witness_seconds: For how long a witness's word counts.
    """
    if pulse is None:
        return Verdict(State.ABSENT)
    if pulse.blind and pulse.blind_for(now) >= times.suspect_seconds:
        return Verdict(State.UNKNOWN, f"This machine cannot look: {pulse.blind}.")
    if not pulse.silent:
        return _heard(pulse, times)
    silence = pulse.silence(now, times)
    told = f"Silent for {silence:.0f} s ({pulse.detail})."
    if silence < times.failed_seconds or not pulse.missed_enough(times):
        suspect = pulse.suspected or silence >= times.suspect_seconds
        return Verdict(State.SUSPECT if suspect else State.HEALTHY, told)
    if doubt:
        return Verdict(State.UNKNOWN, f"{told} {doubt}")
    if witness is None or not witness.fresh(now, witness_seconds):
        return Verdict(State.UNKNOWN, f"{told} No second witness was heard yet.")
    state = State.FAILED if witness.word is Word.OFFLINE else State.UNKNOWN
    return Verdict(state, f"{told} {witness.detail}")


def _heard(pulse: Pulse, times: Times) -> Verdict:
    if pulse.heard_at is None:
        return Verdict(
            State.STARTING, f"Not heard yet ({pulse.detail})." if pulse.detail else "Not heard yet."
        )
    if pulse.suspected:
        return Verdict(
            State.SUSPECT,
            f"Heard again since {pulse.beating_seconds:.0f} s; trusted after {times.recover_seconds:.0f} s.",
        )
    return Verdict(State.HEALTHY, "")
