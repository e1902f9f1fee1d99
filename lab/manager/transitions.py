"""What happens later: changes that are due at a time and take place when somebody looks.

The manager does nothing in the background. Whoever asks it something settles first what was due
until then, in the order of the times; so a clock moved by hand gives the same history as a real
one, and a test never has to wait for a task to be scheduled.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone


@dataclass(order=True)
class Appointment:
    """A change that is due; `cancel` makes it void."""

    due: float
    order: int
    change: Callable[[float], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """Make sure that the change does not happen any more."""
        self.cancelled = True


class Schedule:
    """The changes that are still to come, of one manager's database."""

    def __init__(self) -> None:
        self._heap: list[Appointment] = []
        self._order = itertools.count()

    def at(self, due: float, change: Callable[[float], None]) -> Appointment:
        """Let `change(due)` happen when the clock has reached `due` seconds."""
        appointment = Appointment(due, next(self._order), change)
        heapq.heappush(self._heap, appointment)
        return appointment

    def settle(self, now: float) -> None:
        """Do everything that was due until `now`, each change with the time it was due at.

        A change may make new appointments; those that are due as well happen in the same call.
        """
        while self._heap and self._heap[0].due <= now:
            appointment = heapq.heappop(self._heap)
            if not appointment.cancelled:
                appointment.change(appointment.due)

    def clear(self) -> None:
        """Forget everything that is still to come."""
        self._heap.clear()


def timestamp(seconds: float | None) -> str | None:
    """A time as the manager writes it, e.g. `2019-03-07T11:12:13.456Z`; None stays None."""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, tz=timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
