"""What makes a file a snapshot: a zip that is whole, with the version of its managers in it.

Whatever the size, a piece of it is in memory: a zip's directory at its end, and then one member after the
other.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cmom.errors import ActionRequired
from cmom.models import Version
from cmom.services.snapshots.manifest import Manifest
from cmom.services.zips import check_members, checked_zip

PIECE_BYTES = 1024 * 1024
_METADATA = "metadata.json"
_MAX_METADATA_BYTES = 1024 * 1024

Progress = Callable[[int], None]
"""Is told how many more bytes were read."""

MAX_DIRECTORY_BYTES = 64 * 1024 * 1024
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    ArithmeticError,
    LookupError,
    RuntimeError,
    NotImplementedError,
)


class DamagedArchive(ActionRequired):
    """A file is not a whole snapshot."""


def _nothing_to_tell(count: int) -> None:
    """Take no notice of progress."""


def check_archive(path: Path, progress: Progress = _nothing_to_tell) -> Version:
    """Read all of an archive, and compare each member with its checksum (CRC 32).

    Returns:
        The version of the managers that it was taken from.

    Raises:
        DamagedArchive: It is not whole, or no snapshot.
    """
    try:
        with checked_zip(path, MAX_DIRECTORY_BYTES) as archive:
            check_members(archive, path.stat().st_size)
            for member in archive.infolist():
                with archive.open(member) as content:
                    while piece := content.read(PIECE_BYTES):
                        progress(len(piece))
            return _version(archive)
    except _BROKEN as error:
        raise DamagedArchive(f"{path} is no whole snapshot: {_reason(error)}") from error
    except OSError as error:
        raise DamagedArchive(f"{path} cannot be read: {error.strerror or 'it ends too early'}") from error


def archive_version(path: Path) -> Version:
    """Return the version of the managers that an archive was taken from, without reading all of it.

    Raises:
        DamagedArchive: It is no snapshot.
    """
    try:
        with checked_zip(path, MAX_DIRECTORY_BYTES) as archive:
            return _version(archive)
    except _BROKEN as error:
        raise DamagedArchive(f"{path} is no whole snapshot: {_reason(error)}") from error
    except OSError as error:
        raise DamagedArchive(f"{path} cannot be read: {error.strerror or 'it ends too early'}") from error


def hash_file(path: Path, progress: Progress = _nothing_to_tell) -> tuple[str, int]:
    """Return the SHA-256 of a file, in hexadecimal, and its length in bytes.

    Raises:
        OSError: It cannot be read.
    """
    sha256, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE_BYTES):
            sha256.update(piece)
            size += len(piece)
            progress(len(piece))
    return sha256.hexdigest(), size


def check_against(path: Path, manifest: Manifest, progress: Progress = _nothing_to_tell) -> None:
    """Compare a file with its manifest, byte for byte by its hash.

    Raises:
        DamagedArchive: It is another one.
    """
    try:
        size = path.stat().st_size
        if size != manifest.bytes:
            raise DamagedArchive(f"{path} has {size} bytes, but its manifest says {manifest.bytes}")
        sha256, _ = hash_file(path, progress)
    except FileNotFoundError as error:
        raise DamagedArchive(f"{path} is not there (any more)") from error
    except OSError as error:
        raise DamagedArchive(f"{path} cannot be read: {error.strerror}") from error
    if sha256 != manifest.sha256:
        raise DamagedArchive(
            f"the content of {path} is not what it was: its SHA-256 differs from its manifest's"
        )


def _version(archive: zipfile.ZipFile) -> Version:
    try:
        info = archive.getinfo(_METADATA)
    except KeyError:
        raise ValueError(f"it has no {_METADATA}") from None
    with archive.open(info) as file:
        metadata: Any = json.loads(file.read(_MAX_METADATA_BYTES))
    version = metadata.get("snapshot_version") if isinstance(metadata, dict) else None
    if not isinstance(version, str):
        raise ValueError(f"its {_METADATA} names no version")
    try:
        return Version.parse(version)
    except ActionRequired as error:
        raise ValueError(str(error)) from error


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    if isinstance(error, zipfile.BadZipFile) and "not a zip" in text:
        return "it is not a zip archive, or its end is missing"
    return text or type(error).__name__
