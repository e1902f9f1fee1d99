"""The real REST client on managers of the lab, and what is needed around it."""

from __future__ import annotations

import functools
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cloudify_rest_client import CloudifyClient
from cloudify_rest_client.exceptions import CloudifyClientError

from lab.clock import ManualClock
from lab.manager import certificates
from lab.manager.host import Settings
from lab.manager.standalone import StandaloneManager


@functools.cache
def shared_ca() -> tuple[Path, Path]:
    """One CA for the whole run: making its key is what takes long."""
    folder = Path(tempfile.mkdtemp(dir=os.environ["HOME"]))
    paths = folder / "ca_cert.pem", folder / "ca_key.pem"
    for path, content in zip(paths, certificates.make_authority(), strict=True):
        path.write_bytes(content)
    return paths


def manager_of(
    folder: Path, version: str, settings: Settings | None = None, **arguments: Any
) -> StandaloneManager:
    """A manager of a version whose time is moved by hand."""
    return StandaloneManager(
        folder,
        version=version,
        settings=settings,
        clock=arguments.pop("clock", ManualClock()),
        ca=shared_ca(),
        **arguments,
    )


def connect(manager: StandaloneManager, **changes: Any) -> Any:
    """The real client for a manager."""
    return CloudifyClient(**{**manager.client_arguments(), **changes})


@contextmanager
def refused(status: int, code: str | None, words: str | None = None) -> Iterator[None]:
    """The manager refuses with this status and this code."""
    with pytest.raises(CloudifyClientError, match=words) as caught:
        yield
    assert (caught.value.status_code, caught.value.error_code) == (status, code)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A folder over HTTP; gives the URL."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def upload_blueprint(client: Any, path: Path, identifier: str, **arguments: Any) -> Any:
    """Upload a blueprint the way this manager's generation takes it."""
    modern = not client.manager.get_version()["version"].startswith("4")
    return client.blueprints.upload(str(path), identifier, legacy=not modern, **arguments)


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait in real time for something that another thread does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
