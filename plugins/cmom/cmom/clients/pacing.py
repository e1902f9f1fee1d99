"""Asking no faster than a manager takes it.

nginx in front of generation 5 limits each client address to 10 requests a second, with a burst of 30 of which
the first 20 pass at once; beyond that it answers 503. A client that goes in parallel must hold itself back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from cmom.errors import ManagerBusy

Answer = TypeVar("Answer")

GENERATION_5_PER_SECOND = 9.5
GENERATION_5_BURST = 18
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 10.0


class Pacer:
    """Lets requests through at a rate, a first few at once; for all threads that ask one manager.

    Others may ask the same manager from the same address (a monitor, another operation), so a 503 must be
    expected all the same: then everybody here waits a while, and the request is sent again.

    Args:
        per_second: The rate; None for no limit.
        burst: How many may go at once.
        patience_seconds: For how long a manager that is busy is asked again.
        monotonic: For tests.
        sleep: For tests.
    """

    def __init__(
        self,
        per_second: float | None = None,
        burst: int = 1,
        *,
        patience_seconds: float = 120.0,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._patience_seconds = patience_seconds
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        # When the bucket would be empty: a request moves it on by its share of a second.
        self._next = monotonic() - (burst - 1) / (per_second or 1.0)

    @classmethod
    def for_generation(
        cls,
        generation: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Pacer:
        """Return the pacer that a generation's REST service asks for."""
        if generation >= 5:
            return cls(GENERATION_5_PER_SECOND, GENERATION_5_BURST, monotonic=monotonic, sleep=sleep)
        return cls(monotonic=monotonic, sleep=sleep)

    def run(self, send: Callable[[], Answer]) -> Answer:
        """Send a request when its turn has come, and again when the manager was busy.

        Raises:
            ManagerBusy: It was, until the patience ended.
        """
        pause = _FIRST_PAUSE_SECONDS
        deadline = self._monotonic() + self._patience_seconds
        while True:
            self._wait()
            try:
                return send()
            except ManagerBusy:
                if self._monotonic() + pause > deadline:
                    raise
                self._hold_back(pause)
                self._sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _wait(self) -> None:
        if self._per_second is None:
            return
        with self._lock:
            now = self._monotonic()
            self._next = max(self._next, now - (self._burst - 1) / self._per_second)
            turn = self._next
            self._next += 1.0 / self._per_second
        if turn > now:
            self._sleep(turn - now)

    def _hold_back(self, seconds: float) -> None:
        """Give nobody a turn for a while, and no burst after it."""
        if self._per_second is None:
            return
        with self._lock:
            self._next = max(self._next, self._monotonic() + seconds)
