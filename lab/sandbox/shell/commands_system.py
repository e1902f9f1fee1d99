"""Programs about the system and about running others: id, uname, date, sleep, env, timeout."""

from __future__ import annotations

import asyncio
import os
import time

from lab.sandbox.shell.context import Context, ShellCommand, parse_options

_TIMED_OUT, _USAGE = 124, 125
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


async def true(context: Context) -> int:
    """Succeed."""
    return 0


async def false(context: Context) -> int:
    """Fail."""
    return 1


async def identity(context: Context) -> int:
    """`id`."""
    options, operands = parse_options(context.args, "ungrG")
    user = operands[0] if operands else _user(context)
    number = {"root": 0, context.machine.ssh_user: 1000}.get(user)
    if number is None:
        context.err(f"'{user}': no such user")
        return 1
    if {"u", "g", "G"} & set(options):
        context.out(f"{user if 'n' in options else number}\n")
    else:
        context.out(f"uid={number}({user}) gid={number}({user}) groups={number}({user})\n")
    return 0


def _user(context: Context) -> str:
    return "root" if context.files.privileged else context.machine.ssh_user


async def whoami(context: Context) -> int:
    """The user's name."""
    context.out(f"{_user(context)}\n")
    return 0


async def uname(context: Context) -> int:
    """The system's name."""
    options, _ = parse_options(context.args, "snrvmpioa")
    host = os.uname()
    values = {
        "s": host.sysname, "n": context.machine.hostname, "r": host.release, "v": host.version,
        "m": host.machine, "p": host.machine, "i": host.machine, "o": "GNU/Linux",
    }  # fmt: skip
    chosen = "snrvmpio" if "a" in options else [one for one in "snrvmpio" if one in options]
    context.out(" ".join(values[letter] for letter in chosen or "s") + "\n")
    return 0


async def date(context: Context) -> int:
    """The lab's time."""
    pattern = next((arg[1:] for arg in context.args if arg.startswith("+")), None)
    now = context.machine.clock.now()
    pattern = pattern or "%a %b %e %H:%M:%S UTC %Y"
    pattern = pattern.replace("%s", str(int(now))).replace("%N", f"{int(now % 1 * 1e9):09}")
    context.out(time.strftime(pattern, time.gmtime(now)) + "\n")
    return 0


async def sleep(context: Context) -> int:
    """Wait, in real time as a process does."""
    if not context.args:
        context.err("missing operand")
        return 1
    try:
        await asyncio.sleep(sum(_seconds(arg) for arg in context.args))
    except ValueError:
        context.err(f"invalid time interval '{context.args[0]}'")
        return 1
    return 0


def _seconds(text: str) -> float:
    unit = _UNITS.get(text[-1:])
    return float(text[:-1]) * unit if unit else float(text)


async def env(context: Context) -> int:
    """Print the environment, or run a command with another."""
    variables = dict(context.env)
    words = list(context.args)
    while words and (words[0].startswith("-") or "=" in words[0]):
        word = words.pop(0)
        if word in ("-i", "-"):
            variables = {}
        elif word == "-u" and words:
            variables.pop(words.pop(0), None)
        elif "=" in word:
            name, _, value = word.partition("=")
            variables[name] = value
    if words:
        return await context.run(tuple(words), variables)
    context.out("".join(f"{name}={value}\n" for name, value in variables.items()))
    return 0


async def printenv(context: Context) -> int:
    """Print variables of the environment."""
    code = 0
    for name in context.args:
        if name in context.env:
            context.out(f"{context.env[name]}\n")
        else:
            code = 1
    return code


async def timeout(context: Context) -> int:
    """Run a command for so long at most."""
    words = list(context.args)
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in ("-k", "-s", "--kill-after", "--signal") and words:
            words.pop(0)
    if len(words) < 2:
        context.err("missing operand")
        return _USAGE
    try:
        limit = _seconds(words[0])
    except ValueError:
        context.err(f"invalid time interval '{words[0]}'")
        return _USAGE
    try:
        return await asyncio.wait_for(context.run(tuple(words[1:]), context.env), limit or None)
    except asyncio.TimeoutError:
        return _TIMED_OUT


async def nohup(context: Context) -> int:
    """Run a command; a hang-up does not reach it here anyway."""
    return await context.run(context.args, context.env)


async def nice(context: Context) -> int:
    """Run a command, no slower than others."""
    words = list(context.args)
    while words and words[0].startswith("-"):
        if words.pop(0) == "-n" and words:
            words.pop(0)
    return await context.run(tuple(words), context.env)


async def xargs(context: Context) -> int:
    """Run a command with the words of standard input."""
    options, operands = parse_options(context.args, "r0", "n")
    data = (await context.io.stdin.read_all()).decode(errors="surrogateescape")
    words = [word for word in data.split("\0") if word] if "0" in options else data.split()
    if not words and "r" in options:
        return 0
    return await context.run((*(operands or ["echo"]), *words), context.env)


async def which(context: Context) -> int:
    """Where programs are."""
    from lab.sandbox.shell.programs import find

    code = 0
    for name in context.args:
        path = find(context.machine, name, context.env.get("PATH", ""), context.files.cwd)
        if path is None:
            code = 1
        else:
            context.out(f"{path}\n")
    return code


async def getent(context: Context) -> int:
    """Look up passwd, group and hosts."""
    files = {"passwd": "/etc/passwd", "group": "/etc/group", "hosts": "/etc/hosts"}
    if not context.args or context.args[0] not in files:
        return 1
    lines = context.machine.path(files[context.args[0]]).read_text(encoding="utf-8").splitlines()
    keys = context.args[1:]
    separator = None if context.args[0] == "hosts" else ":"
    found = [line for line in lines if line and (not keys or set(line.split(separator)[:3]) & set(keys))]
    context.out("".join(f"{line}\n" for line in found))
    return 0 if found else 2


COMMANDS: dict[str, ShellCommand] = {
    "date": date,
    "env": env,
    "false": false,
    "getent": getent,
    "id": identity,
    "nice": nice,
    "nohup": nohup,
    "printenv": printenv,
    "sleep": sleep,
    "sync": true,
    "timeout": timeout,
    "true": true,
    "uname": uname,
    "whoami": whoami,
    "which": which,
    "xargs": xargs,
}
