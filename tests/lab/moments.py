"""What happens at a moment of a workflow inside the test: when a line is logged, before it goes on."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Moments:
    """Stands in for the standard output, onto which the engine writes in the thread that logs."""

    stream: Any
    lines: list[str] = field(default_factory=list)
    _awaited: list[tuple[str, Callable[[], object]]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def at(self, pattern: str, action: Callable[[], object]) -> None:
        """Do something once, at the next line that a pattern is found in."""
        self._awaited.append((pattern, action))

    def write(self, text: str) -> int:
        """Take a line."""
        with self._lock:
            self.lines.append(text)
            due = [one for one in self._awaited if re.search(one[0], text)]
            for one in due:
                self._awaited.remove(one)
        for _, action in due:
            action()
        return int(self.stream.write(text))

    def flush(self) -> None:
        """Pass it on."""
        self.stream.flush()

    @property
    def text(self) -> str:
        """All that was written."""
        return "".join(self.lines)

    def assert_all_came(self) -> None:
        """Assert that nothing is awaited any more."""
        assert self._awaited == [], [pattern for pattern, _ in self._awaited]


@contextmanager
def moments() -> Iterator[Moments]:
    """Listen to what the engine writes."""
    before = sys.stdout
    listening = Moments(before)
    sys.stdout = listening  # type: ignore[assignment]
    try:
        yield listening
    finally:
        sys.stdout = before
