"""Sessions of `requests` with an end: every answer comes in a bounded time, is of a bounded length, and is
nobody else's.

The time is kept by the sockets (`clients.limits`), so it holds for whoever uses a session,
`cloudify_rest_client` included.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection
from urllib3.util.ssl_ import create_urllib3_context

from cmom.clients.limits import LimitedSocket, LimitedTlsSocket, Timeouts, request_limit
from cmom.errors import ActionRequired

DEFAULT_MAX_ANSWER_BYTES = 32 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_POOL_SIZE = 32


class AnswerTooLarge(requests.RequestException):
    """An answer that was to be held in memory grew beyond what is sensible."""


class _LimitedConnection(HTTPConnection):
    """A connection without TLS."""

    def _new_conn(self) -> LimitedSocket:
        found = super()._new_conn()
        patience = found.gettimeout()
        limited = LimitedSocket(found.family, found.type, found.proto, fileno=found.detach())
        limited.settimeout(patience)
        return limited


class _LimitedPool(HTTPConnectionPool):
    ConnectionCls = _LimitedConnection


# TLS brings its own kind of socket (`SSLContext.sslsocket_class`).
_POOLS = {"http": _LimitedPool, "https": HTTPSConnectionPool}


class _LimitedAdapter(HTTPAdapter):
    """Sends requests within their limit, and reads bodies that are not streamed within it as well.

    Args:
        context: How TLS is spoken; becomes this adapter's own.
        ca_cert_path: Trusted whatever a caller says; None to do as the caller says.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        timeouts: Timeouts,
        max_answer_bytes: int,
        ca_cert_path: str | None = None,
    ) -> None:
        context.sslsocket_class = LimitedTlsSocket
        self._context = context
        self._ca_cert_path = ca_cert_path
        self._timeouts = timeouts
        self._max_answer_bytes = max_answer_bytes
        super().__init__(pool_connections=1 if ca_cert_path else _POOL_SIZE, pool_maxsize=_POOL_SIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)
        self.poolmanager: PoolManager
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

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
        try:
            with request_limit(self._timeouts) as patience:
                connect = min(self._timeouts.connect_seconds, patience)
                response = super().send(
                    request,
                    stream=True,
                    timeout=(connect, patience),
                    verify=self._ca_cert_path or verify,
                    proxies=proxies,
                )
                if not stream or response.status_code >= requests.codes.bad_request:
                    self._read(response)  # an error's body is read into memory by whoever gets it
        except TimeoutError as error:
            raise requests.Timeout(str(error), request=request) from error
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


class _UnledSession(requests.Session):
    """Goes nowhere but where it is sent: credentials would go along."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return None: an answer that redirects stays as it is."""
        return None


class LimitedSession(_UnledSession):
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
        self.trust_env = False
        self.verify = ca_cert_path
        self.adapters.clear()  # plain http among them
        self.mount(
            "https://", _LimitedAdapter(context, timeouts or Timeouts(), max_answer_bytes, ca_cert_path)
        )


class CloudSession(_UnledSession):
    """A session for the services of a cloud: with TLS or without, through a proxy of the environment.

    Args:
        verify: The path of a CA certificate, True for the system's, False to check nothing.
        timeouts: See `Timeouts`.
        max_answer_bytes: The longest answer that is read into memory.
    """

    def __init__(
        self,
        verify: bool | str,
        timeouts: Timeouts | None = None,
        max_answer_bytes: int = DEFAULT_MAX_ANSWER_BYTES,
    ) -> None:
        super().__init__()
        self.verify = verify
        # It trusts nobody yet: whom it is to trust `requests` finds by `verify`, and by the environment.
        context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if verify else ssl.CERT_NONE)
        adapter = _LimitedAdapter(context, timeouts or Timeouts(), max_answer_bytes)
        for scheme in ("https://", "http://"):
            self.mount(scheme, adapter)
