"""Programs that tell about files: stat, ls, df, readlink, dirname, basename."""

from __future__ import annotations

import os
import re
import stat as modes
import time
from pathlib import Path

from lab.sandbox.shell.context import Context, parse_options


async def stat(context: Context) -> int:
    """What there is to know about files, by a format."""
    options, operands = parse_options(
        context.args, "Lt", "c", {"format=": "c", "printf=": "p", "dereference": "L"}
    )
    code = 0
    for path in operands:
        try:
            host = context.files.statable(path, follow="L" in options)
            seen = os.stat(host) if "L" in options else os.lstat(host)
        except OSError as error:
            code = context.failed("cannot stat ", path, error)
            continue
        text = options.get("c", options.get("p", "  File: %n\n  Size: %s\t%F\nAccess: (%a/%A)"))
        line = _format_stat(context, text, path, seen)
        context.out(line if "p" in options else f"{line}\n")
    return code


_KINDS = {
    modes.S_IFREG: "regular file",
    modes.S_IFDIR: "directory",
    modes.S_IFLNK: "symbolic link",
    modes.S_IFSOCK: "socket",
    modes.S_IFIFO: "fifo",
    modes.S_IFCHR: "character special file",
}


def _format_stat(context: Context, text: str, path: str, seen: os.stat_result) -> str:
    name = _owner(context, path)
    number = "0" if name == "root" else "1000"
    kind = _KINDS.get(modes.S_IFMT(seen.st_mode), "file")
    empty = kind == "regular file" and seen.st_size == 0
    values = {
        "n": path,
        "s": str(seen.st_size),
        "a": f"{modes.S_IMODE(seen.st_mode):o}",
        "A": modes.filemode(seen.st_mode),
        "f": f"{seen.st_mode:x}",
        "F": "regular empty file" if empty else kind,
        "U": name,
        "G": name,
        "u": number,
        "g": number,
        "i": str(seen.st_ino),
        "h": str(seen.st_nlink),
        "X": str(int(seen.st_atime)),
        "Y": str(int(seen.st_mtime)),
        "Z": str(int(seen.st_ctime)),
        "%": "%",
    }
    return re.sub(r"%(.)", lambda match: values.get(match[1], "?"), text)


def _owner(context: Context, path: str) -> str:
    # To root's eyes everything is root's, as in the namespaces.
    mine = context.files.owner(path) == "user" and not context.files.privileged
    return context.machine.ssh_user if mine else "root"


async def ls(context: Context) -> int:
    """List files."""
    options, operands = parse_options(context.args, "1alAhdRtrF")
    code = 0
    for path in operands or ["."]:
        try:
            host = context.files.statable(path)
            if not os.path.lexists(host):
                raise FileNotFoundError(2, "No such file or directory")
            if host.is_dir() and "d" not in options:
                names = sorted(os.listdir(context.files.readable(path)))
                hidden = {"a", "A"} & set(options)
                shown = [(name, host / name) for name in names if hidden or name[0] != "."]
            else:
                shown = [(path, host)]
        except OSError as error:
            context.err(f"cannot access '{path}': {error.strerror}")
            code = 2
            continue
        for name, one in shown:
            context.out(_listed(context, name, one, "l" in options))
    return code


def _listed(context: Context, name: str, host: Path, long: bool) -> str:
    if not long:
        return f"{name}\n"
    seen = os.lstat(host)
    moment = time.strftime("%b %d %H:%M", time.gmtime(seen.st_mtime))
    inside = f"/{host.relative_to(context.machine.disk)}"
    owner = _owner(context, inside)
    link = f" -> {os.readlink(host)}" if host.is_symlink() else ""
    mode = modes.filemode(seen.st_mode)
    return f"{mode} {seen.st_nlink} {owner} {owner} {seen.st_size} {moment} {name}{link}\n"


async def df(context: Context) -> int:
    """Free space, in blocks of 1024 bytes."""
    _, operands = parse_options(context.args, "PkhT", "B")
    context.out("Filesystem     1024-blocks      Used Available Capacity Mounted on\n")
    code = 0
    for path in operands or ["/"]:
        try:
            host = context.files.statable(path)
            seen = os.statvfs(host)
        except OSError as error:
            context.err(f"{path}: {error.strerror}")
            code = 1
            continue
        unit = seen.f_frsize
        total, free, available = (
            count * unit // 1024 for count in (seen.f_blocks, seen.f_bfree, seen.f_bavail)
        )
        used = total - free
        share = round(100 * used / (used + available)) if used + available else 0
        context.out(f"/dev/vda1 {total} {used} {available} {share}% /\n")
    return code


async def readlink(context: Context) -> int:
    """Where links lead; `-f` and `realpath` resolve all of them."""
    options, operands = parse_options(context.args, "fenmqs")
    full = bool({"f", "e", "m"} & set(options)) or context.name == "realpath"
    code = 0
    for path in operands:
        try:
            if full:
                context.out(f"{context.files.place(path).inside}\n")
            else:
                context.out(f"{os.readlink(context.files.statable(path, follow=False))}\n")
        except OSError:
            code = 1
    return code


async def dirname(context: Context) -> int:
    """Paths without their last part."""
    for path in context.args:
        context.out(f"{os.path.dirname(path.rstrip('/')) or ('/' if path[0] == '/' else '.')}\n")
    return 0


async def basename(context: Context) -> int:
    """The last part of a path."""
    name = context.args[0].rstrip("/").rpartition("/")[2]
    suffix = context.args[1] if len(context.args) > 1 else ""
    context.out(f"{name.removesuffix(suffix) if name != suffix else name}\n")
    return 0
