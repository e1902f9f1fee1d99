"""Bodies of any size: read and sent in pieces, never held in memory, cut where a fault says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

from aiohttp import BodyPartReader, web

from lab.manager.exceptions import BadParametersError, UnsupportedContentTypeError

CUT = "lab.cut"
"""Where the middleware leaves the `Cut` of a request that is to be cut."""

PIECE_BYTES = 256 * 1024


class ConnectionCutError(Exception):
    """A fault cuts the connection here."""


class Cut:
    """Counts what passes; request and response each for itself."""

    def __init__(self, after_bytes: int) -> None:
        self.after_bytes = after_bytes
        self._received = 0
        self._sent = 0

    def received(self, count: int) -> None:
        """Count what came in.

        Raises:
            ConnectionCutError: That was it.
        """
        self._received += count
        if self._received > self.after_bytes:
            raise ConnectionCutError

    def allowed(self, count: int) -> int:
        """Of `count` bytes that are to be sent, how many still may."""
        allowed = min(count, max(0, self.after_bytes - self._sent))
        self._sent += allowed
        return allowed

    async def answer(self, request: web.Request, whole: web.Response) -> web.StreamResponse:
        """Send the beginning of an answer that announces its whole length."""
        body = whole.body if isinstance(whole.body, bytes) else b""
        if len(body) <= self.after_bytes:
            return whole
        response = web.StreamResponse(status=whole.status, headers=whole.headers)
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: self.allowed(len(body))])
        hang_up(request)
        return response


def hang_up(request: web.Request) -> None:
    """Close the connection after what was written has gone out."""
    if request.transport is not None:
        request.transport.close()


async def pieces(request: web.Request) -> AsyncIterator[bytes]:
    """The request's body, piece by piece.

    Raises:
        ConnectionCutError: A fault cut it.
    """
    cut: Cut | None = request.get(CUT)
    async for piece in request.content.iter_chunked(PIECE_BYTES):
        if cut is not None:
            cut.received(len(piece))
        yield piece


async def save(request: web.Request, target: BinaryIO) -> int:
    """Write the request's body into an open file; returns how many bytes there were."""
    total = 0
    async for piece in pieces(request):
        total += len(piece)
        await asyncio.to_thread(target.write, piece)
    target.flush()
    return total


async def save_part(request: web.Request, part: BodyPartReader, target: BinaryIO) -> int:
    """Write one part of a multipart body into an open file; returns how many bytes there were."""
    cut: Cut | None = request.get(CUT)
    total = 0
    while piece := await part.read_chunk(PIECE_BYTES):
        total += len(piece)
        if cut is not None:
            cut.received(len(piece))
        await asyncio.to_thread(target.write, piece)
    target.flush()
    return total


async def drain(request: web.Request) -> None:
    """Take in what is left of the request's body and forget it."""
    if request.can_read_body:
        async for _ in pieces(request):
            pass


async def read_json(request: web.Request, *, optional: bool = False) -> dict[str, Any]:
    """The request's body as a JSON object; `optional`: no body is an empty one.

    Raises:
        UnsupportedContentTypeError: It is announced as something else.
        BadParametersError: It is something else.
    """
    body = b"".join([piece async for piece in pieces(request)])
    if not body and optional:
        return {}
    if request.content_type not in ("application/json", "application/octet-stream"):
        raise UnsupportedContentTypeError("Content type must be application/json")
    try:
        loaded = json.loads(body)
    except ValueError:
        raise BadParametersError("The request body is not valid JSON") from None
    if not isinstance(loaded, dict):
        raise BadParametersError(
            f"Request body is expected to be a map containing parameters, got {type(loaded)}"
        )
    return loaded


async def send_file(request: web.Request, path: Path, name: str) -> web.StreamResponse:
    """Answer with a file of any size, its length announced, as an attachment."""
    response = web.StreamResponse(
        headers={
            "Content-Disposition": f"attachment; filename={name}",
            "Content-Type": "application/octet-stream",
        }
    )
    cut: Cut | None = request.get(CUT)
    with path.open("rb") as source:
        response.content_length = path.stat().st_size
        await response.prepare(request)
        while piece := await asyncio.to_thread(source.read, PIECE_BYTES):
            allowed = len(piece) if cut is None else cut.allowed(len(piece))
            await response.write(piece[:allowed])
            if allowed < len(piece):
                hang_up(request)
                return response
    await response.write_eof()
    return response
