"""Fetching a file from a URL to disk, streamed and bounded."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import requests
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema, TooManyRedirects
from urllib3.exceptions import LocationValueError

from cmom.clients.deadline import within
from cmom.clients.streams import CHUNK_BYTES, Body
from cmom.clients.urls import shown_source
from cmom.errors import ActionRequired, CmomError, TryAgainLater

_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 60.0
_TOTAL_SECONDS = 2 * 3600.0
# What is left on the disk for others.
_SPARE_BYTES = 256 * 1024 * 1024
_LATER = frozenset({408, 425, 429})
_MOST_REDIRECTS = 5
_NUMBER = re.compile(r"[0-9]{1,18}\Z")


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
    shown = shown_source(url)
    try:
        with within(total_seconds, f"fetch {shown}", lambda: _begin(url)) as response:
            if response.status_code != requests.codes.ok:
                raise _refusal(shown, response)
            size = _length(response)
            _check_room(shown, target, size)
            _save(response, target, shown, size, deadline, progress)
    # The libraries' own words are dropped: they hold the whole URL, credentials and all.
    except requests.exceptions.SSLError:
        raise ActionRequired(
            f"Fetching {shown}: the server's certificate is not trusted by this machine."
        ) from None
    except (InvalidSchema, InvalidURL, MissingSchema, TooManyRedirects, UnicodeError, LocationValueError):
        raise ActionRequired(
            f"Fetching {shown}: it is no URL that can be fetched, or leads on to one that cannot."
        ) from None
    except requests.RequestException as error:
        reason = type(error).__name__
        raise TryAgainLater(f"Fetching {shown}: no (whole) answer ({reason}).") from None
    except OSError as error:
        raise ActionRequired(
            f"Fetching {shown}: it cannot be written to {target}: {error.strerror}."
        ) from error


def _begin(url: str) -> requests.Response:
    session = requests.Session()
    session.max_redirects = _MOST_REDIRECTS
    return session.get(url, stream=True, timeout=(_CONNECT_SECONDS, _SILENCE_SECONDS))


def _length(response: requests.Response) -> int:
    """Return how many bytes will come; 0 where nobody can tell."""
    if response.headers.get("Content-Encoding"):
        return 0  # the length is that of the encoded content, what arrives is decoded
    said = response.headers.get("Content-Length") or ""
    return int(said) if _NUMBER.match(said) else 0


def _save(
    response: requests.Response,
    target: Path,
    shown: str,
    size: int,
    deadline: float,
    progress: Callable[[int, int], None] | None,
) -> None:
    done = unchecked = 0
    body = Body(response, deadline, decoded=True)
    with target.open("wb") as file:
        while piece := body.read(CHUNK_BYTES):
            file.write(piece)
            done += len(piece)
            unchecked += len(piece)
            if unchecked > _SPARE_BYTES // 4:
                unchecked = 0
                _check_room(shown, target, 0)
            if progress is not None:
                progress(done, size)
    if size and done != size:
        raise TryAgainLater(f"Fetching {shown}: {done} of {size} bytes came.")


def _refusal(shown: str, response: requests.Response) -> CmomError:
    said = f"Fetching {shown}: the server answered {response.status_code} {(response.reason or '')[:80]}."
    if response.status_code >= requests.codes.server_error or response.status_code in _LATER:
        return TryAgainLater(said)
    return ActionRequired(said)


def _check_room(shown: str, target: Path, size: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free - size < _SPARE_BYTES:
        raise ActionRequired(
            f"Fetching {shown}: not enough room in {target.parent}, {free // 2**20} MB are free. "
            "Make room there, or set TMPDIR to another place."
        )
