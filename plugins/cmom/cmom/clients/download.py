"""Fetching a file from a URL to disk, streamed and bounded."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import requests

from cmom.errors import ActionRequired, CmomError, TryAgainLater

_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 60.0
_TOTAL_SECONDS = 2 * 3600.0
_PIECE_BYTES = 256 * 1024
# What is left on the disk for others.
_SPARE_BYTES = 256 * 1024 * 1024
_LATER = frozenset({408, 425, 429})


def shown_url(url: str) -> str:
    """Return a URL for a message: without the user, the password or the query that may let one in."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def download(
    url: str,
    target: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    total_seconds: float = _TOTAL_SECONDS,
) -> None:
    """Fetch a file.

    Proxies and CAs are those of the environment: what is fetched lies in the world outside, where our own
    CA knows nobody.

    Args:
        url: http or https.
        target: Where to put it; what is there is overwritten.
        progress: Is told how many bytes have come, and how many there are (0 when nobody says).
        total_seconds: How long it may take.

    Raises:
        TryAgainLater: No answer, a 5xx, or too slow.
        ActionRequired: Refused, not there, or larger than what the disk can take.
    """
    deadline = time.monotonic() + total_seconds
    try:
        with requests.get(url, stream=True, timeout=(_CONNECT_SECONDS, _SILENCE_SECONDS)) as response:
            if response.status_code != requests.codes.ok:
                raise _refusal(url, response)
            size = int(response.headers.get("Content-Length") or 0)
            if response.headers.get("Content-Encoding"):
                size = 0  # the length is that of the encoded content, what arrives is decoded
            _check_room(url, target, size)
            _save(response, target, url, size, deadline, progress)
    except requests.exceptions.SSLError as error:
        raise ActionRequired(
            f"Fetching {shown_url(url)}: the server's certificate is not trusted by this machine."
        ) from error
    except requests.RequestException as error:
        reason = type(error).__name__
        raise TryAgainLater(f"Fetching {shown_url(url)}: no (whole) answer ({reason}).") from error
    except OSError as error:
        raise ActionRequired(
            f"Fetching {shown_url(url)}: it cannot be written to {target}: {error.strerror}."
        ) from error


def _save(
    response: requests.Response,
    target: Path,
    url: str,
    size: int,
    deadline: float,
    progress: Callable[[int, int], None] | None,
) -> None:
    done = unchecked = 0
    with target.open("wb") as file:
        for piece in response.iter_content(_PIECE_BYTES):
            file.write(piece)
            done += len(piece)
            unchecked += len(piece)
            if time.monotonic() > deadline:
                raise TryAgainLater(f"Fetching {shown_url(url)}: it took too long, after {done} bytes.")
            if unchecked > _SPARE_BYTES // 4:
                unchecked = 0
                _check_room(url, target, 0)
            if progress is not None:
                progress(done, size)
    if size and done != size:
        raise TryAgainLater(f"Fetching {shown_url(url)}: {done} of {size} bytes came.")


def _refusal(url: str, response: requests.Response) -> CmomError:
    said = f"Fetching {shown_url(url)}: the server answered {response.status_code} {response.reason}."
    if response.status_code >= requests.codes.server_error or response.status_code in _LATER:
        return TryAgainLater(said)
    return ActionRequired(said)


def _check_room(url: str, target: Path, size: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free - size < _SPARE_BYTES:
        raise ActionRequired(
            f"Fetching {shown_url(url)}: not enough room in {target.parent}, {free // 2**20} MB are free. "
            "Make room there, or set TMPDIR to another place."
        )
