"""`sed`, as far as substitutions go: `s/OLD/NEW/` with basic regular expressions, line by line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn

from lab.sandbox.shell.context import Context, UsageError

Edit = Callable[[str], str]

_FLAGS = {"-u", "--unbuffered"}


async def sed(context: Context) -> int:
    """Apply substitutions to standard input or to files; every line is passed on at once."""
    edits, operands = _parse(list(context.args))
    code = 0
    for path in operands or ["-"]:
        try:
            if path != "-":
                for line in (await context.read(path)).decode(errors="surrogateescape").splitlines(True):
                    _put(context, edits, line)
                continue
            rest = b""
            while chunk := await context.io.stdin.read():
                *lines, rest = (rest + chunk).split(b"\n")
                for whole in lines:
                    _put(context, edits, whole.decode(errors="surrogateescape") + "\n")
                await context.io.drain()
            if rest:
                _put(context, edits, rest.decode(errors="surrogateescape"))
        except BrokenPipeError:
            raise
        except OSError as error:
            context.err(f"can't read {path}: {error.strerror}")
            code = 2
    return code


def _put(context: Context, edits: list[Edit], line: str) -> None:
    end = "\n" if line.endswith("\n") else ""
    line = line.removesuffix("\n")
    for edit in edits:
        line = edit(line)
    context.out((line + end).encode(errors="surrogateescape"))


def _parse(pending: list[str]) -> tuple[list[Edit], list[str]]:
    scripts: list[str] = []
    operands: list[str] = []
    while pending:
        word = pending.pop(0)
        if word in ("-e", "--expression") and pending:
            scripts.append(pending.pop(0))
        elif word.startswith("-") and word != "-" and word not in _FLAGS:
            raise UsageError(f"option '{word}' is not simulated by the lab")
        elif word not in _FLAGS:
            operands.append(word)
    if not scripts:
        if not operands:
            raise UsageError("no script")
        scripts.append(operands.pop(0))
    return [substitution(script) for script in scripts], operands


def substitution(script: str) -> Edit:
    """Read `s/OLD/NEW/` or `s/OLD/NEW/g`, with any delimiter.

    Raises:
        UsageError: It is something else.
    """
    if len(script) < 4 or script[0] != "s" or script[1] in "\\\n":
        _refuse(script)
    parts = re.split(rf"(?<!\\){re.escape(script[1])}", script[2:])
    if len(parts) != 3 or parts[2] not in ("", "g"):
        _refuse(script)
    old, new, flag = parts
    # What is special with a backslash in a basic expression is special without one in Python's.
    swapped = re.sub(r"\\([|+?(){}])|([|+?(){}])", lambda match: match[1] or "\\" + match[2], old)
    pattern = re.compile(swapped)
    template = re.sub(r"(?<!\\)&", r"\\g<0>", new)
    return lambda line: pattern.sub(template, line, count=0 if flag else 1)


def _refuse(script: str) -> NoReturn:
    raise UsageError(f"-e expression {script!r} is not simulated by the lab")
