"""A body as it comes from a server that may be slow without end."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from typing import Any

import requests
import urllib3

CHUNK_BYTES = 16 * 1024


class Body:
    """A response's body, read piece by piece as it comes, with a deadline.

    Args:
        response: Of a request that was streamed.
        deadline: On `time.monotonic`; each read ends at most one time-out of the socket later.
        decoded: Whether what is compressed on the way is wanted as it was before.
    """

    def __init__(self, response: requests.Response, deadline: float, *, decoded: bool = False) -> None:
        self._raw: Any = response.raw
        self._deadline = deadline
        self._decoded = decoded

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes as soon as there are any; nothing at the end.

        Raises:
            requests.Timeout: The deadline is over, or nothing came for too long.
            requests.ConnectionError: It broke.
        """
        if time.monotonic() > self._deadline:
            raise requests.Timeout
        # read1 returns what has arrived; read would wait for all of it, however slowly it drips.
        read: Callable[..., bytes] = getattr(self._raw, "read1", self._raw.read)
        try:
            piece = read(min(size, CHUNK_BYTES), decode_content=self._decoded)
        except (urllib3.exceptions.TimeoutError, TimeoutError):
            raise requests.Timeout from None
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise requests.ConnectionError(type(error).__name__) from None
        if not piece and getattr(self._raw, "length_remaining", None):
            raise requests.ConnectionError("cut")
        return piece
