"""A SHA-256 that is reckoned beside whatever brings the bytes.

In the thread that reads and writes, hashing would be waited for: a fifth of the time of a download. In one of
its own it costs next to nothing where there is a second core, for `hashlib` lets go of Python's lock.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from types import TracebackType

# Writing takes half as long again in pieces of 16 kB; from 256 kB on it has been seen to take three times as
# long, where a system looks for large pages.
PIECE_BYTES = 64 * 1024
_BATCH_BYTES = 4 * PIECE_BYTES
_BATCHES = 4


class SideSha256:
    """A SHA-256 over bytes that are put piece by piece into memory of its own; use it as a context.

    So nothing is copied for it. At most a few batches wait to be hashed; whoever is faster than that waits.
    """

    def __init__(self) -> None:
        self._free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        self._full: queue.SimpleQueue[tuple[bytearray, int] | None] = queue.SimpleQueue()
        for _ in range(_BATCHES):
            self._free.put(bytearray(_BATCH_BYTES))
        self._hash = hashlib.sha256()
        self._batch = self._free.get()
        self._used = 0
        self._thread = threading.Thread(target=self._work, name="cmom-sha256", daemon=True)
        self._thread.start()

    def __enter__(self) -> SideSha256:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._full.put(None)
        self._thread.join()

    def room(self) -> memoryview:
        """Return memory for the next piece: at least one byte, at most `PIECE_BYTES`."""
        return memoryview(self._batch)[self._used : self._used + PIECE_BYTES]

    def add(self, count: int) -> None:
        """Add so many bytes: those at the beginning of `room`."""
        self._used += count
        if self._used == _BATCH_BYTES:
            self._hand_over()

    def hexdigest(self) -> str:
        """Return the hash of all that was added, in hexadecimal; more may be added afterwards."""
        self._drain()
        return self._hash.hexdigest()

    def restart(self) -> None:
        """Forget what was added."""
        self._drain()
        self._hash = hashlib.sha256()

    def _hand_over(self) -> None:
        self._full.put((self._batch, self._used))
        self._batch, self._used = self._free.get(), 0

    def _drain(self) -> None:
        """Wait until everything is hashed: until all batches but the one in hand are free."""
        self._hand_over()
        idle = [self._free.get() for _ in range(_BATCHES - 1)]
        for batch in idle:
            self._free.put(batch)

    def _work(self) -> None:
        while (found := self._full.get()) is not None:
            batch, used = found
            self._hash.update(memoryview(batch)[:used])
            self._free.put(batch)
