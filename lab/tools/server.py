"""Where the small program behind each command of the lab reports: a socket on the machine.

It sends its name, arguments, working directory, environment and its own standard streams; the
command runs here and writes straight to those. The program waits for the exit code. If it is
killed first, the command is cancelled: a command is as mortal as its process.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from lab.sandbox.stdio import Stdio
from lab.tools.call import ToolCall

if TYPE_CHECKING:
    from lab.machine import Machine

_MAX_CALL_BYTES = 4 << 20
_LENGTH_DIGITS = 10
_log = logging.getLogger(__name__)


async def run_tool(call: ToolCall) -> int:
    """Run a command of the lab to its end and return its exit code."""
    from lab.tools import find_tool

    call.machine.arguments_seen.append(" ".join((call.name, *call.args)))
    tool = find_tool(call.name)
    if tool is None:
        call.err(f"{call.name}: command not found")
        return 127
    try:
        code = await tool(call)
        await call.io.drain()
    except BrokenPipeError:
        return 141  # as a shell reports SIGPIPE
    except Exception:
        _log.exception("%s: %s failed", call.machine.name, call.name)
        call.err(f"{call.name}: the lab failed, its log says why")
        return 70
    return code


class ToolServer:
    """Listens on one machine's `/run/lab/tools`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, folder: Path) -> None:
        """Listen in the host's `folder`, which is /run/lab on the machine."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.setblocking(False)
        (folder / "tools").unlink(missing_ok=True)
        # Socket paths end at 108 bytes, the lab's folder may be deeper.
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        try:
            listener.bind(f"/proc/self/fd/{descriptor}/tools")
        finally:
            os.close(descriptor)
        (folder / "tools").chmod(0o666)
        listener.listen(64)
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept)

    async def close(self) -> None:
        """Stop listening and cancel what runs."""
        listener, self._listener = self._listener, None
        if listener is not None:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self) -> None:
        assert self._listener is not None
        with contextlib.suppress(BlockingIOError):
            while True:
                channel, _ = self._listener.accept()
                channel.setblocking(False)
                task = asyncio.get_running_loop().create_task(self._handle(channel))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _handle(self, channel: socket.socket) -> None:
        with channel:
            try:
                received = await _receive(channel)
            except (OSError, ValueError) as error:
                _log.warning("%s: a call of a tool broke off: %s", self._machine.name, error)
                return
            call = self._call(*received)
            with call.io:
                running = asyncio.ensure_future(run_tool(call))
                gone = asyncio.ensure_future(_wait_for_end(channel))
                try:
                    await asyncio.wait({running, gone}, return_when=asyncio.FIRST_COMPLETED)
                    if running.done() and not running.cancelled():
                        with contextlib.suppress(OSError):
                            channel.send(str(running.result()).encode())
                finally:
                    for task in (running, gone):
                        task.cancel()
                    await asyncio.gather(running, gone, return_exceptions=True)

    def _call(self, fields: list[str], stdio: Stdio) -> ToolCall:
        name, cwd, uid, count = fields[:4]
        args = tuple(fields[4 : 4 + int(count)])
        env = dict(field.partition("=")[::2] for field in fields[4 + int(count) :])
        return ToolCall(self._machine, name, args, cwd, env, uid == "0", stdio)


async def _receive(channel: socket.socket) -> tuple[list[str], Stdio]:
    await _readable(channel)
    room = socket.CMSG_SPACE(3 * array.array("i").itemsize)
    head, ancillary, _, _ = channel.recvmsg(_LENGTH_DIGITS, room)
    descriptors = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(payload)
    try:
        if len(head) != _LENGTH_DIGITS or len(descriptors) != 3:
            raise ValueError("not a call")
        length = int(head)
        if length > _MAX_CALL_BYTES:
            raise ValueError(f"a call of {length} bytes")
        data = bytearray()
        loop = asyncio.get_running_loop()
        while len(data) < length:
            chunk = await loop.sock_recv(channel, length - len(data))
            if not chunk:
                raise ValueError("half a call")
            data += chunk
        stdio = Stdio((descriptors[0], descriptors[1], descriptors[2]))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return [os.fsdecode(field) for field in bytes(data).split(b"\0")], stdio


async def _readable(channel: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(channel, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(channel)


async def _wait_for_end(channel: socket.socket) -> None:
    with contextlib.suppress(OSError):
        await asyncio.get_running_loop().sock_recv(channel, 1)
