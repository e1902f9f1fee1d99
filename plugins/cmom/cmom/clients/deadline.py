"""A deadline that nothing in a piece of work can stretch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from cmom.errors import TryAgainLater

Outcome = TypeVar("Outcome")


def within(seconds: float, what: str, do: Callable[[], Outcome]) -> Outcome:
    """Run something, and wait for its end no longer than it may take.

    A socket's time-out starts anew with each byte, and name resolution has none at all; only waiting from
    outside bounds them. A thread that is given up must end by itself: its reads are bounded in bytes and
    time, too.

    Args:
        seconds: How long it may take.
        what: A phrase for the message: ``read the header of X``.
        do: What is run; what it returns is returned, what it raises is raised.

    Raises:
        TryAgainLater: It did not end in time.
    """
    outcomes: list[Outcome] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            outcomes.append(do())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="cmom-deadline", daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if errors:
        raise errors[0]
    if not outcomes:
        raise TryAgainLater(f"Could not {what} within {seconds:g} s.")
    return outcomes[0]
