"""How long a manager that restores may be in a state that is right for a while, and wrong in the long run."""

from __future__ import annotations

from dataclasses import dataclass

from cmom.clients.executions import Execution
from cmom.errors import AccessRefused, ActionRequired
from cmom.services.waiting import Clock

_MISSING_LOOKS = 3


class RestoreStuck(ActionRequired):
    """A restore does not begin, though nothing is in its way."""


@dataclass(frozen=True)
class RestoreTimes:
    """How long things may take.

    Attributes:
        poll_seconds: Between two looks.
        busy_seconds: To wait for other executions to end.
        restore_seconds: The restore itself.
        pending_seconds: Until one that does not begin counts as stuck.
        denied_seconds: How long it may refuse our credentials while its database is being replaced.
        steady_seconds: Until it answers well, three times in a row.
    """

    poll_seconds: float = 3.0
    busy_seconds: float = 900.0
    restore_seconds: float = 7200.0
    pending_seconds: float = 300.0
    denied_seconds: float = 120.0
    steady_seconds: float = 900.0


class RestorePatience:
    """Counts for how long.

    Args:
        clock: For that.
        times: The bounds.
    """

    def __init__(self, clock: Clock, times: RestoreTimes) -> None:
        self._clock = clock
        self._times = times
        self._denied_since: float | None = None
        self._pending_since: float | None = None
        self._missing = 0

    def saw(self, execution: Execution) -> None:
        """Take note of a restore as it is; one that stays pending is stuck."""
        self._denied_since, self._missing = None, 0
        if execution.status != "pending":
            self._pending_since = None
            return
        now = self._clock.monotonic()
        if self._pending_since is None:
            self._pending_since = now
        elif now - self._pending_since > self._times.pending_seconds:
            raise RestoreStuck(
                f"Execution {execution.id} has been pending for {self._times.pending_seconds:.0f} s; it is "
                "cancelled."
            )

    def denied(self, error: AccessRefused) -> None:
        """Take note of refused credentials; the users are in the database that is being replaced."""
        now = self._clock.monotonic()
        if self._denied_since is None:
            self._denied_since = now
        elif now - self._denied_since > self._times.denied_seconds:
            raise AccessRefused(
                f"{error} It has done so for {self._times.denied_seconds:.0f} s since the restore: has the "
                "snapshot "
                "brought another password with it?"
            ) from error

    def missing(self) -> bool:
        """Take note that the execution is not known any more; tell whether that is for good."""
        self._missing += 1
        return self._missing >= _MISSING_LOOKS
