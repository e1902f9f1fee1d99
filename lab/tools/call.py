"""One call of a command of the lab on a machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.sandbox.stdio import Stdio

if TYPE_CHECKING:
    from lab.machine import Machine


@dataclass(frozen=True)
class ToolCall:
    """What a command of the lab is called with.

    Attributes:
        machine: where.
        name: the command, `rpm`.
        args: its arguments, without the name.
        cwd: the caller's working directory on the machine.
        env: the caller's environment.
        privileged: whether root calls.
        io: the caller's standard streams.
    """

    machine: Machine
    name: str
    args: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    privileged: bool
    io: Stdio

    def out(self, text: str | bytes) -> None:
        """Write to standard output."""
        self.io.out(text)

    def err(self, text: str) -> None:
        """Write a line to standard error."""
        self.io.err(text + "\n")

    def absolute(self, path: str) -> str:
        """A path argument as an absolute path of the machine."""
        return path if path.startswith("/") else f"{self.cwd}/{path}"


Tool = Callable[[ToolCall], Awaitable[int]]
