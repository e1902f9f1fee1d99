"""`test` and `[`: conditions about files, texts and numbers."""

from __future__ import annotations

import os
import stat as modes
from collections.abc import Callable

from lab.sandbox.shell.context import Context


async def test(context: Context) -> int:
    """Conditions; as `[` it wants a closing `]`."""
    words = list(context.args)
    if context.name == "[" and (not words or words.pop() != "]"):
        context.err("missing ']'")
        return 2
    try:
        return 0 if _either(context, words) else 1
    except (ValueError, IndexError):
        context.err("argument expected")
        return 2


def _either(context: Context, words: list[str]) -> bool:
    for operator, combine in (("-o", any), ("-a", all)):
        if operator in words[1:-1] and len(words) > 3:
            position = words.index(operator, 1)
            halves = (words[:position], words[position + 1 :])
            return combine([_either(context, half) for half in halves])
    if not words:
        return False
    if words[0] == "!" and len(words) > 1:
        return not _either(context, words[1:])
    if len(words) == 1:
        return bool(words[0])
    if len(words) == 2:
        return _unary(context, words[0], words[1])
    if len(words) == 3:
        return _binary(words[0], words[1], words[2])
    raise ValueError("too many arguments")


def _unary(context: Context, operator: str, value: str) -> bool:
    if operator in ("-n", "-z"):
        return bool(value) == (operator == "-n")
    try:
        host = context.files.statable(value, follow=operator not in ("-L", "-h"))
        seen = os.lstat(host) if operator in ("-L", "-h") else os.stat(host)
    except OSError:
        return False
    checks: dict[str, Callable[[], bool]] = {
        "-e": lambda: True,
        "-f": lambda: modes.S_ISREG(seen.st_mode),
        "-d": lambda: modes.S_ISDIR(seen.st_mode),
        "-L": lambda: modes.S_ISLNK(seen.st_mode),
        "-h": lambda: modes.S_ISLNK(seen.st_mode),
        "-s": lambda: seen.st_size > 0,
        "-x": lambda: bool(seen.st_mode & 0o111),
        "-w": lambda: context.files.may_write(value),
        "-r": lambda: _is_readable(context, value),
    }
    if operator not in checks:
        raise ValueError(operator)
    return checks[operator]()


def _is_readable(context: Context, path: str) -> bool:
    try:
        context.files.readable(path)
    except OSError:
        return False
    return True


def _binary(left: str, operator: str, right: str) -> bool:
    if operator in ("=", "=="):
        return left == right
    if operator == "!=":
        return left != right
    numbers = int(left), int(right)
    results = {
        "-eq": numbers[0] == numbers[1],
        "-ne": numbers[0] != numbers[1],
        "-lt": numbers[0] < numbers[1],
        "-le": numbers[0] <= numbers[1],
        "-gt": numbers[0] > numbers[1],
        "-ge": numbers[0] >= numbers[1],
    }
    if operator not in results:
        raise ValueError(operator)
    return results[operator]
