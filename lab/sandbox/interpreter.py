"""Commands without namespaces: the daemon interprets the shell lines and programs itself.

For systems that forbid user namespaces. It knows what is run on a machine in practice and fails
with *command not found* for the rest; `lab.sandbox.shell` is the shell.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
from typing import TYPE_CHECKING

from lab.sandbox.base import NOT_FOUND, Command, Descriptors

if TYPE_CHECKING:
    from lab.machine import Machine

_HARMLESS = (0, signal.SIGCONT, signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG)
_log = logging.getLogger(__name__)


class InterpreterJob:
    """A command that is interpreted."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._killed_by: int | None = None
        self.task: asyncio.Task[int] | None = None
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.background: set[asyncio.Task[int]] = set()

    @property
    def pid(self) -> int:
        return self._pid

    async def wait(self) -> int:
        return await asyncio.shield(self.ended)

    def send_signal(self, number: int) -> None:
        if self.task is not None and not self.task.done() and number not in _HARMLESS:
            self._killed_by = number
            self.task.cancel()
            self.kill_background()

    def kill_background(self) -> None:
        """End what its shells have left running."""
        for task in list(self.background):
            task.cancel()

    def finish(self, task: asyncio.Task[int]) -> None:
        """Take over how the task ended."""
        if self.ended.done():
            return
        if task.cancelled():
            self.ended.set_result(-(self._killed_by or signal.SIGKILL))
        elif task.exception() is not None:
            _log.error("an interpreted command failed", exc_info=task.exception())
            self.ended.set_result(70)
        else:
            self.ended.set_result(task.result())


class InterpreterSandbox:
    """A machine whose commands are interpreted.

    Args:
        machine: whose.
    """

    kind = "interpreter"

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._jobs: set[InterpreterJob] = set()
        self._left: set[InterpreterJob] = set()
        self._pids = itertools.count(301)
        self._powered = False

    async def start(self) -> None:
        self._powered = True

    async def spawn(self, command: Command, stdio: Descriptors) -> InterpreterJob:
        if not self._powered:
            raise ConnectionResetError("the machine is switched off")
        streams = (os.dup(stdio[0]), os.dup(stdio[1]), os.dup(stdio[2]))
        job = InterpreterJob(next(self._pids))
        task = asyncio.get_running_loop().create_task(self._run(job, command, streams))
        job.task = task
        self._jobs.add(job)

        def ended(task: asyncio.Task[int]) -> None:
            job.finish(task)
            self._jobs.discard(job)
            if command.contained:
                job.kill_background()
            elif job.background:
                self._left.add(job)

        task.add_done_callback(ended)
        return job

    async def _run(self, job: InterpreterJob, command: Command, streams: Descriptors) -> int:
        from lab.sandbox.shell.executor import left_behind
        from lab.sandbox.shell.programs import execute, find

        left_behind.set(job.background)
        try:
            path = find(self._machine, command.argv[0], command.env.get("PATH", ""), command.cwd)
            if path is None:
                os.write(streams[2], f"{command.argv[0]}: command not found\n".encode())
                return NOT_FOUND
            return await execute(
                self._machine,
                (path, *command.argv[1:]),
                command.env,
                command.cwd,
                command.privileged,
                streams,
            )
        finally:
            for descriptor in streams:
                os.close(descriptor)

    async def refresh(self) -> None:
        return

    async def stop(self) -> None:
        self._powered = False
        jobs = [job for job in self._jobs if job.task is not asyncio.current_task()]
        for job in jobs:
            job.send_signal(signal.SIGKILL)
        for job in self._left:
            job.kill_background()
        self._left.clear()
        await asyncio.gather(*(job.task for job in jobs if job.task), return_exceptions=True)
