"""The fleet-wide breaker: when much goes silent together, the watcher's own network is the suspect. Pure.

No other system has one, and each of them would, behind a broken switch of its own, begin to replace what is
alive. While it is open nothing is healed, and silent members count as unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class BreakerSettings:
    """When it opens.

    Attributes:
        share: Of all clusters, those that have to be silent; also of all members.
        least_clusters: And at least so many clusters: with fewer, each one's own witnesses have to do.
        reset_seconds: So long it stays open after the last reason for it.
    """

    share: float = 0.3
    least_clusters: int = 2
    reset_seconds: float = 60.0


@dataclass(frozen=True)
class Silence:
    """How much of one cluster is silent.

    Attributes:
        members: How many of its members are listened to.
        silent: How many of them are suspect or worse.
    """

    members: int
    silent: int

    @property
    def vanished(self) -> bool:
        """Whether nothing of it is heard."""
        return self.members > 0 and self.silent == self.members


@dataclass(frozen=True)
class Breaker:
    """Whether it is open.

    Attributes:
        reason: Why, for people; empty while it is closed.
        since: When it opened, on the monotonic clock.
        last_at: When there last was a reason for it.
    """

    reason: str = ""
    since: float = 0.0
    last_at: float = 0.0

    @property
    def open(self) -> bool:
        """Whether it holds all heals."""
        return bool(self.reason)

    def look(self, clusters: Iterable[Silence], now: float, settings: BreakerSettings) -> Breaker:
        """Return the breaker after one more look at the fleet."""
        reason = too_much(clusters, settings)
        if reason:
            return Breaker(reason, self.since if self.open else now, now)
        if self.open and now - self.last_at < settings.reset_seconds:
            return self
        return replace(self, reason="")


def too_much(clusters: Iterable[Silence], settings: BreakerSettings) -> str:
    """Say why so much silence is rather ours; empty when it is not.

    Two things count: clusters that vanished as a whole, and members that are silent in so many clusters at
    once that something they have in common must have failed.
    """
    watched = [one for one in clusters if one.members]
    vanished = sum(one.vanished for one in watched)
    touched = sum(one.silent > 0 for one in watched)
    members, silent = sum(one.members for one in watched), sum(one.silent for one in watched)
    if vanished >= settings.least_clusters and vanished >= settings.share * len(watched):
        return (
            f"{vanished} of {len(watched)} clusters vanished together: the network of this machine is the "
            "suspect, and nothing is healed."
        )
    if touched > settings.least_clusters and silent >= settings.share * members:
        return (
            f"{silent} of {members} members, in {touched} clusters, went silent together: what they have in "
            "common is the suspect, perhaps the network of this machine, and nothing is healed."
        )
    return ""
