"""Reading and writing the file descriptors of emulated commands without blocking the event loop.

The other end of a pipe may well be read by the same event loop, so a write must never block. The
descriptors are shared with real processes, whose view of them must not change either: setting
O_NONBLOCK would be seen by all of them. A pipe is therefore opened again through /proc, which gives
a description of our own; files and devices do not block and are used as they are.
"""

from __future__ import annotations

import asyncio
import os
import stat
from types import TracebackType

from lab.sandbox.base import Descriptors

CHUNK_BYTES = 1 << 16


def open_again(descriptor: int, flags: int) -> tuple[int, bool]:
    """Duplicate a descriptor for use in the event loop.

    Returns:
        The new descriptor, and whether it is one that has to be waited for (a pipe).
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode):
        return os.open(f"/proc/self/fd/{descriptor}", flags | os.O_NONBLOCK | os.O_CLOEXEC), True
    return os.dup(descriptor), False


class Writer:
    """Writes to one descriptor; what a full pipe does not take waits in memory."""

    def __init__(self, descriptor: int) -> None:
        self._fd, self._waits = open_again(descriptor, os.O_WRONLY)
        self._pending = bytearray()
        self._idle = asyncio.Event()
        self._idle.set()
        self._error: OSError | None = None

    def write(self, data: bytes) -> None:
        """Write, or keep for later.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        if self._error is not None:
            raise self._error
        if not self._waits:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
            return
        self._pending += data
        if self._idle.is_set():
            self._flush()
        if self._error is not None:
            raise self._error

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._pending:
                written = os.write(self._fd, memoryview(self._pending)[:CHUNK_BYTES])
                del self._pending[:written]
        except BlockingIOError:
            if self._idle.is_set():
                self._idle.clear()
                loop.add_writer(self._fd, self._flush)
            return
        except OSError as error:
            self._error = error
            self._pending.clear()
        if not self._idle.is_set():
            loop.remove_writer(self._fd)
            self._idle.set()

    async def drain(self) -> None:
        """Wait until everything is written, or nobody reads any more."""
        await self._idle.wait()

    def close(self) -> None:
        """Close; what is still pending is lost."""
        if self._fd < 0:
            return
        if not self._idle.is_set():
            asyncio.get_running_loop().remove_writer(self._fd)
            self._idle.set()
        os.close(self._fd)
        self._fd = -1


class Reader:
    """Reads from one descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._fd, self._waits = open_again(descriptor, os.O_RDONLY)

    async def read(self, size: int = CHUNK_BYTES) -> bytes:
        """Up to `size` bytes; empty at the end."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return os.read(self._fd, size)
            except BlockingIOError:
                readable = loop.create_future()
                loop.add_reader(self._fd, _resolve, readable)
                try:
                    await readable
                finally:
                    loop.remove_reader(self._fd)

    async def read_all(self) -> bytes:
        """Everything until the end."""
        data = bytearray()
        while chunk := await self.read():
            data += chunk
        return bytes(data)

    def close(self) -> None:
        """Close; a reader that waits must have been cancelled before."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Stdio:
    """The three standard streams of a command that runs in the daemon itself."""

    def __init__(self, descriptors: Descriptors) -> None:
        self.descriptors: Descriptors = (
            os.dup(descriptors[0]),
            os.dup(descriptors[1]),
            os.dup(descriptors[2]),
        )
        self._reader: Reader | None = None
        self._stdout: Writer | None = None
        self._stderr: Writer | None = None

    @property
    def stdin(self) -> Reader:
        """Standard input."""
        if self._reader is None:
            self._reader = Reader(self.descriptors[0])
        return self._reader

    def out(self, text: str | bytes) -> None:
        """Write to standard output; raises BrokenPipeError when nobody reads it."""
        if self._stdout is None:
            self._stdout = Writer(self.descriptors[1])
        self._stdout.write(text if isinstance(text, bytes) else text.encode())

    def err(self, text: str | bytes) -> None:
        """Write to standard error; a closed one is ignored, as programs do."""
        if self._stderr is None:
            self._stderr = Writer(self.descriptors[2])
        try:
            self._stderr.write(text if isinstance(text, bytes) else text.encode())
        except BrokenPipeError:
            return

    async def drain(self) -> None:
        """Wait until all output is written."""
        for writer in (self._stdout, self._stderr):
            if writer is not None:
                await writer.drain()

    def close(self) -> None:
        """Close all of it."""
        for stream in (self._reader, self._stdout, self._stderr):
            if stream is not None:
                stream.close()
        for descriptor in self.descriptors:
            os.close(descriptor)

    def __enter__(self) -> Stdio:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
