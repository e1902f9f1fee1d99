"""Programs about data: digests, dd, sort, cut, tr, seq."""

from __future__ import annotations

import hashlib
import os
import re

from lab.sandbox.shell.context import Context, ShellCommand, parse_options, unescape


def digest(algorithm: str) -> ShellCommand:
    async def command(context: Context) -> int:
        options, operands = parse_options(context.args, "cb", long={"check": "c", "quiet": "q"})
        code = 0
        for path in operands or ["-"]:
            try:
                if "c" in options:
                    code |= await _check_digests(context, algorithm, path)
                    continue
                digest = hashlib.new(algorithm, await context.read(path)).hexdigest()
                context.out(f"{digest}  {path}\n")
            except OSError as error:
                context.err(f"{path}: {error.strerror}")
                code = 1
        return code

    return command


async def _check_digests(context: Context, algorithm: str, path: str) -> int:
    code = 0
    for line in (await context.read(path)).decode().splitlines():
        expected, _, name = line.partition(" ")
        name = name.lstrip(" *")
        good = hashlib.new(algorithm, await context.read(name)).hexdigest() == expected
        context.out(f"{name}: {'OK' if good else 'FAILED'}\n")
        code |= not good
    return code


async def dd(context: Context) -> int:
    """Copy standard input or `if=` to standard output or `of=`, whole."""
    values = dict(arg.partition("=")[::2] for arg in context.args)
    unknown = set(values) - {"if", "of", "bs", "conv", "status", "count", "oflag", "iflag"}
    if unknown:
        context.err(f"unrecognized operand '{sorted(unknown)[0]}'")
        return 1
    try:
        data = await context.read(values.get("if", "-"))
        if "count" in values:
            data = data[: int(values["count"]) * int(values.get("bs", "512"))]
        if "of" not in values:
            context.out(data)
        else:
            flags = os.O_WRONLY | os.O_CREAT
            flags |= 0 if "notrunc" in values.get("conv", "") else os.O_TRUNC
            descriptor = os.open(context.files.writable(values["of"]), flags, 0o644)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
    except OSError as error:
        context.err(f"failed to open '{values.get('of', values.get('if'))}': {error.strerror}")
        return 1
    if values.get("status") != "none":
        context.err(f"{len(data)} bytes copied")
    return 0


async def sort(context: Context) -> int:
    """Sort lines."""
    options, operands = parse_options(context.args, "runb", "kt")
    lines: list[str] = []
    for path in operands or ["-"]:
        lines += (await context.read(path)).decode(errors="surrogateescape").splitlines()
    lines = sorted(set(lines) if "u" in options else lines, reverse="r" in options)
    context.out("".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))
    return 0


async def cut(context: Context) -> int:
    """Fields of lines."""
    options, operands = parse_options(context.args, "s", "dfc")
    if "f" not in options:
        context.err("you must specify a list of fields; only -f is simulated by the lab")
        return 1
    delimiter = options.get("d", "\t")
    wanted = [int(number) for number in re.findall(r"\d+", options["f"])]
    for path in operands or ["-"]:
        for line in (await context.read(path)).decode(errors="surrogateescape").splitlines():
            fields = line.split(delimiter)
            chosen = [fields[number - 1] for number in wanted if number <= len(fields)]
            context.out(f"{delimiter.join(chosen)}\n" if delimiter in line else f"{line}\n")
    return 0


async def tr(context: Context) -> int:
    """Delete or replace single characters."""
    options, operands = parse_options(context.args, "ds")
    text = (await context.io.stdin.read_all()).decode(errors="surrogateescape")
    source = unescape(operands[0]) if operands else ""
    if "d" in options:
        text = "".join(letter for letter in text if letter not in source)
    elif len(operands) > 1:
        target = unescape(operands[1])
        target += target[-1:] * (len(source) - len(target))
        text = text.translate(str.maketrans(source, target[: len(source)]))
    context.out(text.encode(errors="surrogateescape"))
    return 0


async def seq(context: Context) -> int:
    """Numbers in a row."""
    numbers = [int(arg) for arg in context.args]
    first, step, last = (
        (1, 1, numbers[0]) if len(numbers) == 1
        else (numbers[0], 1, numbers[1]) if len(numbers) == 2
        else (numbers[0], numbers[1], numbers[2])
    )  # fmt: skip
    values = range(first, last + (1 if step > 0 else -1), step)
    context.out("".join(f"{value}\n" for value in values))
    return 0
