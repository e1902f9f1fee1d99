"""Programs about text: cat, head, tail, tee, grep, wc, echo, printf, digests, dd."""

from __future__ import annotations

import re
from typing import TypeVar

from lab.sandbox.shell.commands_data import cut, dd, digest, seq, sort, tr
from lab.sandbox.shell.context import Context, ShellCommand, UsageError, parse_options, unescape
from lab.sandbox.shell.stream_editor import sed


async def cat(context: Context) -> int:
    """Copy files to standard output."""
    _, operands = parse_options(context.args, "AbeEnstTuv")
    code = 0
    for path in operands or ["-"]:
        try:
            if path != "-" and context.files.readable(path).is_dir():
                context.err(f"{path}: Is a directory")
                code = 1
                continue
            if path == "-":
                while chunk := await context.io.stdin.read():
                    context.out(chunk)
                    await context.io.drain()
            else:
                context.out(await context.read(path))
                await context.io.drain()
        except BrokenPipeError:
            raise
        except OSError as error:
            context.err(f"{path}: {error.strerror}")
            code = 1
    return code


async def head(context: Context) -> int:
    """The first lines or bytes."""
    return await _ends(context, first=True)


async def tail(context: Context) -> int:
    """The last lines or bytes; following is not simulated."""
    return await _ends(context, first=False)


async def _ends(context: Context, *, first: bool) -> int:
    args = tuple(f"-n{arg[1:]}" if re.fullmatch(r"-\d+", arg) else arg for arg in context.args)
    options, operands = parse_options(args, "q", "nc", {"lines=": "n", "bytes=": "c"})
    code = 0
    for path in operands or ["-"]:
        try:
            data = await context.read(path)
        except OSError as error:
            context.err(f"cannot open '{path}' for reading: {error.strerror}")
            code = 1
            continue
        if "c" in options:
            context.out(_slice(data, options["c"], first))
        else:
            lines = data.splitlines(keepends=True)
            context.out(b"".join(_slice(lines, options.get("n", "10"), first)))
    return code


Some = TypeVar("Some", bytes, "list[bytes]")


def _slice(data: Some, text: str, first: bool) -> Some:
    if not re.fullmatch(r"[+-]?\d+", text):
        raise UsageError(f"invalid number: '{text}'")
    count = abs(int(text))
    if first:
        return data[:-count] if text.startswith("-") and count else data[:count]
    if text.startswith("+"):
        return data[max(0, count - 1) :]
    return data[len(data) - min(count, len(data)) :]


async def tee(context: Context) -> int:
    """Copy standard input to standard output and to files."""
    options, operands = parse_options(context.args, "ai", long={"append": "a"})
    data = await context.io.stdin.read_all()
    context.out(data)
    code = 0
    for path in operands:
        try:
            with open(context.files.writable(path), "ab" if "a" in options else "wb") as file:
                file.write(data)
        except OSError as error:
            context.err(f"{path}: {error.strerror}")
            code = 1
    return code


async def echo(context: Context) -> int:
    """Print the arguments."""
    words = list(context.args)
    newline, escapes = "\n", False
    while words and re.fullmatch(r"-[neE]+", words[0]):
        letters = words.pop(0)[1:]
        newline = "" if "n" in letters else newline
        escapes = "e" in letters or (escapes and "E" not in letters)
    text = " ".join(words)
    context.out((unescape(text) if escapes else text) + newline)
    return 0


async def printf(context: Context) -> int:
    """Print by a format; it is used again while arguments are left."""
    if not context.args:
        context.err("missing operand")
        return 1
    pattern, values = unescape(context.args[0]), list(context.args[1:])
    while True:
        before = len(values)

        def fill(match: re.Match[str]) -> str:
            kind = match[2]
            if kind == "%":
                return "%"
            value = values.pop(0) if values else ""
            if kind == "b":
                return unescape(value)
            if kind in "dixXo":
                return f"%{match[1]}{kind}" % int(value or "0", 0)
            return f"%{match[1]}s" % value

        context.out(re.sub(r"%([-0-9.]*)([sbdixXoqc%])", fill, pattern))
        if not values or len(values) == before:
            return 0


async def grep(context: Context) -> int:
    """Lines that match."""
    options, operands = parse_options(
        context.args, "qcivEFGPoxhHnlsw", "em", {"quiet": "q", "ignore-case": "i", "count": "c"}
    )
    if "e" not in options and not operands:
        context.err("no pattern")
        return 2
    text = options["e"] if "e" in options else operands.pop(0)
    if "F" in options:
        text = re.escape(text)
    elif "E" not in options and "P" not in options:
        text = re.sub(r"\\([|+?(){}])|([|+?(){}])", lambda m: m[1] or "\\" + m[2], text)
    if "w" in options:
        text = rf"\b(?:{text})\b"
    pattern = re.compile(text, re.IGNORECASE if "i" in options else 0)
    found, code = 0, 1
    for path in operands or ["-"]:
        try:
            lines = (await context.read(path)).decode(errors="surrogateescape").splitlines()
        except OSError as error:
            if "s" not in options:
                context.err(f"{path}: {error.strerror}")
            code = 2
            continue
        search = pattern.fullmatch if "x" in options else pattern.search
        matches = [line for line in lines if bool(search(line)) != ("v" in options)]
        found += len(matches)
        _show_matches(context, options, path if len(operands) > 1 else "", matches)
    return 0 if found else code


def _show_matches(context: Context, options: dict[str, str], path: str, matches: list[str]) -> None:
    prefix = f"{path}:" if path and "h" not in options else ""
    if "q" in options:
        return
    if "c" in options:
        context.out(f"{prefix}{len(matches)}\n")
    elif "l" in options:
        context.out(f"{path}\n" if matches else "")
    else:
        limit = int(options["m"]) if "m" in options else len(matches)
        for line in matches[:limit]:
            context.out(f"{prefix}{line}\n".encode(errors="surrogateescape"))


async def wc(context: Context) -> int:
    """Count lines, words and bytes."""
    options, operands = parse_options(context.args, "lwcm")
    chosen = "".join(letter for letter in "lwc" if letter in options) or "lwc"
    for path in operands or ["-"]:
        data = await context.read(path)
        counts = {"l": data.count(b"\n"), "w": len(data.split()), "c": len(data)}
        line = " ".join(str(counts[letter]) for letter in chosen)
        context.out(f"{line}{'' if path == '-' else ' ' + path}\n")
    return 0


COMMANDS: dict[str, ShellCommand] = {
    "cat": cat,
    "cut": cut,
    "dd": dd,
    "echo": echo,
    "egrep": grep,
    "grep": grep,
    "head": head,
    "md5sum": digest("md5"),
    "printf": printf,
    "sed": sed,
    "seq": seq,
    "sha1sum": digest("sha1"),
    "sha256sum": digest("sha256"),
    "sha512sum": digest("sha512"),
    "sort": sort,
    "tail": tail,
    "tee": tee,
    "tr": tr,
    "wc": wc,
}
