"""Zip archives from strangers, opened without the cost that they may be made to have."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

_ENTRY_BYTES = 46  # the least that an entry of the directory has
# Deflate, the only compression that a manager or `wagon` uses, makes no more than this of a byte.
MAX_RATIO = 1032
_KNOWN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def checked_zip(path: Path, max_directory_bytes: int) -> zipfile.ZipFile:
    """Open a zip whose directory, which is read whole, is no longer than it may be.

    Raises:
        zipfile.BadZipFile: It is longer, or there is none.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        end: Any = zipfile._EndRecData(file)  # type: ignore[attr-defined] # the one that ZipFile itself uses
    if end and end[zipfile._ECD_SIZE] > max_directory_bytes:  # type: ignore[attr-defined]
        raise zipfile.BadZipFile(f"its directory is longer than {max_directory_bytes} bytes")
    return zipfile.ZipFile(path)


def check_members(archive: zipfile.ZipFile, size_bytes: int) -> None:
    """Check that the members together can be what they say: each byte of the archive belongs to one at most.

    A zip in which members share their bytes unpacks to petabytes from some megabytes.

    Args:
        archive: The archive.
        size_bytes: Of its file.

    Raises:
        zipfile.BadZipFile: They cannot.
    """
    packed = 0
    for member in archive.infolist():
        if member.compress_type not in _KNOWN:
            raise zipfile.BadZipFile("a member is compressed in a way that no manager uses")
        if member.file_size > member.compress_size * MAX_RATIO + MAX_RATIO:
            raise zipfile.BadZipFile("a member says that it is larger than its bytes can be")
        packed += member.compress_size + _ENTRY_BYTES
        if packed > size_bytes:
            raise zipfile.BadZipFile("its members share their bytes")
