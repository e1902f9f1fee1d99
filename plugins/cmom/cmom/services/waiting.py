"""The one waiter: poll until something is true, with a deadline, progress and an injectable clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

import tenacity

from cmom.errors import DeadlinePassed, TryAgainLater

Found = TypeVar("Found")


class Clock(Protocol):
    """Time as the services see it; tests give one that does not really wait."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class _Unfinished(Exception):  # noqa: N818 - a signal, not an error
    """Raised inside the waiter for "not yet"."""


def wait_for(
    probe: Callable[[], Found | None],
    what: str,
    *,
    wait_seconds: float,
    interval_seconds: float = 3.0,
    clock: Clock | None = None,
    on_wait: Callable[[float, str], None] | None = None,
) -> Found:
    """Call `probe` until it returns something other than None (or False).

    A `TryAgainLater` from the probe counts as "not yet"; any other error ends the wait at once.

    Args:
        probe: Looks once; must have a deadline of its own.
        what: What is waited for, in the words of the message: ``SSH of 10.0.0.21 to answer``.
        wait_seconds: The deadline.
        interval_seconds: The pause between two looks.
        clock: For tests.
        on_wait: Called before each pause with the seconds waited so far and what the last look said.

    Returns:
        What the probe found.

    Raises:
        DeadlinePassed: It did not come true in time; the last reason is in the message and in ``__cause__``.
    """
    clock = clock or SystemClock()
    began = clock.monotonic()
    last: list[TryAgainLater | None] = [None]

    def look() -> Found:
        try:
            found = probe()
        except TryAgainLater as error:
            last[0] = error
            raise _Unfinished from error
        if found is None or found is False:
            raise _Unfinished
        return found

    def elapsed() -> float:
        return clock.monotonic() - began

    def tell(state: tenacity.RetryCallState) -> None:
        if on_wait is not None:
            on_wait(elapsed(), str(last[0]) if last[0] else "")

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_Unfinished),
        stop=lambda state: elapsed() + interval_seconds > wait_seconds,
        wait=tenacity.wait_fixed(interval_seconds),
        sleep=clock.sleep,
        before_sleep=tell,
        reraise=True,
    )
    try:
        return retrying(look)
    except _Unfinished:
        said = f" The last answer: {last[0]}" if last[0] else ""
        raise DeadlinePassed(f"Waited {elapsed():.0f} s for {what}, in vain.{said}") from last[0]
