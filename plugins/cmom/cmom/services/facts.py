"""Facts about a machine: what to ask its programs for, and how to read their answers.

The formats are chosen so that the answer is the same in every language.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass

from cmom.models import Package, Version

# For ``rpm -q --queryformat`` and ``rpm -qp --queryformat``.
PACKAGE_FORMAT = r"%{NAME}|%{VERSION}|%{RELEASE}|%{ARCH}\n"

# Names of devices and mount points may contain blanks; only the numbers between them are sure.
_DF_LINE = re.compile(r"(?P<device>.*?)\s+\d+\s+\d+\s+(?P<free>\d+)\s+\S+\s+(?P<mount>/.*)")

# For ``stat -c``: the raw mode in hexadecimal digits tells the type as well.
STAT_FORMAT = "%f|%U|%G|%s|%n"

# What a program says, in English, of a path that does not exist.
_ABSENT = (": No such file or directory", ": Not a directory")


@dataclass(frozen=True)
class FileFacts:
    """What ``stat`` says of a file.

    Attributes:
        mode: The permission bits.
        is_directory: Whether it is one.
    """

    mode: int
    owner: str
    group: str
    size_bytes: int
    is_directory: bool


@dataclass(frozen=True)
class FreeSpace:
    """What ``df`` says of the file system that a path lies on.

    Attributes:
        device: What tells two file systems apart; mount points do not, since one may have several.
        free_bytes: For ordinary users.
    """

    device: str
    mount: str
    free_bytes: int


def parse_package(text: str) -> Package:
    """Read the line that `PACKAGE_FORMAT` makes ``rpm`` print; of several packages, the last."""
    name, version, release, arch = text.strip().splitlines()[-1].split("|")
    return Package(name, Version.parse(version), release, arch)


def parse_stat(line: str) -> tuple[str, FileFacts]:
    """Read the line that `STAT_FORMAT` makes ``stat`` print: a path, and what is there."""
    raw, owner, group, size, path = line.split("|", 4)
    mode = int(raw, 16)
    return path, FileFacts(stat.S_IMODE(mode), owner, group, int(size), stat.S_ISDIR(mode))


def only_absent(stderr: str) -> bool:
    """Tell whether a program complained (in English) of nothing but paths that do not exist."""
    lines = stderr.strip().splitlines()
    return bool(lines) and all(line.endswith(_ABSENT) for line in lines)


def parse_df(text: str) -> FreeSpace:
    """Read what ``df -P -k`` prints for one path."""
    match = _DF_LINE.match(text.strip().splitlines()[-1])
    assert match is not None, text
    return FreeSpace(match["device"], match["mount"], int(match["free"]) * 1024)
