"""Threads that do the asking, so that one question without an answer holds up none of the others."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

Job = Callable[[], Any]


class Pool(Protocol):
    """Something that does jobs."""

    def submit(self, name: str, job: Job) -> None:
        """Have a job done."""

    def collect(self, wait_seconds: float) -> list[tuple[str, Any]]:
        """Return what jobs gave or raised, each with its name; wait that long at most if there is nothing."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""

    def close(self) -> None:
        """Take no more."""


class ThreadPool:
    """Jobs in some threads.

    The threads are daemons: one that waits for an answer that never comes keeps neither us nor the process.

    Args:
        threads: How many jobs are done at the same time.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._idle = threading.Semaphore(0)
        self._count = 0
        self._jobs: queue.SimpleQueue[tuple[str, Job] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def submit(self, name: str, job: Job) -> None:
        """See `Pool.submit`."""
        if not self._idle.acquire(blocking=False) and self._count < self._threads:
            self._count += 1
            threading.Thread(target=self._work, name=f"meta {self._count}", daemon=True).start()
        self._jobs.put((name, job))

    def collect(self, wait_seconds: float) -> list[tuple[str, Any]]:
        """See `Pool.collect`."""
        found = []
        try:
            found.append(self._done.get(timeout=max(0.0, wait_seconds)))
            while True:
                found.append(self._done.get_nowait())
        except queue.Empty:
            return found

    def monotonic(self) -> float:
        """See `Pool.monotonic`."""
        return time.monotonic()

    def close(self) -> None:
        """See `Pool.close`."""
        for _ in range(self._count):
            self._jobs.put(None)

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            name, job = item
            try:
                outcome: Any = job()
            except Exception as error:
                outcome = error
            self._done.put((name, outcome))
            self._idle.release()
