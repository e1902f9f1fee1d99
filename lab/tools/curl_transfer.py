"""One transfer of `curl`: the request, the answer, and where its body goes."""

from __future__ import annotations

import asyncio
import base64
import errno
import os
import socket
import ssl
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from lab.tools.call import ToolCall
from lab.tools.curl_options import CurlOptions

CHUNK_BYTES = 1 << 16
DEFAULT_CONNECT_SECONDS = 127.0
"""How long Linux tries to connect when nobody answers."""


class CurlError(Exception):
    """A transfer that failed, with curl's exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Outcome:
    status: int = 0
    received_bytes: int = 0
    url: str = ""
    content_type: str = ""


@dataclass(frozen=True)
class Limits:
    connect_seconds: float
    total_seconds: float | None
    retries: int
    delay_seconds: float

    @classmethod
    def of(cls, options: CurlOptions) -> Limits:
        total = options.seconds("max-time")
        connect = options.seconds("connect-timeout") or DEFAULT_CONNECT_SECONDS
        return cls(
            connect_seconds=min(connect, total or connect),
            total_seconds=total,
            retries=options.count("retry"),
            delay_seconds=options.seconds("retry-delay") or 0.0,
        )


async def fetch(
    call: ToolCall,
    options: CurlOptions,
    limits: Limits,
    url: str,
    target: str | None,
    outcome: Outcome,
) -> None:
    address = url if "://" in url else f"http://{url}"
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https"):
        raise CurlError(1, f"Protocol {parts.scheme} not supported or disabled in libcurl")
    if not parts.hostname:
        raise CurlError(3, "<url> malformed")
    if call.machine.cut_off:
        await call.machine.clock.sleep(limits.connect_seconds)
        raise CurlError(28, "Connection timed out")
    file = _target(call, options, target, parts.path)
    offset = _offset(options, file)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_seconds)
    connector = aiohttp.TCPConnector(resolver=_Resolver(call), ssl=_tls(call, options), force_close=True)
    where = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(
                _method(options),
                address,
                headers=_headers(options, offset),
                data="&".join(options.data) or None,
                allow_redirects="location" in options.flags,
                max_redirects=options.count("max-redirs") or 50,
                auto_decompress="compressed" in options.flags,
            ) as response,
        ):
            outcome.status, outcome.url = response.status, str(response.url)
            outcome.content_type = response.headers.get("Content-Type", "")
            await _body(call, options, response, file, offset, outcome)
    except aiohttp.TooManyRedirects:
        raise CurlError(47, "Maximum (50) redirects followed") from None
    except aiohttp.ClientConnectorCertificateError as error:
        raise CurlError(60, f"SSL certificate problem: {_reason(error)}") from None
    except aiohttp.ClientConnectorSSLError as error:
        raise CurlError(35, f"SSL connect error: {_reason(error)}") from None
    except aiohttp.ServerTimeoutError:
        raise CurlError(28, "Connection timed out") from None
    except aiohttp.ClientConnectorError as error:
        raise _connect_error(error, parts.hostname, where) from None
    except aiohttp.ServerDisconnectedError:
        raise CurlError(52, "Empty reply from server") from None
    except aiohttp.InvalidURL:
        raise CurlError(3, "<url> malformed") from None
    except aiohttp.ClientPayloadError:
        raise CurlError(18, "transfer closed with outstanding read data remaining") from None
    except (aiohttp.ClientError, ConnectionError):
        raise CurlError(56, "Recv failure: Connection reset by peer") from None


def _reason(error: aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError) -> str:
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
    return getattr(inner, "verify_message", None) or getattr(inner, "reason", None) or str(inner)


def _connect_error(error: aiohttp.ClientConnectorError, host: str, where: str) -> CurlError:
    if isinstance(error.os_error, socket.gaierror):
        return CurlError(6, f"Could not resolve host: {host}; Unknown error")
    if isinstance(error.os_error, TimeoutError):
        return CurlError(28, "Connection timed out")
    number = error.os_error.errno or errno.ECONNREFUSED
    return CurlError(7, f"Failed connect to {where}; {os.strerror(number)}")


def _method(options: CurlOptions) -> str:
    if "request" in options.values:
        return options.values["request"]
    if "head" in options.flags:
        return "HEAD"
    return "POST" if options.data and "get" not in options.flags else "GET"


def _headers(options: CurlOptions, offset: int) -> dict[str, str]:
    headers = {"User-Agent": options.values.get("user-agent", "curl/7.29.0"), "Accept": "*/*"}
    if options.data:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    if offset:
        headers["Range"] = f"bytes={offset}-"
    elif "range" in options.values:
        headers["Range"] = f"bytes={options.values['range']}"
    if "user" in options.values:
        token = base64.b64encode(options.values["user"].encode()).decode()
        headers["Authorization"] = f"Basic {token}"
    for line in options.headers:
        name, _, value = line.partition(":")
        headers[name.strip()] = value.strip()
    return headers


def _tls(call: ToolCall, options: CurlOptions) -> ssl.SSLContext | bool:
    if "insecure" in options.flags:
        return False
    if "cacert" not in options.values:
        return True
    file = options.values["cacert"]
    place = call.machine.disk_map.place(call.absolute(file))
    try:
        if not call.privileged and not call.machine.access.may_read(place.inside):
            raise PermissionError
        return ssl.create_default_context(cadata=place.host.read_text(encoding="ascii"))
    except (OSError, ValueError, ssl.SSLError):
        message = f"error setting certificate verify locations:\n  CAfile: {file}\n  CApath: none"
        raise CurlError(77, message) from None


class _Resolver(AbstractResolver):
    """Names as the machine knows them: its /etc/hosts, its neighbours, then the host's resolver."""

    def __init__(self, call: ToolCall) -> None:
        self._machine = call.machine

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self._known(host)
        if address is None:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
            address = str(found[0][4][0])
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=int(socket.AF_INET), proto=0,
                flags=int(socket.AI_NUMERICHOST),
            )
        ]  # fmt: skip

    def _known(self, host: str) -> str | None:
        if host == self._machine.hostname:
            return self._machine.ip
        peer = self._machine.find_peer(host)
        if peer is not None:
            return peer.ip
        for line in self._machine.path("/etc/hosts").read_text(encoding="utf-8").splitlines():
            words = line.split("#")[0].split()
            if host in words[1:]:
                return words[0]
        return None

    async def close(self) -> None:
        return


