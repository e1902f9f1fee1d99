"""A TLS server that answers with exactly the bytes it is told, at the pace it is told."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lab.manager import certificates

Script = Callable[[ssl.SSLSocket, bytes], None]


class RawServer:
    """Serves one connection after the other: reads a request's head, then lets `script` do as it likes.

    Its certificate is for `name`, or its own address. Use it as a context. `script` gets the connection and
    the head; when it returns, the connection is closed.
    """

    def __init__(
        self,
        folder: Path,
        ca: tuple[Path, Path],
        script: Script,
        *,
        ip: str = "127.77.1.1",
        name: str | None = None,
    ) -> None:
        pair = certificates.make_pair([name or ip], ca[0].read_bytes(), ca[1].read_bytes())
        folder.mkdir(parents=True, exist_ok=True)
        files = folder / "cert.pem", folder / "key.pem"
        for path, content in zip(files, pair, strict=True):
            path.write_bytes(content)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*files)
        self._script = script
        self._listener = socket.create_server((ip, 0))
        self._listener.settimeout(0.1)
        self.ip = ip
        self.port = int(self._listener.getsockname()[1])
        self.requests: list[bytes] = []
        self.stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> RawServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._thread.join(30)
        self._listener.close()

    def _serve(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(10)
            try:
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        received = secured.recv(65536)
                        if not received:
                            break
                        head += received
                    self.requests.append(head)
                    self._script(secured, head)
            except OSError:
                continue

    def drip(self, connection: ssl.SSLSocket, piece: bytes, pause_seconds: float = 0.05) -> None:
        """Send the same few bytes again and again, until the other side has had enough."""
        while not self.stopped.is_set():
            connection.sendall(piece)
            time.sleep(pause_seconds)


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Make a whole answer."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body
