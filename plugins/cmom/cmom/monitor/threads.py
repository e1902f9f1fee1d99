"""Blocking calls beside the event loop.

The threads are daemons: one that still waits for a dead machine does not keep the process from ending at
once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar
from weakref import WeakKeyDictionary

Result = TypeVar("Result")

_AT_ONCE = 16
_free: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def in_thread(function: Callable[[], Result]) -> Result:
    """Run a function in a thread of its own and return its result; a few at once, the others wait.

    When the caller is cancelled, the thread goes on and its result is dropped.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: Result | None = None
        error: BaseException | None = None
        try:
            result = function()
        except BaseException as raised:
            error = raised
        # The loop may have ended meanwhile.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    async with _semaphore(loop):
        threading.Thread(target=run, name="monitor call", daemon=True).start()
        return await done


def _semaphore(loop: asyncio.AbstractEventLoop) -> asyncio.Semaphore:
    """Return the semaphore of this loop; there is one loop in a process, but for tests."""
    return _free.setdefault(loop, asyncio.Semaphore(_AT_ONCE))
