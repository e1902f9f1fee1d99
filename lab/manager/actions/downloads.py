"""Archives that a manager is to fetch from a URL itself."""

from __future__ import annotations

import asyncio
import shutil
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from lab.manager.exceptions import BadParametersError, NotFoundError

_DEADLINE_SECONDS = 60.0


async def fetch(url: str, target: Path) -> None:
    """Fetch a URL into a file.

    Raises:
        BadParametersError: It is no URL the manager takes.
        NotFoundError: There is nothing.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https", "ftp"):
        raise BadParametersError(f"URL {url} is malformed - unknown url type")
    await asyncio.to_thread(_fetch, url, target)


def _fetch(url: str, target: Path) -> None:
    try:
        with (
            urllib.request.urlopen(url, timeout=_DEADLINE_SECONDS) as source,
            target.open("wb") as file,
        ):
            shutil.copyfileobj(source, file, 1 << 20)
    except (urllib.error.URLError, OSError) as error:
        raise NotFoundError(f"URL {url} not found - {error}") from error
