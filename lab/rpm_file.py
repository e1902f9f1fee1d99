"""Reading RPM packages: what a package says of itself, and whether its payload is whole.

Format: https://rpm-software-management.github.io/rpm/manual/format_v4.html
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.packages import Package

_LEAD_BYTES = 96
_LEAD_MAGIC = b"\xed\xab\xee\xdb"
_HEADER_MAGIC = b"\x8e\xad\xe8\x01"
_MAX_HEADER_BYTES = 64 << 20
_NUMBERS = {2: (1, "B"), 3: (2, "H"), 4: (4, "I"), 5: (8, "Q")}
_STRINGS = (6, 8, 9)
_MD5_TAG, _SHA1_TAG = 1004, 269
_CHUNK_BYTES = 1 << 20

TAGS = {
    "NAME": 1000, "VERSION": 1001, "RELEASE": 1002, "EPOCH": 1003, "SUMMARY": 1004,
    "DESCRIPTION": 1005, "BUILDTIME": 1006, "BUILDHOST": 1007, "SIZE": 1009, "VENDOR": 1011,
    "LICENSE": 1014, "PACKAGER": 1015, "GROUP": 1016, "URL": 1020, "OS": 1021, "ARCH": 1022,
    "SOURCERPM": 1044,
}  # fmt: skip
"""The tags a query format may name."""

Value = int | str | bytes


class NotAnRpmError(Exception):
    """The file is no RPM package, or its header is damaged."""


@dataclass(frozen=True)
class RpmFile:
    """The header of a package.

    Attributes:
        tags: by number, the first value of each tag.
        payload_md5: what the package says its header and payload hash to; None if it does not.
        header_offset: where the header begins in the file.
    """

    tags: Mapping[int, Value]
    payload_md5: bytes | None
    header_offset: int

    def text(self, name: str) -> str | None:
        """A tag by name as `rpm` prints it; None when the package has none of it."""
        value = self.tags.get(TAGS[name])
        return None if value is None else str(value)

    @property
    def package(self) -> Package:
        """What the database keeps of it once it is installed."""
        size = self.tags.get(TAGS["SIZE"], 0)
        return Package(
            name=self.text("NAME") or "",
            version=self.text("VERSION") or "",
            release=self.text("RELEASE") or "",
            arch=self.text("ARCH") or "noarch",
            summary=self.text("SUMMARY") or "",
            size_bytes=size if isinstance(size, int) else 0,
        )


def read_rpm(path: Path) -> RpmFile:
    """Read a package's header; the payload is left alone.

    Raises:
        OSError: the file cannot be read.
        NotAnRpmError: it is no package.
    """
    with path.open("rb") as file:
        lead = file.read(_LEAD_BYTES)
        if len(lead) < _LEAD_BYTES or not lead.startswith(_LEAD_MAGIC):
            raise NotAnRpmError("not an rpm package")
        signature, _ = _read_header(file)
        file.seek(-file.tell() % 8, 1)
        offset = file.tell()
        tags, raw = _read_header(file)
    expected = signature.get(_SHA1_TAG)
    if expected is not None and hashlib.sha1(raw).hexdigest() != expected:
        raise NotAnRpmError("header digest does not match")
    if TAGS["NAME"] not in tags:
        raise NotAnRpmError("no name")
    md5 = signature.get(_MD5_TAG)
    return RpmFile(tags, md5 if isinstance(md5, bytes) else None, offset)


def payload_is_whole(path: Path, rpm: RpmFile) -> bool:
    """Whether header and payload hash to what the package says; true when it says nothing."""
    if rpm.payload_md5 is None:
        return True
    digest = hashlib.md5()
    with path.open("rb") as file:
        file.seek(rpm.header_offset)
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.digest() == rpm.payload_md5


def _read_header(file: IO[bytes]) -> tuple[dict[int, Value], bytes]:
    intro = file.read(16)
    if len(intro) < 16 or not intro.startswith(_HEADER_MAGIC):
        raise NotAnRpmError("no header")
    count, size = struct.unpack(">II", intro[8:])
    if 16 * count + size > _MAX_HEADER_BYTES:
        raise NotAnRpmError("unreasonable header")
    body = file.read(16 * count + size)
    if len(body) < 16 * count + size:
        raise NotAnRpmError("header cut off")
    store = body[16 * count :]
    tags: dict[int, Value] = {}
    for position in range(count):
        tag, kind, offset, length = struct.unpack_from(">IIiI", body, 16 * position)
        try:
            value = _decode(store, kind, offset, length)
        except (struct.error, ValueError):
            raise NotAnRpmError("damaged header") from None
        if value is not None:
            tags[tag] = value
    return tags, intro + body


def _decode(store: bytes, kind: int, offset: int, count: int) -> Value | None:
    if offset < 0 or offset > len(store):
        raise ValueError("offset")
    if kind in _NUMBERS and count:
        return int(struct.unpack_from(f">{_NUMBERS[kind][1]}", store, offset)[0])
    if kind in _STRINGS:
        return store[offset : store.index(b"\0", offset)].decode(errors="replace")
    if kind == 7:
        return store[offset : offset + count]
    return None
