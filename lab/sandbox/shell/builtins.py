"""The builtins of the interpreter's shell: what has to change the shell itself."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from lab.sandbox.shell.executor import ExitShell, LeaveLoop, Shell
from lab.sandbox.stdio import Stdio

if TYPE_CHECKING:
    from lab.sandbox.base import Descriptors

Builtin = Callable[[Shell, list[str], Stdio], Awaitable[int]]


async def _cd(shell: Shell, args: list[str], io: Stdio) -> int:
    target = args[0] if args else shell.variables.get("HOME", "/")
    try:
        place = shell.files.place(target)
        if not place.host.is_dir():
            reason = "Not a directory" if place.host.exists() else "No such file or directory"
            raise OSError(0, reason)
        shell.files.readable(target)
    except OSError as error:
        io.err(f"{shell.line_name}: cd: {target}: {error.strerror}\n")
        return 1
    shell.files.cwd = place.inside
    shell.variables["PWD"] = place.inside
    return 0


async def _pwd(shell: Shell, args: list[str], io: Stdio) -> int:
    io.out(f"{shell.files.cwd}\n")
    return 0


async def _exit(shell: Shell, args: list[str], io: Stdio) -> int:
    raise ExitShell(int(args[0]) & 255 if args and args[0].isdigit() else shell.status)


async def _export(shell: Shell, args: list[str], io: Stdio) -> int:
    for word in args:
        name, joined, value = word.partition("=")
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            io.err(f"{shell.line_name}: export: `{word}': not a valid identifier\n")
            return 1
        if joined:
            shell.variables[name] = value
        shell.exported.add(name)
    return 0


async def _unset(shell: Shell, args: list[str], io: Stdio) -> int:
    for name in args:
        shell.variables.pop(name, None)
        shell.exported.discard(name)
    return 0


async def _set(shell: Shell, args: list[str], io: Stdio) -> int:
    while args and args[0][:1] in "-+" and args[0]:
        word = args.pop(0)
        if word == "--":
            shell.arguments[1:] = args
            return 0
        names = set(word[1:])
        if "o" in names and args:
            names = (names - {"o"}) | {_OPTION_NAMES.get(args[0], args[0])}
            args.pop(0)
        if word[0] == "-":
            shell.options |= names
        else:
            shell.options -= names
    if args:
        shell.arguments[1:] = args
    shell.set_strict("u" in shell.options)
    return 0


_OPTION_NAMES = {"errexit": "e", "nounset": "u", "xtrace": "x"}


async def _shift(shell: Shell, args: list[str], io: Stdio) -> int:
    count = int(args[0]) if args and args[0].isdigit() else 1
    if count > len(shell.arguments) - 1:
        return 1
    del shell.arguments[1 : 1 + count]
    return 0


async def _true(shell: Shell, args: list[str], io: Stdio) -> int:
    return 0


async def _eval(shell: Shell, args: list[str], io: Stdio) -> int:
    return await shell.run_text(" ".join(args), _streams(io))


async def _source(shell: Shell, args: list[str], io: Stdio) -> int:
    try:
        text = shell.files.readable(args[0]).read_text(encoding="utf-8")
    except OSError as error:
        io.err(f"{shell.line_name}: {args[0]}: {error.strerror}\n")
        return 1
    return await shell.run_text(text, _streams(io))


async def _exec(shell: Shell, args: list[str], io: Stdio) -> int:
    if not args:
        return 0
    raise ExitShell(await _command(shell, args, io))


async def _command(shell: Shell, args: list[str], io: Stdio) -> int:
    from lab.sandbox.shell.programs import find, run_program
    from lab.sandbox.shell.words import exported

    if args[:1] in (["-v"], ["-V"]):
        for name in args[1:]:
            path = find(shell.machine, name, shell.variables.get("PATH", ""), shell.files.cwd)
            if path is None and name not in BUILTINS:
                return 1
            io.out(f"{path or name}\n")
        return 0
    env = exported(shell.variables, shell.exported)
    return await run_program(shell, tuple(args), env, _streams(io))


async def _type(shell: Shell, args: list[str], io: Stdio) -> int:
    code = 0
    for name in [arg for arg in args if not arg.startswith("-")]:
        if await _command(shell, ["-v", name], io):
            io.err(f"{shell.line_name}: type: {name}: not found\n")
            code = 1
    return code


async def _wait(shell: Shell, args: list[str], io: Stdio) -> int:
    return await shell.wait_for_background()


async def _read(shell: Shell, args: list[str], io: Stdio) -> int:
    names = [arg for arg in args if not arg.startswith("-")] or ["REPLY"]
    line = bytearray()
    ended = False
    while not ended:
        letter = await io.stdin.read(1)
        if not letter:
            break
        ended = letter == b"\n"
        line += letter if not ended else b""
    text = line.decode(errors="surrogateescape")
    values = text.split(None, len(names) - 1)
    for position, name in enumerate(names):
        shell.variables[name] = values[position].rstrip() if position < len(values) else ""
    return 0 if ended else 1


async def _break(shell: Shell, args: list[str], io: Stdio) -> int:
    raise LeaveLoop(again=False)


async def _continue(shell: Shell, args: list[str], io: Stdio) -> int:
    raise LeaveLoop(again=True)


async def _umask(shell: Shell, args: list[str], io: Stdio) -> int:
    if not args:
        io.out("0022\n")
    return 0


def _streams(io: Stdio) -> Descriptors:
    return io.descriptors


BUILTINS: dict[str, Builtin] = {
    ":": _true,
    ".": _source,
    "break": _break,
    "cd": _cd,
    "command": _command,
    "continue": _continue,
    "eval": _eval,
    "exec": _exec,
    "exit": _exit,
    "export": _export,
    "pwd": _pwd,
    "read": _read,
    "set": _set,
    "shift": _shift,
    "source": _source,
    "trap": _true,
    "type": _type,
    "ulimit": _true,
    "umask": _umask,
    "unset": _unset,
    "wait": _wait,
}
"""What the shell itself does; everything else is a program."""
