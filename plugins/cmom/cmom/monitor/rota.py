"""When whom to listen to. Pure.

Every member has its own moment of the interval, so that they never come all at once.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


def phase_of(name: str) -> float:
    """Return a member's place in the interval, from 0 to 1: always the same, and even over many members."""
    return zlib.crc32(name.encode()) / 2**32


@dataclass(frozen=True)
class Turn(Generic[Key]):
    """Somebody's turn.

    Attributes:
        due: When it was to be, on the monotonic clock.
    """

    key: Key
    due: float


class Rota(Generic[Key]):
    """Who is to be listened to, and when next."""

    def __init__(self) -> None:
        self._intervals: dict[Key, tuple[float, int]] = {}
        self._turns: list[tuple[float, int, Key]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._intervals)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._intervals)

    def __contains__(self, key: object) -> bool:
        return key in self._intervals

    def put(self, key: Key, interval_seconds: float, phase: float, now: float) -> None:
        """Add somebody, or give him another interval.

        Args:
            key: Who.
            interval_seconds: Between two turns.
            phase: When in the interval; see `phase_of`.
            now: On the monotonic clock.
        """
        known = self._intervals.get(key)
        if known is not None and known[0] == interval_seconds:
            return
        self._schedule(key, interval_seconds, now + phase * interval_seconds)

    def remove(self, key: Key) -> None:
        """Take somebody out; fine when he is not in."""
        self._intervals.pop(key, None)

    def due(self, now: float) -> list[Turn[Key]]:
        """Return whose turn has come, and schedule the next one of each.

        What was missed (because this process stood still) is not made up for: one turn, and then in step
        again.
        """
        found = []
        while self._turns and self._turns[0][0] <= now:
            due, count, key = heapq.heappop(self._turns)
            interval, current = self._intervals.get(key, (0.0, -1))
            if count != current:
                continue  # of somebody who left, or has another interval now
            found.append(Turn(key, due))
            steps = max(1, int((now - due) // interval) + 1)
            self._schedule(key, interval, due + steps * interval)
        return found

    def next_due(self) -> float | None:
        """Return when the next turn is; None when there is nobody."""
        while self._turns:
            due, count, key = self._turns[0]
            if self._intervals.get(key, (0.0, -1))[1] == count:
                return due
            heapq.heappop(self._turns)
        return None

    def _schedule(self, key: Key, interval_seconds: float, due: float) -> None:
        self._count += 1
        self._intervals[key] = (interval_seconds, self._count)
        heapq.heappush(self._turns, (due, self._count, key))
