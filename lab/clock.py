"""Time as the lab sees it, so that a test moves it and the demo lets it pass.

State machines of the lab store the moment at which they will flip and compare it with
`Clock.now()` when they are read; background work awaits `Clock.sleep()`. Nothing in the lab
reads `time` or sleeps on its own account.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

MANUAL_START_SECONDS = 1_600_000_000.0
"""Where a ManualClock begins unless told otherwise: 2020-09-13T12:26:40Z, a fixed date."""

_SETTLE_TURNS = 5


class Clock(Protocol):
    """What the lab needs of time."""

    def now(self) -> float:
        """Seconds since the epoch; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock's time (at once for zero or less)."""
        ...


class RealClock:
    """Time that passes by itself: wall clock at the start, monotonic from there on."""

    def __init__(self) -> None:
        self._offset_seconds = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch; a step of the system's clock does not show."""
        return self._offset_seconds + time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep for real."""
        await asyncio.sleep(max(0.0, seconds))


class ManualClock:
    """Time that stands still until somebody advances it.

    Use it from the thread of the event loop whose tasks sleep on it (LabThread sees to that).
    """

    def __init__(self, start_seconds: float = MANUAL_START_SECONDS) -> None:
        self._now = start_seconds
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        """Seconds since the epoch, as far as this clock has been advanced."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return once the clock has been advanced by `seconds` (at once for zero or less)."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._now + seconds, sleeper)
        self._sleepers.append(entry)
        try:
            await sleeper
        finally:
            if entry in self._sleepers:
                self._sleepers.remove(entry)

    def advance(self, seconds: float) -> None:
        """Move time forward in one step and wake every sleeper that is due.

        Woken tasks run when the event loop gets its turn; a task that sleeps in a loop is woken
        once, however long the step is. `advance_stepwise` gives each of its turns.
        """
        if seconds < 0:
            raise ValueError("a clock does not go back")
        self._now += seconds
        for deadline, sleeper in sorted(self._sleepers, key=lambda entry: entry[0]):
            if deadline <= self._now and not sleeper.done():
                sleeper.set_result(None)

    async def advance_stepwise(self, seconds: float) -> None:
        """Move time forward from one sleeper's deadline to the next, letting tasks run between.

        Args:
            seconds: how far in all.
        """
        end = self._now + seconds
        await self._settle()
        while True:
            due = [deadline for deadline, sleeper in self._sleepers if not sleeper.done()]
            following = min(due, default=end)
            if following >= end:
                break
            self.advance(max(0.0, following - self._now))
            await self._settle()
        self.advance(max(0.0, end - self._now))
        await self._settle()

    @property
    def sleepers(self) -> int:
        """How many tasks are asleep on this clock."""
        return sum(1 for _, sleeper in self._sleepers if not sleeper.done())

    @staticmethod
    async def _settle() -> None:
        # A woken task usually needs a few turns until it sleeps again.
        for _ in range(_SETTLE_TURNS):
            await asyncio.sleep(0)
