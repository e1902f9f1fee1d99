"""Commands in namespaces: a real bash in a private root, without root on the host.

`lab.sandbox.inside` is the program on the other side; it says what the two views are.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import functools
import json
import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.sandbox.base import Command, Descriptors

START_SECONDS = 20.0
"""How long the first process may take until it is ready; it needs about 0.1 s."""

_INSIDE = Path(__file__).with_name("inside.py")


class NamespaceUnavailableError(Exception):
    """The system does not let this user make the namespaces a machine needs."""


@dataclass(frozen=True)
class Plan:
    """What the first process needs to know.

    Attributes:
        root: the host's path of the machine's root.
        hostname: its host name.
        uid: the user's id in the user view.
        writable: the places the user view may write.
        read_only: (host path, path on the machine) of what is shown of the host.
        hidden: gives the paths that only root may read, asked before every command.
        prepare: called before the first process starts.
    """

    root: Path
    hostname: str
    uid: int
    writable: tuple[str, ...]
    read_only: tuple[tuple[str, str], ...]
    hidden: Callable[[], list[str]]
    prepare: Callable[[], None]


def base_interpreter() -> str:
    """The interpreter outside of any virtual environment: it starts twice as fast."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    return os.path.realpath(base)


class NamespaceJob:
    """A process in the namespaces of a machine."""

    def __init__(self, kill: Callable[[int], None]) -> None:
        loop = asyncio.get_running_loop()
        self._kill = kill
        self.started: asyncio.Future[int] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()

    @property
    def pid(self) -> int:
        return self.started.result()

    async def wait(self) -> int:
        return await asyncio.shield(self.ended)

    def send_signal(self, number: int) -> None:
        if not self.ended.done():
            self._kill(number)


class _View:
    """The daemon's end of one of the two servers in the machine."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._channel.setblocking(False)
        self._jobs: dict[int, NamespaceJob] = {}
        self._last = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(channel, self._receive)

    def spawn(self, command: Command, stdio: Descriptors, hidden: Sequence[str]) -> NamespaceJob:
        self._last += 1
        number = self._last
        job = NamespaceJob(functools.partial(self._signal, number))
        request = {
            "id": number,
            "argv": list(command.argv),
            "cwd": command.cwd,
            "env": dict(command.env),
            "hidden": list(hidden),
            "contained": command.contained,
        }
        rights = array.array("i", stdio)
        self._channel.sendmsg(
            [json.dumps(request).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
        )
        self._jobs[number] = job
        return job

    async def cover(self, hidden: Sequence[str]) -> None:
        """Cover these paths now; returns when it is done."""
        self._last += 1
        job = NamespaceJob(lambda number: None)
        self._jobs[self._last] = job
        request = {"cover": list(hidden), "id": self._last}
        try:
            self._channel.send(json.dumps(request).encode())
        except OSError:
            return
        await job.wait()

    def _signal(self, job: int, number: int) -> None:
        with contextlib.suppress(OSError):
            self._channel.send(json.dumps({"kill": job, "signal": number}).encode())

    def _receive(self) -> None:
        try:
            data = self._channel.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close("the machine's processes are gone")
            return
        message: dict[str, Any] = json.loads(data)
        if "ready" in message:
            _settle(self.ready, None)
        elif "failed" in message:
            self.close(message["failed"])
        elif "pid" in message:
            _settle(self._jobs[message["id"]].started, message["pid"])
        else:
            job = self._jobs.pop(message["id"])
            _settle(job.ended, message["exit"] if "exit" in message else -message["signal"])

    def close(self, reason: str) -> None:
        """Hang up; whatever ran has been killed."""
        if self._channel.fileno() < 0:
            return
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        if not self.ready.done():
            self.ready.set_exception(NamespaceUnavailableError(reason))
            self.ready.exception()  # Seen: whoever waits is told, nobody else need be.
        for job in self._jobs.values():
            _settle(job.started, 0)
            _settle(job.ended, -9)
        self._jobs.clear()


def _settle(future: asyncio.Future[Any], value: object) -> None:
    if not future.done():
        future.set_result(value)


class NamespaceSandbox:
    """A machine's processes in namespaces of their own; started with the first command."""

    kind = "namespace"

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._process: asyncio.subprocess.Process | None = None
        self._views: dict[bool, _View] = {}
        self._starting = asyncio.Lock()
        self._powered = False

    async def start(self) -> None:
        """Allow commands; the namespaces are made for the first of them."""
        self._powered = True

    async def _ensure(self) -> None:
        async with self._starting:
            if not self._views:
                await self._launch()

    async def _launch(self) -> None:
        self._plan.prepare()
        root_near, root_far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        user_near, user_far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        plan = {
            "root": str(self._plan.root),
            "hostname": self._plan.hostname,
            "uid": self._plan.uid,
            "writable": self._plan.writable,
            "read_only": self._plan.read_only,
        }
        with root_far, user_far:
            self._process = await asyncio.create_subprocess_exec(
                *(base_interpreter(), "-I", "-S", str(_INSIDE)),
                *(str(root_far.fileno()), str(user_far.fileno())),
                pass_fds=(root_far.fileno(), user_far.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                env={"PATH": os.defpath},
                start_new_session=True,
            )
        root_near.send(json.dumps(plan).encode())
        self._views = {True: _View(root_near), False: _View(user_near)}
        try:
            ready = [view.ready for view in self._views.values()]
            await asyncio.wait_for(asyncio.gather(*ready), START_SECONDS)
        except BaseException:
            await self._end()
            raise

    async def spawn(self, command: Command, stdio: Descriptors) -> NamespaceJob:
        if not self._powered:
            raise ConnectionResetError("the machine is switched off")
        await self._ensure()
        hidden = [] if command.privileged else self._plan.hidden()
        job = self._views[command.privileged].spawn(command, stdio, hidden)
        await job.started
        return job

    async def refresh(self) -> None:
        view = self._views.get(False)
        if view is not None:
            await view.cover(self._plan.hidden())

    async def stop(self) -> None:
        self._powered = False
        async with self._starting:
            await self._end()

    async def _end(self) -> None:
        for view in self._views.values():
            view.close("the machine was switched off")
        self._views = {}
        process, self._process = self._process, None
        if process is not None:
            # Its child, process 1 of the machine, dies with it, and all others with that one.
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
