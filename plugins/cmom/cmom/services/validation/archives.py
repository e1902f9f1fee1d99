"""Archives that inputs name, looked into without unpacking them: wagons and blueprint archives.

Only the beginning of a large one is read: a wagon may have gigabytes, and what is sought stands near its
start (`wagon` sorts `package.json` before `wheels`). Where the look has to be given up, the archive counts
as good, and the manager has the last word. What counts is the size unpacked: a small file can hold terabytes.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from cmom.services.validation.files import Unusable, readable_file
from cmom.services.zips import checked_zip

MAX_SCANNED_BYTES = 64 * 1024 * 1024
MAX_METADATA_BYTES = 1024 * 1024
MAX_ZIP_DIRECTORY_BYTES = 16 * 1024 * 1024
DEFAULT_BLUEPRINT_FILE = "blueprint.yaml"

_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    ArithmeticError,
    LookupError,
    struct.error,
    RuntimeError,
    NotImplementedError,
)


class _Enough(Exception):  # noqa: N818 - a signal
    """As much of an archive was read as is reasonable."""


class _Limited(io.RawIOBase):
    """A file whose reading ends with `_Enough` after a number of bytes, those that were unpacked counted."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = MAX_SCANNED_BYTES

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes."""
        if self._left <= 0:
            raise _Enough
        piece = self._file.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(piece)
        return piece


def check_wagon(path: str) -> None:
    """Check that a local file is a wagon whose metadata can be read.

    Raises:
        Unusable: With what is wrong.
    """
    wagon_metadata(path)


def wagon_metadata(path: str) -> Mapping[str, Any] | None:
    """Return what a wagon's package.json says: ``package_name``, ``package_version``, ``archive_name``...

    Returns:
        None when it does not stand near the archive's beginning.

    Raises:
        Unusable: It is not a wagon.
    """
    file = readable_file(path)
    try:
        for name, read in _members(file):
            if name.name == "package.json" and len(name.parts) <= 2:
                return _metadata(read(), path)
    except _Enough:
        return None
    except _BROKEN:
        raise Unusable(f"{path} is not a wagon: it cannot be read as an archive") from None
    raise Unusable(f"{path} is not a wagon: it has no package.json")


def _metadata(content: bytes, path: str) -> Mapping[str, Any]:
    try:
        metadata = json.loads(content)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict) or not metadata.get("package_name"):
        raise Unusable(f"{path} is not a wagon: its package.json names no package")
    return metadata


def check_blueprint_archive(path: str, filename: str | None) -> None:
    """Check that a local archive has one folder at its root, and the main file in that folder.

    Both are what a manager demands ("archive must contain exactly 1 directory"); generation 4 has also
    been seen to take another main file than was meant, so one that is not there is refused here.

    Args:
        filename: The main file within that folder; None for ``blueprint.yaml``.

    Raises:
        Unusable: With what is wrong.
    """
    file = readable_file(path)
    main = PurePosixPath(filename or DEFAULT_BLUEPRINT_FILE)
    names: list[PurePosixPath] = []
    try:
        names.extend(name for name, _ in _members(file))
    except _Enough:
        return
    except _BROKEN:
        raise Unusable(
            f"{path} is neither a blueprint's .yaml file nor an archive that can be read (zip, tar, "
            "tar.gz, tar.bz2)"
        ) from None
    roots = {name.parts[0] for name in names if name.parts}
    if len(roots) != 1 or not any(len(name.parts) > 1 for name in names):
        raise Unusable(f"{path} must have exactly one folder at its root, with everything in it")
    if not any(PurePosixPath(*name.parts[1:]) == main for name in names if len(name.parts) > 1):
        hint = "" if filename else "; name the main file as `filename`"
        raise Unusable(f"{path} has no {main} in its folder{hint}")


def _members(file: Path) -> Iterator[tuple[PurePosixPath, Callable[[], bytes]]]:
    """Yield the names in an archive, each with what reads the beginning of its content."""
    if zipfile.is_zipfile(file):
        with checked_zip(file, MAX_ZIP_DIRECTORY_BYTES) as archive:
            for info in archive.infolist():
                yield _normal(info.filename), partial(_zip_content, archive, info)
        return
    with (
        file.open("rb") as opened,
        _unpacked(opened) as content,
        tarfile.open(fileobj=_Limited(content), mode="r|") as tar,
    ):
        for member in tar:
            yield _normal(member.name), partial(_tar_content, tar, member)


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    """Return what reads a file as it was before it was compressed; managers know no other compression."""
    start = file.read(3)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    return bz2.BZ2File(file) if start.startswith(b"BZh") else file


def _zip_content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as content:
        return content.read(MAX_METADATA_BYTES)


def _tar_content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = archive.extractfile(member)
    return content.read(MAX_METADATA_BYTES) if content else b""


def _normal(name: str) -> PurePosixPath:
    """Return a member's name without ``./`` before it."""
    return PurePosixPath(*[part for part in PurePosixPath(name).parts if part not in (".", "/")])
