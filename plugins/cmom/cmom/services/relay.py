"""Work in several threads whose log lines come out of one.

Cloudify's logger needs the context of the operation, which belongs to the thread that runs it; on a manager a
line that is logged in another thread is lost with an error. So other threads hand their lines over.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Outcome = TypeVar("Outcome")

_LOOK_SECONDS = 0.2


class Relay(logging.Logger):
    """A logger for all threads that passes what it is given to another one in the thread it was made in.

    Args:
        target: Gets the lines.
    """

    def __init__(self, target: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> None:
        super().__init__("cmom.relay", logging.DEBUG)
        self._target = target
        self._owner = threading.get_ident()
        self._waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()

    def handle(self, record: logging.LogRecord) -> None:
        """Pass a line on, or keep it for the thread that may."""
        if threading.get_ident() == self._owner:
            self.pass_on()
            self._pass(record)
        else:
            self._waiting.put(record)

    def pass_on(self) -> None:
        """Pass on what other threads have said."""
        while True:
            try:
                record = self._waiting.get_nowait()
            except queue.Empty:
                return
            self._pass(record)

    def _pass(self, record: logging.LogRecord) -> None:
        self._target.log(record.levelno, "%s", record.getMessage(), exc_info=record.exc_info)

    def run(self, tasks: Sequence[Callable[[], Outcome]], *, workers: int) -> Iterator[tuple[int, Outcome]]:
        """Run tasks side by side and yield each one's number and outcome as it ends; lines are passed on.

        Args:
            tasks: What to do; a task that raises ends all of it.
            workers: How many at the same time.
        """
        if not tasks:
            return
        with ThreadPoolExecutor(max_workers=min(workers, len(tasks)), thread_name_prefix="cmom") as pool:
            numbers: dict[Future[Outcome], int] = {
                pool.submit(task): number for number, task in enumerate(tasks)
            }
            waiting = set(numbers)
            try:
                while waiting:
                    done, waiting = wait(waiting, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
                    self.pass_on()
                    for future in done:
                        yield numbers[future], future.result()
            finally:
                for future in waiting:
                    future.cancel()
        self.pass_on()
