"""What happened when, in one file: faults, what the lab saw, what the monitor said, what was run."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

_KEPT = 20_000
_SAID = ("fault", "soak")


class Timeline:
    """Lines with their time since the beginning. All threads write to it.

    Args:
        path: The file.
        say: Prints what faults come and go, and when all are whole; None prints nothing.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        path: Path,
        say: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._say = say
        self._clock = clock
        self._began = clock()
        self._lines: deque[tuple[float, str]] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._file = path.open("w", encoding="utf-8", buffering=1)

    def now(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    def note(self, who: str, what: str) -> None:
        """Write a line."""
        with self._lock:
            at = self.now()
            line = f"{at:8.1f}  {who:<9} {what}"
            self._lines.append((at, line))
            if not self._file.closed:
                self._file.write(line + "\n")
        if self._say is not None and who in _SAID:
            self._say(line)

    def around(self, at: float, before_seconds: float = 60.0, after_seconds: float = 10.0) -> list[str]:
        """Return what happened around a moment."""
        with self._lock:
            return [line for when, line in self._lines if at - before_seconds <= when <= at + after_seconds]

    def close(self) -> None:
        """Write no more to the file."""
        with self._lock:
            self._file.close()
