"""Commands for a machine as values: parts that are quoted once, in one place.

A command never carries a secret in its arguments (any user of the machine could read it in the process
list): what is secret goes in through `stdin` or through a file.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import PurePath

from cmom.models import Secret


@dataclass(frozen=True)
class Command:
    """A program with its arguments, to be run on a machine.

    Attributes:
        parts: Program and arguments, each one word however odd its content.
        sudo: Run as root (``sudo -n``: never ask for a password).
        stdin: Given to the program's standard input; the place for what is secret.
        timeout_seconds: How long it may take.
    """

    parts: tuple[str, ...]
    sudo: bool = False
    stdin: str | None = None
    timeout_seconds: float = 60.0

    def shell(self) -> str:
        """Return the line for the machine's shell, every part quoted."""
        words = ("sudo", "-n", "--", *self.parts) if self.sudo else self.parts
        return " ".join(shlex.quote(word) for word in words)

    def __str__(self) -> str:
        return self.shell()


@dataclass(frozen=True)
class Result:
    """How a command ended. `stdout` and `stderr` have known secrets masked already."""

    command: Command
    exit_code: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Whether it ended with exit code 0."""
        return self.exit_code == 0

    def last_lines(self, count: int = 20) -> str:
        """Return the end of its output, for a message to a person."""
        text = "\n".join(part for part in (self.stdout.strip(), self.stderr.strip()) if part)
        return "\n".join(text.splitlines()[-count:])


def command(
    *parts: str | PurePath,
    sudo: bool = False,
    stdin: str | None = None,
    timeout_seconds: float = 60.0,
) -> Command:
    """Build a `Command` from words.

    Raises:
        ValueError: A part is a `Secret` or contains a NUL byte; either is a mistake of the caller.
    """
    for part in parts:
        if isinstance(part, Secret):
            raise ValueError("a secret must not be an argument of a command")
        if "\0" in str(part):
            raise ValueError("an argument of a command must not contain a NUL byte")
    return Command(tuple(str(part) for part in parts), sudo, stdin, timeout_seconds)
