"""What the header of an RPM says, read from its first bytes.

The format is read by the ``rpmfile`` package: it needs nothing but a forward-reading file object, and
stops at the end of the header, so it does on the beginning of a file. It leaves to us that the bytes are
bounded, and that whatever a broken or a hostile file makes it stumble over becomes one clear message.
"""

from __future__ import annotations

import re
from typing import Protocol

import requests
import rpmfile

from cmom.errors import ActionRequired
from cmom.models import Package, Version

MAX_HEADER_BYTES = 8 * 1024 * 1024

_LEAD_MAGIC = b"\xed\xab\xee\xdb"
_TAGS = ("name", "version", "release", "arch")
# What rpmbuild lets into them (lib/rpmvercmp, build/parsePreamble); they become names of files and arguments.
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~^-]{0,127}\Z")


class Readable(Protocol):
    """What bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none at the end."""


def read_header(source: Readable, shown: str) -> Package:
    """Read name and version from where a package begins.

    Args:
        source: The package, from its first byte on. Its own errors (`OSError`, ``requests``') pass through.
        shown: What it is called in messages.

    Raises:
        ActionRequired: It is no RPM, or its header is incomplete or damaged.
    """
    start = _Beginning(source)
    if start.look(len(_LEAD_MAGIC)) != _LEAD_MAGIC:
        raise ActionRequired(f"{shown} is not an RPM package (it does not begin like one).")
    try:
        headers = rpmfile.open(fileobj=start).headers
        name, version, release, arch = (headers[tag].decode("ascii") for tag in _TAGS)
    except (requests.RequestException, OSError):
        raise
    except Exception:
        # The library has no error class of its own for this: a cut or garbled header ends in whatever line
        # of it first trips (struct.error, AssertionError, TypeError, IndexError, KeyError, ...). The
        # details say nothing to an operator; that the header cannot be read does.
        raise ActionRequired(
            f"The header of the RPM {shown} cannot be read: it is incomplete or damaged. Fetch it again."
        ) from None
    if not all(_WORD.match(word) for word in (name, release, arch)):
        raise ActionRequired(f"The header of the RPM {shown} names a package as no RPM is named.")
    try:
        return Package(name=name, version=Version.parse(version), release=release, arch=arch)
    except ActionRequired as error:
        raise ActionRequired(f"The header of the RPM {shown}: {error}.") from None


class _TooLong(Exception):  # noqa: N818 - a signal
    """A header of more than `MAX_HEADER_BYTES`."""


class _Beginning:
    """A forward-only file for ``rpmfile``: exact reads, a position, and no more bytes than a header has."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._looked_at = b""
        self._position = 0

    def look(self, size: int) -> bytes:
        """Return the next bytes; they will be read again."""
        self._looked_at = self._exactly(size)
        return self._looked_at

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return exactly `size` bytes, fewer at the end of the source.

        Raises:
            _TooLong: The header claims more bytes than any honest one has.
        """
        if size < 0 or self._position + size > MAX_HEADER_BYTES:
            raise _TooLong
        found = self._exactly(size)
        self._position += len(found)
        return found

    def _exactly(self, size: int) -> bytes:
        found, self._looked_at = bytearray(self._looked_at[:size]), self._looked_at[size:]
        while len(found) < size:
            more = self._source.read(size - len(found))
            if not more:
                break
            found += more
        return bytes(found)
