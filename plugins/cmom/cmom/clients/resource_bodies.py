"""Bodies of uploads, made while they are sent: whatever their size, a piece of them is in memory."""

from __future__ import annotations

import json
import secrets
import zipfile
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

PIECE_BYTES = 256 * 1024
# A date that is always the same: the same files give the same zip.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_WORLD_READABLE = 0o644 << 16

Progress = Callable[[int], None]
"""Is told how many more bytes have gone."""


def nothing_to_tell(count: int) -> None:
    """Take no notice of progress."""


def file_pieces(path: Path, progress: Progress = nothing_to_tell) -> Iterator[bytes]:
    """Yield the content of a file.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as source:
        while piece := source.read(PIECE_BYTES):
            yield piece
            progress(len(piece))


class _Passage:
    """What a zip is written into, and taken out of again, piece by piece. It cannot be wound back."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Do nothing; zipfile asks for it."""

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def zip_pieces(
    files: Mapping[str, Path], progress: Progress = nothing_to_tell
) -> Generator[bytes, None, None]:
    """Yield a zip of some files, all at its root, without compressing them.

    The sizes stand behind each file and in the directory at the end, since they cannot be written in front
    of what is read only once; every reader that opens a zip as a file knows this form.

    Args:
        files: The name in the zip, and the file.
        progress: Is told of the files' bytes, not of those around them.

    Raises:
        OSError: One cannot be read.
    """
    passage = _Passage()
    with zipfile.ZipFile(passage, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for name, path in files.items():
            info = zipfile.ZipInfo(name, _ZIP_DATE)
            info.external_attr = _WORLD_READABLE
            info.file_size = path.stat().st_size
            with path.open("rb") as source, archive.open(info, "w") as target:
                while piece := source.read(PIECE_BYTES):
                    target.write(piece)
                    yield passage.take()
                    progress(len(piece))
    yield passage.take()


class BlueprintForm:
    """A form (multipart/form-data) as generation 5 wants a blueprint: parameters as JSON, and the archive.

    Its length is known beforehand, so it goes without chunks, as a browser or the CLI would send it.

    Args:
        params: Visibility, name of the main file and so on.
        archive: The archive.
        progress: Is told of the archive's bytes.
    """

    def __init__(
        self, params: Mapping[str, Any], archive: Path, progress: Progress = nothing_to_tell
    ) -> None:
        self._boundary = secrets.token_hex(16)
        self._archive = archive
        self._progress = progress
        line = f"--{self._boundary}\r\n"
        head = [
            line,
            'Content-Disposition: form-data; name="params"\r\n\r\n',
            f"{json.dumps(params)}\r\n",
            line,
            'Content-Disposition: form-data; name="blueprint_archive"; filename="filename"\r\n',
            "Content-Type: text/plain\r\n\r\n",
        ]
        self._head = "".join(head).encode()
        self._tail = f"\r\n--{self._boundary}--\r\n".encode()

    @property
    def content_type(self) -> str:
        """For the request's header."""
        return f"multipart/form-data; boundary={self._boundary}"

    def __len__(self) -> int:
        return len(self._head) + self._archive.stat().st_size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        yield from file_pieces(self._archive, self._progress)
        yield self._tail
