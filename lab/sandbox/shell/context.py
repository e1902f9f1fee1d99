"""What a command of the interpreter runs with."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.sandbox.shell.files import Files
from lab.sandbox.stdio import Stdio

if TYPE_CHECKING:
    from lab.machine import Machine


@dataclass(frozen=True)
class Context:
    """One call of a command.

    Attributes:
        machine: where.
        name: the command.
        args: its arguments.
        env: its environment.
        files: the machine's files with its rights and from its directory.
        io: its standard streams.
        run: runs another command with the same streams and rights: argv and environment.
    """

    machine: Machine
    name: str
    args: tuple[str, ...]
    env: Mapping[str, str]
    files: Files
    io: Stdio
    run: Callable[[tuple[str, ...], Mapping[str, str]], Awaitable[int]]

    def out(self, text: str | bytes) -> None:
        """Write to standard output."""
        self.io.out(text)

    def err(self, text: str) -> None:
        """Write a line to standard error, with the command's name in front."""
        self.io.err(f"{self.name}: {text}\n")

    def failed(self, what: str, path: str, error: OSError) -> int:
        """Say that something did not work with a path, as coreutils do; returns 1."""
        self.err(f"{what}'{path}': {error.strerror}")
        return 1

    async def read(self, path: str) -> bytes:
        """A file's content; `-` is standard input."""
        if path == "-":
            return await self.io.stdin.read_all()
        return self.files.readable(path).read_bytes()


ShellCommand = Callable[[Context], Awaitable[int]]


class UsageError(Exception):
    """An option the command does not have here."""


def parse_options(
    args: tuple[str, ...], flags: str, valued: str = "", long: Mapping[str, str] | None = None
) -> tuple[dict[str, str], list[str]]:
    """Split arguments as getopt does, options and operands in any order.

    Args:
        args: the arguments.
        flags: letters of options without a value.
        valued: letters of options with one.
        long: long names and the letters they stand for; a trailing `=` marks one with a value.

    Returns:
        The options by letter (a flag's value is empty), and the operands.
    """
    known = dict(long or {})
    options: dict[str, str] = {}
    operands: list[str] = []
    pending = list(args)
    while pending:
        word = pending.pop(0)
        if word == "--":
            operands += pending
            break
        if word.startswith("--"):
            name, joined, value = word[2:].partition("=")
            if f"{name}=" in known:
                if not joined and not pending:
                    raise UsageError(f"option '--{name}' requires an argument")
                options[known[f"{name}="]] = value if joined else pending.pop(0)
            elif name in known and not joined:
                options[known[name]] = ""
            else:
                raise UsageError(f"unrecognized option '{word}'")
        elif word.startswith("-") and word != "-":
            _letters(word[1:], flags, valued, options, pending)
        else:
            operands.append(word)
    return options, operands


def _letters(letters: str, flags: str, valued: str, options: dict[str, str], pending: list[str]) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter in flags:
            options[letter] = ""
        elif letter in valued:
            if not letters and not pending:
                raise UsageError(f"option requires an argument -- '{letter}'")
            options[letter] = letters or pending.pop(0)
            return
        else:
            raise UsageError(f"invalid option -- '{letter}'")


_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "r": "\r", "a": "\a", "b": "\b", '"': '"', "'": "'"}


def unescape(text: str) -> str:
    """Backslash escapes as echo -e, printf and tr read them."""
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text)
