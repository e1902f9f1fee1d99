"""Finding and running what a simple command names: a builtin, a program, a script, the lab's tool."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lab import programs
from lab.sandbox.base import NOT_EXECUTABLE, NOT_FOUND, Descriptors
from lab.sandbox.shell.builtins import BUILTINS
from lab.sandbox.shell.context import Context, UsageError
from lab.sandbox.shell.executor import BROKEN_PIPE, ExitShell, Shell
from lab.sandbox.shell.library import COMMANDS
from lab.sandbox.stdio import Stdio
from lab.tools.call import ToolCall
from lab.tools.server import run_tool

if TYPE_CHECKING:
    from lab.machine import Machine

SHELLS = ("bash", "sh")
DEFAULT_PATH = "/usr/bin:/bin"
"""Where programs are looked for when there is no PATH."""


def find(machine: Machine, name: str, search: str, cwd: str) -> str | None:
    """Where a machine of the interpreter has a program: a path, or None."""
    search = search or DEFAULT_PATH
    known = name.rpartition("/")[2]
    if known in COMMANDS or known in SHELLS:
        folder = name.rpartition("/")[0]
        if folder in ("/usr/bin", "/bin"):
            return name
        if not folder and any(one in search.split(":") for one in ("/usr/bin", "/bin")):
            return f"/usr/bin/{name}"
    found = machine.find_program(name, search, cwd)
    if found is None:
        return None
    # What only the host could run is not there.
    folder, _, last = found.rpartition("/")
    if folder in ("/usr/bin", "/bin") and last in programs.host_programs():
        return None
    return found


async def run_builtin(
    shell: Shell, words: Sequence[str], assigned: Mapping[str, str], streams: Descriptors
) -> int | None:
    """Run a builtin of the shell; None when there is none of this name."""
    builtin = BUILTINS.get(words[0])
    if builtin is None:
        return None
    before = {name: shell.variables.get(name) for name in assigned}
    shell.variables.update(assigned)
    try:
        with Stdio(streams) as io:
            code = await builtin(shell, list(words[1:]), io)
            await io.drain()
            return code
    finally:
        for name, value in before.items():
            if value is None:
                shell.variables.pop(name, None)
            else:
                shell.variables[name] = value


async def run_program(
    shell: Shell, argv: tuple[str, ...], env: Mapping[str, str], streams: Descriptors
) -> int:
    """Run a program that a shell names."""
    path = find(shell.machine, argv[0], env.get("PATH", ""), shell.files.cwd)
    if path is None:
        if "/" not in argv[0]:
            shell.complain(streams, f"{argv[0]}: command not found")
            return NOT_FOUND
        host = shell.files.place(argv[0]).host
        what = "Permission denied" if host.is_file() else "No such file or directory"
        shell.complain(streams, f"{argv[0]}: {'Is a directory' if host.is_dir() else what}")
        return NOT_EXECUTABLE if host.exists() else NOT_FOUND
    code = await execute(shell.machine, (path, *argv[1:]), env, shell.files.cwd, shell.privileged, streams)
    if code == BROKEN_PIPE and argv[0] in ("echo", "printf"):
        # To bash they are builtins: the signal ends the shell itself.
        raise ExitShell(BROKEN_PIPE)
    if code == NOT_EXECUTABLE and "/" in argv[0]:
        shell.complain(streams, f"{argv[0]}: Permission denied")
    return code


async def execute(
    machine: Machine,
    argv: tuple[str, ...],
    env: Mapping[str, str],
    cwd: str,
    privileged: bool,
    streams: Descriptors,
) -> int:
    """Run a program by its path, as exec would.

    Returns:
        Its exit code; 127 when it is not there, 126 when it cannot be run.
    """
    name = argv[0].rpartition("/")[2]
    if name in SHELLS and find(machine, argv[0], "", cwd) == argv[0]:
        return await _shell(machine, argv, env, cwd, privileged, streams)
    if programs.has_tool(machine.disk, name):
        with Stdio(streams) as io:
            return await run_tool(ToolCall(machine, name, argv[1:], cwd, env, privileged, io))
    if name in COMMANDS and argv[0].rpartition("/")[0] in ("/usr/bin", "/bin"):
        return await _command(machine, name, argv[1:], env, cwd, privileged, streams)
    return await _script(machine, argv, env, cwd, privileged, streams)


async def _command(
    machine: Machine,
    name: str,
    args: tuple[str, ...],
    env: Mapping[str, str],
    cwd: str,
    privileged: bool,
    streams: Descriptors,
) -> int:
    async def run(argv: tuple[str, ...], its_env: Mapping[str, str]) -> int:
        path = find(machine, argv[0], its_env.get("PATH", ""), cwd)
        if path is None:
            with Stdio(streams) as other:
                other.err(f"{name}: failed to run command '{argv[0]}': No such file or directory\n")
            return NOT_FOUND
        return await execute(machine, (path, *argv[1:]), its_env, cwd, privileged, streams)

    shell = Shell(machine, env, cwd, privileged)
    with Stdio(streams) as io:
        context = Context(machine, name, args, env, shell.files, io, run)
        try:
            code = await COMMANDS[name](context)
            await io.drain()
        except UsageError as error:
            context.err(f"{error}\nTry '{name} --help' for more information.")
            return 1
        except BrokenPipeError:
            return BROKEN_PIPE
        except OSError as error:
            where = f"'{os.fsdecode(error.filename)}': " if error.filename else ""
            context.err(f"{where}{error.strerror}")
            return 1
    return code


async def _script(
    machine: Machine,
    argv: tuple[str, ...],
    env: Mapping[str, str],
    cwd: str,
    privileged: bool,
    streams: Descriptors,
) -> int:
    files = Shell(machine, env, cwd, privileged).files
    try:
        host = files.readable(argv[0])
        text = host.read_text(encoding="utf-8", errors="surrogateescape")
        executable = host.stat().st_mode & 0o111
    except FileNotFoundError:
        return NOT_FOUND
    except OSError:
        return NOT_EXECUTABLE
    if not executable:
        return NOT_EXECUTABLE
    first = text.split("\n", 1)[0]
    words = first[2:].split() if first.startswith("#!") else ["/bin/sh"]
    if words and words[0].endswith("/env"):
        words = words[1:]
    if not words or words[0].rpartition("/")[2] not in SHELLS:
        return NOT_EXECUTABLE
    shell_argv = (f"/bin/{words[0].rpartition('/')[2]}", *words[1:], *argv)
    return await _shell(machine, shell_argv, env, cwd, privileged, streams)


async def _shell(
    machine: Machine,
    argv: tuple[str, ...],
    env: Mapping[str, str],
    cwd: str,
    privileged: bool,
    streams: Descriptors,
) -> int:
    """`bash` and `sh`: -c, a script, or standard input."""
    name, *pending = argv
    options: set[str] = set()
    line: str | None = None
    while pending and pending[0].startswith("-") and pending[0] != "-":
        word = pending.pop(0)
        if word in ("--", "--login", "--noprofile", "--norc"):
            continue
        options |= set(word[1:]) & set("eux")
        if word == "-o" and pending:
            options.add(pending.pop(0))
        if "c" in word[1:] and not word.startswith("--"):
            if not pending:
                return 2
            line = pending.pop(0)
    arguments = pending or [name]
    shell = Shell(machine, env, cwd, privileged, arguments)
    shell.options |= options
    shell.line_name = f"{name.rpartition('/')[2]}: line 1" if line is not None else arguments[0]
    if line is None:
        line = await _source(shell, pending, streams)
        if line is None:
            return NOT_FOUND
    code = await shell.run_text(line, streams)
    await asyncio.sleep(0)
    return code


async def _source(shell: Shell, pending: Sequence[str], streams: Descriptors) -> str | None:
    if not pending:
        with Stdio(streams) as io:
            return (await io.stdin.read_all()).decode(errors="surrogateescape")
    try:
        host = shell.files.readable(pending[0])
        return host.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        shell.line_name = "bash"
        shell.complain(streams, f"{pending[0]}: {error.strerror}")
        return None
