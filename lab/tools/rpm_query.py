"""`rpm -q`: what packages say of themselves, by a format."""

from __future__ import annotations

import asyncio
import re

from lab.packages import Package
from lab.rpm_file import TAGS, NotAnRpmError, RpmFile, read_rpm
from lab.tools.call import ToolCall
from lab.tools.rpm_options import Options


async def open(call: ToolCall, word: str) -> RpmFile | None:
    """Read a package, or say why not, as rpm does."""
    try:
        place = call.machine.disk_map.place(call.absolute(word))
        if not call.privileged and not call.machine.access.may_read(place.inside):
            raise PermissionError(13, "Permission denied")
        return await asyncio.to_thread(read_rpm, place.host)
    except NotAnRpmError:
        call.err(f"error: {word}: not an rpm package (or package manifest)")
    except IsADirectoryError:
        call.err(f"error: {word}: not an rpm package (or package manifest): Is a directory")
    except OSError as error:
        call.err(f"error: open of {word} failed: {error.strerror}")
    return None


async def query(call: ToolCall, options: Options) -> int:
    database = call.machine.rpm_database
    if "package" in options.flags:
        found = [await open(call, word) for word in options.words]
        code = sum(1 for one in found if one is None)
        for one in found:
            if one is not None and not _print(call, options, _values(one)):
                return 1
        return code
    if "all" in options.flags:
        installed: list[Package] = list(database.all())
        code = 0
    elif not options.words:
        call.err("rpm: no arguments given for query")
        return 1
    else:
        installed, code = [], 0
        for word in options.words:
            package = database.get(word)
            if package is None:
                call.out(f"package {word} is not installed\n")
                code += 1
            else:
                installed.append(package)
    for package in installed:
        if not _print(call, options, _package_values(package)):
            return 1
    return code


def _values(one: RpmFile) -> dict[str, str | None]:
    return {**{name: one.text(name) for name in TAGS}, **_names(one.package)}


def _package_values(package: Package) -> dict[str, str | None]:
    values: dict[str, str | None] = dict.fromkeys(TAGS)
    values.update(
        NAME=package.name,
        VERSION=package.version,
        RELEASE=package.release,
        ARCH=package.arch,
        SUMMARY=package.summary,
        SIZE=str(package.size_bytes),
    )
    return {**values, **_names(package)}


def _names(package: Package) -> dict[str, str | None]:
    nvr = f"{package.name}-{package.version}-{package.release}"
    return {"NVR": nvr, "NVRA": package.nevra, "NEVRA": package.nevra}


_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "r": "\r", "a": "\a", "%": "%"}


def _print(call: ToolCall, options: Options, values: dict[str, str | None]) -> bool:
    if options.format is None:
        if "info" in options.flags:
            for name in ("NAME", "VERSION", "RELEASE", "ARCH", "SIZE", "LICENSE", "SUMMARY"):
                call.out(f"{name.capitalize():<12}: {values[name] or '(none)'}\n")
        else:
            call.out(f"{values['NVRA']}\n")
        return True
    unknown: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if match["escape"]:
            return _ESCAPES.get(match["escape"], match["escape"])
        name = match["tag"].upper().removeprefix("RPMTAG_")
        if name not in values:
            unknown.append(name)
            return ""
        text = values[name]
        width = match["width"] or ""
        shown = "(none)" if text is None else text
        return shown.ljust(int(width[1:])) if width.startswith("-") else shown.rjust(int(width or 0))

    pattern = r"%(?P<width>-?\d*)\{(?P<tag>\w+)(?::\w+)?\}|\\(?P<escape>.)"
    text = re.sub(pattern, replace, options.format, flags=re.DOTALL)
    if unknown:
        call.err('error: incorrect format: unknown tag: "' + unknown[0] + '"')
        return False
    call.out(text)
    return True