def _target(call: ToolCall, options: CurlOptions, target: str | None, path: str) -> Any:
    """Where the body goes: None for standard output, else the place of a file."""
    if target in ("", "-"):
        return None
    if target is None:
        target = path.rpartition("/")[2]
        if not target:
            raise CurlError(23, "Remote file name has no length!")
    return call.machine.disk_map.place(call.absolute(target)), target


def _offset(options: CurlOptions, file: Any) -> int:
    where = options.values.get("continue-at")
    if where is None:
        return 0
    if where != "-":
        return int(where) if where.isdigit() else 0
    if file is None:
        return 0
    return int(file[0].host.stat().st_size) if file[0].host.is_file() else 0


async def _body(
    call: ToolCall,
    options: CurlOptions,
    response: aiohttp.ClientResponse,
    file: Any,
    offset: int,
    outcome: Outcome,
) -> None:
    if "fail" in options.flags and response.status >= 400:
        raise CurlError(22, f"The requested URL returned error: {response.status} {response.reason}")
    if offset and response.status == 416:
        # Nothing is left to fetch: the file is whole. curl 7.29 takes it for an answer.
        return
    if offset and response.status != 206:
        raise CurlError(33, "HTTP server doesn't seem to support byte ranges. Cannot resume.")
    handle = _open(call, options, file, offset)
    try:
        if "head" in options.flags or "include" in options.flags:
            lines = [f"{name}: {value}" for name, value in response.headers.items()]
            head = f"HTTP/1.1 {response.status} {response.reason}"
            _put(call, handle, ("\r\n".join([head, *lines]) + "\r\n\r\n").encode())
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            _put(call, handle, chunk)
            outcome.received_bytes += len(chunk)
            if handle is None:
                await call.io.drain()
    finally:
        if handle is not None:
            handle.close()


def _open(call: ToolCall, options: CurlOptions, file: Any, offset: int) -> IO[bytes] | None:
    if file is None:
        return None
    place, name = file
    try:
        if not call.privileged and not call.machine.access.may_write(place.inside):
            raise PermissionError(13, "Permission denied")
        if "create-dirs" in options.flags:
            place.host.parent.mkdir(parents=True, exist_ok=True)
        handle: IO[bytes] = open(place.host, "ab" if offset else "wb")  # noqa: SIM115
    except OSError as error:
        if "silent" not in options.flags:
            call.err(f"Warning: Failed to create the file {name}: {error.strerror}")
        raise CurlError(23, "Failed writing body") from None
    return handle


def _put(call: ToolCall, handle: IO[bytes] | None, data: bytes) -> None:
    if handle is None:
        call.out(data)
        return
    try:
        handle.write(data)
    except OSError:
        raise CurlError(23, "Failed writing body") from None
