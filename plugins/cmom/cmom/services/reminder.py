"""What is waited for, said when it changes and now and then, and not at every look."""

from __future__ import annotations

from collections.abc import Callable

from cmom.services.waiting import Clock

_AGAIN_SECONDS = 30.0


class Reminder:
    """Passes a line on when it is another than the last one, or that one was said a while ago.

    Args:
        say: Receives the lines.
        clock: For the while.
    """

    def __init__(self, say: Callable[[str], None], clock: Clock) -> None:
        self._say = say
        self._clock = clock
        self._last = ""
        self._said = 0.0

    def __call__(self, text: str) -> None:
        """Take note of what is waited for now; empty text says nothing."""
        now = self._clock.monotonic()
        if not text or (text == self._last and now - self._said < _AGAIN_SECONDS):
            return
        self._last, self._said = text, now
        self._say(text)
