"""What was heard of one member, heartbeat by heartbeat. No I/O, no clock.

Time is that of the monotonic clock, and only time in which somebody listened counts: when this process was
stopped, or its machine stood still, a gap of minutes between two looks is not minutes of silence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

# Between two looks no more silence counts than so many intervals, and what a look itself may take.
_GAP_INTERVALS = 2.0


@dataclass(frozen=True)
class Times:
    """When what is concluded.

    Attributes:
        interval_seconds: Between two heartbeats.
        suspect_seconds: After so much silence a member is suspect.
        failed_seconds: After so much it has failed, if a second witness says so too.
        recover_seconds: So long it must be heard without a gap until it is not suspect any more.
        grace_seconds: So long a member that was never heard is given to begin.
        least_misses: So many heartbeats in a row must be missed, however long that takes.
        timeout_seconds: So long one look listens.
    """

    interval_seconds: float = 10.0
    suspect_seconds: float = 30.0
    failed_seconds: float = 60.0
    recover_seconds: float = 30.0
    grace_seconds: float = 60.0
    least_misses: int = 3
    timeout_seconds: float = 5.0

    @property
    def longest_gap_seconds(self) -> float:
        """What counts at most of the time between two looks."""
        return self.interval_seconds * _GAP_INTERVALS + self.timeout_seconds


@dataclass(frozen=True)
class Pulse:
    """What is known of a member's heartbeats.

    Attributes:
        watched_since: When it was first looked at.
        looked_at: When it was last looked at with a result.
        heard_at: When it was last heard; None when never.
        beating_seconds: How long it has been heard without a gap.
        first_missed_at: When the first heartbeat of the present silence was due; None while it is heard.
        silent_seconds: How much of the present silence was listened to.
        misses: How many heartbeats in a row were missed.
        suspected: Whether it was suspect, and has not been heard for long enough since.
        blind: Why this machine could not look the last time; empty when it could.
        blind_since: Since when it cannot.
        detail: What came last, for people.
    """

    watched_since: float
    looked_at: float | None = None
    heard_at: float | None = None
    beating_seconds: float = 0.0
    first_missed_at: float | None = None
    silent_seconds: float = 0.0
    misses: int = 0
    suspected: bool = False
    blind: str = ""
    blind_since: float = 0.0
    detail: str = ""

    @property
    def silent(self) -> bool:
        """Whether the last heartbeat was missed."""
        return self.first_missed_at is not None

    def silence(self, now: float, times: Times) -> float:
        """Return for how many seconds it is silent; 0 while it is heard."""
        if self.first_missed_at is None:
            return 0.0
        return self.silent_seconds + self._gap(now, times)

    def blind_for(self, now: float) -> float:
        """Return for how many seconds this machine could not look; 0 when it can."""
        return max(0.0, now - self.blind_since) if self.blind else 0.0

    def missed_enough(self, times: Times) -> bool:
        """Tell whether so many heartbeats were missed that the silence is no coincidence."""
        return self.misses >= times.least_misses

    def listen(self, heard: bool | None, at: float, times: Times, detail: str = "") -> Pulse:
        """Return the pulse with one more look.

        Args:
            heard: Whether it was heard; None when this machine could not look, which says nothing of the
                member.
            at: When the heartbeat was due, on the monotonic clock.
            times: See `Times`.
            detail: What came, for people.
        """
        if heard is None:
            # Time in which nobody could look is no silence; the next look begins to count anew.
            since = self.blind_since if self.blind else at
            return replace(self, blind=detail or "nobody could look", blind_since=since, looked_at=at)
        if heard:
            return self._with_beat(at, times, detail)
        return self._with_miss(at, times, detail)

    def _with_beat(self, at: float, times: Times, detail: str) -> Pulse:
        beating = 0.0 if self.silent or self.heard_at is None else self.beating_seconds + self._gap(at, times)
        suspected = self.suspected or self.silence(at, times) >= times.suspect_seconds
        return replace(
            self,
            looked_at=at,
            heard_at=at,
            beating_seconds=beating,
            first_missed_at=None,
            silent_seconds=0.0,
            misses=0,
            suspected=suspected and beating < times.recover_seconds,
            blind="",
            detail=detail,
        )

    def _with_miss(self, at: float, times: Times, detail: str) -> Pulse:
        if self.heard_at is None and at - self.watched_since < times.grace_seconds:
            return replace(self, looked_at=at, blind="", detail=detail)
        silent = self.silent_seconds + self._gap(at, times) if self.silent else 0.0
        return replace(
            self,
            looked_at=at,
            beating_seconds=0.0,
            first_missed_at=at if self.first_missed_at is None else self.first_missed_at,
            silent_seconds=silent,
            misses=self.misses + 1,
            suspected=self.suspected or silent >= times.suspect_seconds,
            blind="",
            detail=detail,
        )

    def _gap(self, now: float, times: Times) -> float:
        """Return how much of the time since the last look counts; nothing when that look was blind."""
        if self.looked_at is None or self.blind:
            return 0.0
        return min(max(0.0, now - self.looked_at), times.longest_gap_seconds)
