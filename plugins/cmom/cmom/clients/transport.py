"""HTTPS with an end: a `requests` session whose every request is over in a bounded time.

A read timeout of `requests` counts from one received piece to the next, so a manager that sends a byte now
and then would be waited for without end. Here a request has a deadline in whole: connecting, the TLS
handshake, sending, headers and body. It holds for whoever uses the session, `cloudify_rest_client` included,
because it sits in the socket.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from cmom.errors import ActionRequired

DEFAULT_MAX_ANSWER_BYTES = 32 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_POOL_SIZE = 32


@dataclass(frozen=True)
class Timeouts:
    """How long a request may take.

    Attributes:
        connect_seconds: For the TCP connection; and once more for the TLS handshake.
        read_seconds: The longest silence while sending or receiving.
        total_seconds: The whole request, unless the caller has set another limit with `time_limit`.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    total_seconds: float = 60.0


class AnswerTooLarge(requests.RequestException):
    """An answer that was to be held in memory grew beyond what is sensible."""


@dataclass(frozen=True)
class _Limit:
    deadline: float
    """On `time.monotonic`."""
    read_seconds: float

    def remaining(self) -> float:
        return self.deadline - time.monotonic()

    def next_wait(self) -> float:
        """Return how long the next piece may take.

        Raises:
            TimeoutError: The time is over.
        """
        remaining = self.remaining()
        if remaining <= 0:
            raise TimeoutError("the request took longer than it may take in whole")
        return min(remaining, self.read_seconds)


# A context variable, because the socket is far below whoever knows the limit, and each thread has its own.
_limit: ContextVar[_Limit | None] = ContextVar("cmom_request_limit", default=None)
_outer_deadline: ContextVar[float | None] = ContextVar("cmom_time_limit", default=None)
_silence: ContextVar[float | None] = ContextVar("cmom_silence", default=None)


@contextmanager
def time_limit(seconds: float, *, silence_seconds: float | None = None) -> Iterator[None]:
    """Set how long all requests made inside may take together, instead of each one's default.

    Within another limit the nearer end holds. It also holds for bodies that are streamed inside.

    Args:
        seconds: All requests together.
        silence_seconds: Instead of `Timeouts.read_seconds`, for what a manager does for minutes before it
            answers.
    """
    deadline = time.monotonic() + seconds
    outer = _outer_deadline.get()
    token = _outer_deadline.set(deadline if outer is None else min(outer, deadline))
    silence = _silence.set(_silence.get() if silence_seconds is None else silence_seconds)
    try:
        yield
    finally:
        _silence.reset(silence)
        _outer_deadline.reset(token)


class _LimitedSocket(ssl.SSLSocket):
    """A TLS socket that asks the limit of the current request how long it may wait."""

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        self._set_patience()
        return super().recv_into(buffer, nbytes, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        self._set_patience()
        return super().send(data, flags)

    def _set_patience(self) -> None:
        """Wait no longer than the limit allows; a system call only if that is another time than before.

        A large body comes 16 kB at a time, so what is done here counts.
        """
        limit = _limit.get() or _limit_of_a_body()
        if limit is not None:
            patience = limit.next_wait()
            if patience != self.gettimeout():
                self.settimeout(patience)


def _limit_of_a_body() -> _Limit | None:
    """Return the limit of a body that is streamed after its request was sent."""
    deadline = _outer_deadline.get()
    return None if deadline is None else _Limit(deadline, _silence.get() or float("inf"))


class _LimitedAdapter(HTTPAdapter):
    """Sends requests within their limit, and reads bodies that are not streamed within it as well."""

    def __init__(
        self, context: ssl.SSLContext, ca_cert_path: str, timeouts: Timeouts, max_answer_bytes: int
    ) -> None:
        self._context = context
        self._ca_cert_path = ca_cert_path
        self._timeouts = timeouts
        self._max_answer_bytes = max_answer_bytes
        super().__init__(pool_connections=1, pool_maxsize=_POOL_SIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        # Whatever a caller gives, ours is in force: cloudify_rest_client brings a timeout of (5, 300), and
        # verify=True would add the public CAs to ours.
        outer = _outer_deadline.get()
        deadline = outer if outer is not None else time.monotonic() + self._timeouts.total_seconds
        limit = _Limit(deadline, _silence.get() or self._timeouts.read_seconds)
        token = _limit.set(limit)
        try:
            try:
                patience = limit.next_wait()
            except TimeoutError as error:
                raise requests.Timeout(str(error), request=request) from error
            connect = min(self._timeouts.connect_seconds, patience)
            response = super().send(
                request, stream=True, timeout=(connect, patience), verify=self._ca_cert_path
            )
            if not stream or response.status_code >= requests.codes.bad_request:
                self._read(response)  # an error's body is read into memory by whoever gets it
        finally:
            _limit.reset(token)
        return response

    def _read(self, response: requests.Response) -> None:
        pieces: list[bytes] = []
        size = 0
        for piece in response.iter_content(_CHUNK_BYTES):
            size += len(piece)
            if size > self._max_answer_bytes:
                response.close()
                raise AnswerTooLarge(f"the answer is longer than {self._max_answer_bytes} bytes")
            pieces.append(piece)
        # What `Response.content` would have done, had it a limit.
        response._content = b"".join(pieces)


class LimitedSession(requests.Session):
    """A session for one manager: its CA and no other, no proxies or netrc of the environment, no redirects.

    A redirect would carry the credentials to wherever it points; managers do not redirect, so one is
    returned as what it is, an odd answer.

    Args:
        ca_cert_path: The certificate (PEM) that the manager's certificate must be signed by.
        timeouts: See `Timeouts`.
        max_answer_bytes: The longest answer that is read into memory.

    Raises:
        ActionRequired: The CA certificate cannot be read.
    """

    def __init__(
        self,
        ca_cert_path: str,
        timeouts: Timeouts | None = None,
        max_answer_bytes: int = DEFAULT_MAX_ANSWER_BYTES,
    ) -> None:
        super().__init__()
        try:
            context = ssl.create_default_context(cafile=ca_cert_path)
        except OSError as error:
            # An SSLError is an OSError too, with a strerror that only its makers understand.
            is_ssl = isinstance(error, ssl.SSLError)
            reason = "it is not a certificate in PEM form" if is_ssl else error.strerror
            raise ActionRequired(
                f"The CA certificate {ca_cert_path} cannot be read: {reason}. "
                "Give the certificate that signs those of the managers (input ca_cert)."
            ) from error
        context.sslsocket_class = _LimitedSocket
        self.trust_env = False
        self.verify = ca_cert_path
        self.adapters.clear()  # plain http among them
        self.mount(
            "https://", _LimitedAdapter(context, ca_cert_path, timeouts or Timeouts(), max_answer_bytes)
        )

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return None: an answer that redirects stays as it is."""
        return None
