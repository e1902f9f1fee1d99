"""Programs about files: test, mkdir, cp, mv, rm, install, chmod, ln, stat, ls, df and their like."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat as modes
from pathlib import Path

from lab.sandbox.shell.commands_listing import (
    basename,
    df,
    dirname,
    ls,
    readlink,
    stat,
)
from lab.sandbox.shell.conditions import test
from lab.sandbox.shell.context import Context, ShellCommand, UsageError, parse_options


async def mkdir(context: Context) -> int:
    """Make directories."""
    options, operands = parse_options(context.args, "pv", "m", {"parents": "p", "mode=": "m"})
    _need(operands)
    code = 0
    for path in operands:
        try:
            place = context.files.place(path)
            if "p" in options:
                _make_parents(context, place.inside)
            else:
                os.mkdir(context.files.writable(path), 0o755)
            if "m" in options:
                os.chmod(place.host, _mode(options["m"], 0o755))
        except OSError as error:
            code = context.failed("cannot create directory ", path, error)
    return code


def _make_parents(context: Context, inside: str) -> None:
    walked = ""
    for step in [step for step in inside.split("/") if step]:
        walked += f"/{step}"
        if not context.files.place(walked).host.is_dir():
            os.mkdir(context.files.writable(walked), 0o755)


async def rm(context: Context) -> int:
    """Remove files and trees."""
    options, operands = parse_options(context.args, "rRfdv", long={"recursive": "r", "force": "f"})
    force, tree = "f" in options, bool({"r", "R"} & set(options))
    if not operands and not force:
        raise UsageError("missing operand")
    code = 0
    for path in operands:
        try:
            if not os.path.lexists(context.files.place(path, follow=False).host):
                raise FileNotFoundError(2, "No such file or directory")
            host = context.files.writable(path, follow=False)
            if host.is_dir() and not host.is_symlink():
                if not tree:
                    raise IsADirectoryError(21, "Is a directory")
                shutil.rmtree(host)
            else:
                host.unlink()
        except FileNotFoundError as error:
            if not force:
                code = context.failed("cannot remove ", path, error)
        except OSError as error:
            code = context.failed("cannot remove ", path, error)
    return code


async def rmdir(context: Context) -> int:
    """Remove empty directories."""
    _, operands = parse_options(context.args, "pv")
    code = 0
    for path in operands:
        try:
            os.rmdir(context.files.writable(path, follow=False))
        except OSError as error:
            code = context.failed("failed to remove ", path, error)
    return code


async def copy(context: Context) -> int:
    """`cp`: files and trees."""
    options, operands = parse_options(
        context.args, "rRapfvnT", "t", {"recursive": "r", "no-target-directory": "T"}
    )
    sources, target = _targets(operands, options)
    code = 0
    for source in sources:
        try:
            origin = context.files.readable(source)
            path = _destination(context, source, target, options)
            goal = context.files.writable(path)
            if origin.is_dir():
                if not {"r", "R", "a"} & set(options):
                    context.err(f"-r not specified; omitting directory '{source}'")
                    code = 1
                    continue
                shutil.copytree(origin, goal, symlinks=True, dirs_exist_ok=True)
                continue
            shutil.copyfile(origin, goal)
            shutil.copymode(origin, goal)
            if {"a", "p"} & set(options):
                shutil.copystat(origin, goal)
        except OSError as error:
            code = context.failed("cannot copy ", source, error)
    return code


async def move(context: Context) -> int:
    """`mv`: rename."""
    options, operands = parse_options(context.args, "fvnT", "t", {"force": "f", "no-target-directory": "T"})
    sources, target = _targets(operands, options)
    code = 0
    for source in sources:
        try:
            if not os.path.lexists(context.files.place(source, follow=False).host):
                raise FileNotFoundError(2, "No such file or directory")
            origin = context.files.writable(source, follow=False)
            path = _destination(context, source, target, options)
            goal = context.files.writable(path, follow=False)
            if "T" in options and goal.is_dir() and not origin.is_dir():
                raise IsADirectoryError(21, "Is a directory")
            os.replace(origin, goal)
        except OSError as error:
            code = context.failed("cannot move ", source, error)
    return code


def _targets(operands: list[str], options: dict[str, str]) -> tuple[list[str], str]:
    if "t" in options:
        return operands, options["t"]
    if len(operands) < 2:
        raise UsageError("missing file operand")
    return operands[:-1], operands[-1]


def _destination(context: Context, source: str, target: str, options: dict[str, str]) -> str:
    if "T" not in options and context.files.place(target).host.is_dir():
        return f"{target.rstrip('/')}/{source.rstrip('/').rpartition('/')[2]}"
    return target


async def install(context: Context) -> int:
    """Copy files with a mode, or make directories with `-d`; owners are checked, not set."""
    options, operands = parse_options(
        context.args, "dDTpv", "mogt", {"mode=": "m", "owner=": "o", "group=": "g", "directory": "d"}
    )
    mode = _mode(options.get("m", "0755"), 0o755)
    owners = [options[letter] for letter in "og" if letter in options]
    if owners and not context.files.privileged:
        context.err(f"cannot change ownership of '{operands[-1]}': Operation not permitted")
        return 1
    try:
        if "d" in options:
            for path in operands:
                _make_parents(context, context.files.place(path).inside)
                os.chmod(context.files.writable(path), mode)
            return 0
        sources, target = _targets(operands, options)
        for source in sources:
            origin = context.files.readable(source)
            path = _destination(context, source, target, options)
            if "D" in options:
                _make_parents(context, context.files.place(path).inside.rpartition("/")[0])
            goal = context.files.writable(path)
            goal.unlink(missing_ok=True)
            _write_new(goal, origin, mode)
    except OSError as error:
        return context.failed("cannot install ", operands[-1], error)
    return 0


def _write_new(goal: Path, origin: Path, mode: int) -> None:
    descriptor = os.open(goal, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as target, open(origin, "rb") as source:
        shutil.copyfileobj(source, target)
    os.chmod(goal, mode)


async def chmod(context: Context) -> int:
    """Change permissions: octal, or `u+x,go-rwx`."""
    options, operands = parse_options(
        tuple("--" if re.match(r"-[rwx]", arg) else arg for arg in context.args),
        "Rvcf", long={"recursive": "R"},
    )  # fmt: skip
    _need(operands[1:])
    code = 0
    for path in operands[1:]:
        try:
            host = context.files.writable(path)
            for one in [host, *(host.rglob("*") if "R" in options else [])]:
                current = modes.S_IMODE(one.stat().st_mode)
                one.chmod(_mode(operands[0], current))
        except FileNotFoundError as error:
            code = context.failed("cannot access ", path, error)
        except PermissionError:
            context.err(f"changing permissions of '{path}': Operation not permitted")
            code = 1
    return code


def _mode(text: str, current: int) -> int:
    if re.fullmatch(r"[0-7]{1,4}", text):
        return int(text, 8)
    mode = current
    for clause in text.split(","):
        match = re.fullmatch(r"([ugoa]*)([-+=])([rwxXst]*)", clause)
        if match is None:
            raise UsageError(f"invalid mode: '{text}'")
        who = "ugo" if not match[1] or "a" in match[1] else match[1]
        bits = sum({"r": 4, "w": 2, "x": 1, "X": 1}.get(letter, 0) for letter in match[3])
        mask = sum(bits << {"u": 6, "g": 3, "o": 0}[one] for one in who)
        if match[2] == "=":
            mode &= ~sum(7 << {"u": 6, "g": 3, "o": 0}[one] for one in who)
        mode = mode & ~mask if match[2] == "-" else mode | mask
    return mode


async def touch(context: Context) -> int:
    """Make files, or renew their times."""
    _, operands = parse_options(context.args, "acm")
    code = 0
    for path in operands:
        try:
            context.files.writable(path).touch()
        except OSError as error:
            code = context.failed("cannot touch ", path, error)
    return code


async def link(context: Context) -> int:
    """`ln`: links."""
    options, operands = parse_options(context.args, "sfnTv")
    sources, target = _targets(operands, options)
    path = _destination(context, sources[0], target, options)
    try:
        goal = context.files.writable(path, follow=False)
        if "f" in options:
            goal.unlink(missing_ok=True)
        if "s" in options:
            goal.symlink_to(sources[0])
        else:
            os.link(context.files.readable(sources[0]), goal)
    except OSError as error:
        return context.failed("failed to create link ", path, error)
    return 0


async def mktemp(context: Context) -> int:
    """A temporary file or directory."""
    options, operands = parse_options(context.args, "dqut", "p")
    template = operands[0] if operands else f"{options.get('p', '/tmp')}/tmp.XXXXXXXXXX"
    name = re.sub(r"X{3,}$", lambda match: secrets.token_hex(8)[: len(match[0])], template)
    host = context.files.writable(name)
    if "d" in options:
        os.mkdir(host, 0o700)
    else:
        os.close(os.open(host, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    context.out(f"{name}\n")
    return 0


def _need(operands: list[str]) -> None:
    if not operands:
        raise UsageError("missing operand")


COMMANDS: dict[str, ShellCommand] = {
    "[": test,
    "basename": basename,
    "chmod": chmod,
    "cp": copy,
    "df": df,
    "dirname": dirname,
    "install": install,
    "ln": link,
    "ls": ls,
    "mkdir": mkdir,
    "mktemp": mktemp,
    "mv": move,
    "readlink": readlink,
    "realpath": readlink,
    "rm": rm,
    "rmdir": rmdir,
    "stat": stat,
    "test": test,
    "touch": touch,
}
