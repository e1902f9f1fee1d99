"""The files that snapshots on Tier 2 are made of: made for this user alone, written whole, and looked at as
they are."""

from __future__ import annotations

import os
import stat
from io import FileIO
from pathlib import Path

from cmom.clients.local_files import open_file
from cmom.services.snapshots.manifest import MAX_BYTES, BadManifest, Manifest

_FILE_MODE = 0o600


def new_file(path: Path) -> FileIO:
    """Open a file that must not be there yet, for this user's eyes only; nothing written waits in a
    buffer."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
    os.fchmod(descriptor, _FILE_MODE)
    return FileIO(descriptor, "wb")


def write_all(file: FileIO, content: bytes | memoryview) -> None:
    """Write all of it: a system may take a part, as when the disk is just full.

    Raises:
        OSError: It does not take the rest.
    """
    written = file.write(content) or 0
    while written < len(content):
        written += file.write(memoryview(content)[written:]) or 0


def size_of(path: Path) -> int | None:
    """Return the size of a file; None when there is none, or something else, such as a link."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def read_manifest(path: Path) -> Manifest | None:
    """Read a manifest; None when there is no file.

    Raises:
        BadManifest: It is none, or cannot be read.
    """
    try:
        with open_file(path) as file:
            text = file.read(MAX_BYTES + 1)
        return Manifest.parse(text.decode("utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadManifest(f"{path} cannot be read: {error.strerror}") from error
    except (BadManifest, UnicodeDecodeError) as error:
        raise BadManifest(f"{path} is not the manifest of a snapshot") from error
