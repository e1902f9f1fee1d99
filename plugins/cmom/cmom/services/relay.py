"""Work in several threads whose log lines come out of one.

Cloudify's logger needs the context of the operation, which belongs to the thread that runs it; on a manager a
line that is logged in another thread is lost with an error. So other threads hand their lines over.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, cast

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

        The threads are daemons: when this process is told to end, an upload that still goes does not keep it.

        Args:
            tasks: What to do; when one raises, so does this, and no further task is begun.
            workers: How many at the same time.
        """
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        ended: queue.SimpleQueue[tuple[int, Outcome | None, BaseException | None]] = queue.SimpleQueue()
        stopped = threading.Event()

        def work() -> None:
            while not stopped.is_set():
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    ended.put((number, tasks[number](), None))
                except BaseException as error:
                    ended.put((number, None, error))

        for number in range(len(tasks)):
            waiting.put(number)
        for number in range(min(workers, len(tasks))):
            threading.Thread(target=work, name=f"cmom-{number}", daemon=True).start()
        left = len(tasks)
        try:
            while left:
                try:
                    number, outcome, error = ended.get(timeout=_LOOK_SECONDS)
                except queue.Empty:
                    self.pass_on()
                    continue
                self.pass_on()
                if error is not None:
                    raise error
                left -= 1
                yield number, cast(Outcome, outcome)
        finally:
            stopped.set()
