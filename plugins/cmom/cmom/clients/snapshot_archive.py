"""The archive of a snapshot as it comes from a Tier 1 manager: in pieces, and from where it broke off.

nginx serves the file on a manager. It tells the length, and an ``ETag``; with that (``If-Range``) it goes
on in the middle of the same file, and begins anew with another one, say that of a new leader.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from cmom.clients.limits import time_limit
from cmom.clients.tenant_api import TenantApi, quoted

# Where the body is read as requests offers it: as much as TLS brings at a time.
_PIECE_BYTES = 16 * 1024
SILENCE_SECONDS = 60.0
TOTAL_SECONDS = 12 * 3600.0
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})\Z")
_LENGTH = re.compile(r"[0-9]{1,18}\Z")
_OK, _PARTIAL = 200, 206


@dataclass(frozen=True)
class ArchiveStream:
    """An archive that is coming.

    Attributes:
        offset: Of the first byte that comes; 0 when the manager does not go on in the middle.
        total_bytes: The length of the whole archive; None when the manager does not tell.
        etag: Tells whether a later look is at the same file; empty when the manager does not tell.
        read_into: Puts the next bytes at the beginning of some memory, and returns how many; 0 at the end.
            It is called inside the context.
    """

    offset: int
    total_bytes: int | None
    etag: str
    read_into: Callable[[memoryview], int] = field(repr=False)


@contextmanager
def open_archive(
    api: TenantApi,
    snapshot_id: str,
    *,
    offset: int = 0,
    etag: str = "",
    silence_seconds: float = SILENCE_SECONDS,
    total_seconds: float = TOTAL_SECONDS,
) -> Iterator[ArchiveStream]:
    """Begin to download a snapshot's archive; what is read inside the context is bounded in time, too.

    Args:
        api: The manager.
        snapshot_id: Which snapshot.
        offset: How much of it is here already.
        etag: Of that; without one it is begun anew.
        silence_seconds: How long the manager may be silent.
        total_seconds: How long it may take.

    Raises:
        ManagerUnreachable: No answer, or it broke off.
        CmomError: See `rest_errors`; also for what goes wrong while it is read.
    """
    client = api.in_tenant("")
    headers = {"Accept-Encoding": "identity"}
    if offset and etag:
        headers |= {"Range": f"bytes={offset}-", "If-Range": etag}

    def send() -> Any:
        return client.rest.snapshots.api.get(
            f"/snapshots/{quoted(snapshot_id)}/archive",
            headers=headers,
            stream=True,
            expected_status_code=(_OK, _PARTIAL),
        )

    with (
        client.errors(f"downloading snapshot {snapshot_id}"),
        time_limit(total_seconds, silence_seconds=silence_seconds),
    ):
        response = send()
        try:
            begin, total = _extent(response.headers)
            yield ArchiveStream(begin, total, _strong_etag(response.headers), _reader(response))
        finally:
            response.close()


def _reader(streamed: Any) -> Callable[[memoryview], int]:
    """Return what reads the body: right into the memory of whoever asks, or from pieces that are copied."""
    source = _source(streamed)
    if source is None:
        return _Copied(streamed.bytes_stream(_PIECE_BYTES)).read_into

    def read_into(memory: memoryview) -> int:
        try:
            return source.readinto(memory)
        except http.client.HTTPException as error:
            raise requests.ConnectionError(str(error)) from error

    return read_into


def _source(streamed: Any) -> http.client.HTTPResponse | None:
    """Return what requests and urllib3 read the body from; None where their version has it elsewhere.

    Through all their layers each piece is memory of its own, asked of the system and given back: for
    gigabytes that was found to take as long as everything else together.
    """
    source = getattr(getattr(getattr(streamed, "_response", None), "raw", None), "_fp", None)
    return source if isinstance(source, http.client.HTTPResponse) else None


class _Copied:
    """A body that comes in pieces of memory of their own."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def read_into(self, memory: memoryview) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(memory), len(self._left))
        memory[:count], self._left = self._left[:count], self._left[count:]
        return count


def _extent(headers: Any) -> tuple[int, int | None]:
    match = _RANGE.match(headers.get("Content-Range") or "")
    if match:
        return int(match.group(1)), int(match.group(2))
    length = headers.get("Content-Length") or ""
    return 0, int(length) if _LENGTH.match(length) else None


def _strong_etag(headers: Any) -> str:
    """Return the ETag; none for a weak one, which does not promise the same bytes."""
    etag = str(headers.get("ETag") or "")
    return "" if etag.startswith("W/") else etag
