"""Files over an SFTP session: written aside, checked, renamed; so a file is there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import paramiko

_CHUNK_BYTES = 32768  # the most that every SFTP server takes in one request


class Refused(Exception):  # noqa: N818 - it is what the machine did
    """The machine answered, and said no: no such directory, no permission, a full disk."""


def put(
    session: paramiko.SFTPClient,
    source: BinaryIO,
    remote_path: str,
    mode: int,
    progress: Callable[[int, int], None] | None,
) -> str:
    """Write everything of `source` to `remote_path`.

    Returns:
        The SHA-256 of what was sent, in hexadecimal digits.

    Raises:
        Refused: The machine does not take it.
    """
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    digest = hashlib.sha256()
    aside = _aside(remote_path)
    sent = 0
    with _refusals(aside):
        target = session.open(aside, "wb")
        # Empty still: from here on nobody else can open it.
        target.chmod(0o600)
        target.set_pipelined(True)
        while piece := source.read(_CHUNK_BYTES):
            target.write(piece)
            digest.update(piece)
            sent += len(piece)
            if progress is not None:
                progress(sent, size)
        target.close()
        arrived = session.stat(aside).st_size
        if arrived != sent:
            raise Refused(f"{aside} has {arrived} bytes after {sent} were sent; is the disk full?")
        session.chmod(aside, mode)
        session.posix_rename(aside, remote_path)
    return digest.hexdigest()


def put_content(session: paramiko.SFTPClient, content: bytes, remote_path: str, mode: int) -> None:
    """Write `content` to `remote_path`."""
    put(session, io.BytesIO(content), remote_path, mode, None)


def read(session: paramiko.SFTPClient, remote_path: str, limit_bytes: int) -> bytes | None:
    """Return the content of a file, None when there is none; at most `limit_bytes` of it."""
    try:
        with _refusals(remote_path), session.open(remote_path, "rb") as source:
            return source.read(limit_bytes)
    except Refused as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def _aside(remote_path: str) -> str:
    folder, name = posixpath.split(remote_path)
    return posixpath.join(folder, f".{name}.cmom-part")


@contextmanager
def _refusals(path: str) -> Iterator[None]:
    """Tell the machine's own refusals from a connection that broke.

    paramiko raises OSError for both: with ENOENT or EACCES, or without a number, for an answer of the server.
    """
    try:
        yield
    except OSError as error:
        number = error.errno
        if number in (errno.ENOENT, errno.EACCES):
            raise Refused(f"{path}: {error.strerror}") from error
        if type(error) is OSError and number is None and "Socket is closed" not in str(error):
            raise Refused(f"{path}: {error}; is the disk full?") from error
        raise
