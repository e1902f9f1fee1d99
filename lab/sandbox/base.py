"""What a sandbox is, whichever way it works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

Descriptors = tuple[int, int, int]
"""File descriptors for standard input, output and error."""

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""The exit codes a shell uses for a command that is not there, or cannot be run."""


@dataclass(frozen=True)
class Command:
    """One command to run on a machine.

    Attributes:
        argv: the program and its arguments, never a shell line.
        cwd: the working directory, as the machine names it.
        env: the whole environment.
        privileged: run as root, with everything writable, as `sudo` gives it.
        contained: kill what it has left behind when it ends, as a service manager does.
    """

    argv: tuple[str, ...]
    cwd: str = "/"
    env: Mapping[str, str] = field(default_factory=dict)
    privileged: bool = False
    contained: bool = False


class Job(Protocol):
    """A command that runs, or has run."""

    @property
    def pid(self) -> int:
        """Its process id on the machine."""
        ...

    async def wait(self) -> int:
        """The exit code; minus N when signal N ended it."""
        ...

    def send_signal(self, number: int) -> None:
        """Signal the command and what it started; nothing happens when it has ended."""
        ...


class Sandbox(Protocol):
    """The private root of one machine."""

    kind: str

    async def start(self) -> None:
        """Make it ready; called when the machine boots."""
        ...

    async def spawn(self, command: Command, stdio: Descriptors) -> Job:
        """Start a command. The descriptors are duplicated; the caller closes its own."""
        ...

    async def refresh(self) -> None:
        """Make what root may just have closed to others count for commands that already run."""
        ...

    async def stop(self) -> None:
        """Kill everything that runs in it, as a power cut does."""
        ...


def shell_status(code: int) -> int:
    """The exit code as a shell tells it: 128 + N for signal N."""
    return code if code >= 0 else 128 - code
