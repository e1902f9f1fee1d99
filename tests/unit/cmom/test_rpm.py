"""Reading the header of an install RPM, from a file and over real HTTP."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmom.clients.rpm import read_package
from cmom.errors import ActionRequired, CmomError, TryAgainLater
from cmom.models import Host, Package, Version
from cmom.services.certificates import issue
from lab.rpm_builder import build_rpm
from tests.unit.cmom.given_ca import make_ca

PADDING_BYTES = 3_000_000
PASSWORD = "canary-of-the-url"


@pytest.fixture(scope="module")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rpm") / "cloudify-manager-install-4.6.0.rpm"
    build_rpm(path, version="4.6.0", padding_bytes=PADDING_BYTES)
    return path


class Requests:
    """What a server saw and sent."""

    def __init__(self) -> None:
        self.ranges: list[str | None] = []
        self.authorizations: list[str | None] = []
        self.sent_bytes = 0


Answer = Callable[[BaseHTTPRequestHandler, Requests], None]


@contextmanager
def server(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[tuple[str, Requests]]:
    """Serve on loopback; gives the address and what was seen."""
    seen = Requests()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            seen.ranges.append(self.headers["Range"])
            seen.authorizations.append(self.headers["Authorization"])
            with suppress(OSError):  # the client closes when it has enough, as it should
                answer(self, seen)

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    httpd = Quiet(("127.0.0.1", 0), Handler)
    if context is not None:
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{httpd.server_address[1]}", seen
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join(5)


def send(handler: BaseHTTPRequestHandler, seen: Requests, content: bytes) -> None:
    for start in range(0, len(content), 16_384):
        handler.wfile.write(content[start : start + 16_384])
        seen.sent_bytes += 16_384


def with_ranges(content: bytes) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, seen: Requests) -> None:
        first, last = handler.headers["Range"].removeprefix("bytes=").split("-")
        piece = content[int(first) : int(last) + 1]
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {first}-{int(first) + len(piece) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(piece)))
        handler.end_headers()
        send(handler, seen, piece)

    return answer


def without_ranges(content: bytes, length: int | None = None) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, seen: Requests) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(length or len(content)))
        handler.end_headers()
        send(handler, seen, content)

    return answer


def with_status(status: int, location: str | None = None) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, seen: Requests) -> None:
        handler.send_response(status)
        if location:
            handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def test_a_local_file_tells_its_name_and_version(rpm):
    assert read_package(str(rpm)) == Package(
        "cloudify-manager-install", Version("4.6.0", (4, 6, 0)), release="ga", arch="x86_64"
    )


@pytest.mark.parametrize(("version", "generation"), [("4.3.0", 4), ("4.6", 4), ("5.1.0", 5), ("7.0.5", 5)])
def test_the_version_tells_the_generation(tmp_path, version, generation):
    build_rpm(tmp_path / "x.rpm", version=version)
    assert read_package(str(tmp_path / "x.rpm")).version.generation == generation


def test_the_rpm_of_another_package_is_refused(tmp_path):
    build_rpm(tmp_path / "x.rpm", name="nginx", version="1.2.3")
    with pytest.raises(ActionRequired, match=r"is the RPM of 'nginx'; that of 'cloudify-manager-install'"):
        read_package(str(tmp_path / "x.rpm"))


@pytest.mark.parametrize("content", [b"", b"\xed\xab", b"PK\x03\x04 a zip", b"<!DOCTYPE html>" * 100])
def test_what_is_no_rpm_is_refused(tmp_path, content):
    (tmp_path / "x.rpm").write_bytes(content)
    with pytest.raises(ActionRequired, match="is not an RPM package"):
        read_package(str(tmp_path / "x.rpm"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ActionRequired, match=rf"no file {tmp_path}/none\.rpm"):
        read_package(str(tmp_path / "none.rpm"))


def test_a_folder_is_no_rpm(tmp_path):
    with pytest.raises(ActionRequired, match="is not a file"):
        read_package(str(tmp_path))


def test_a_path_that_no_file_can_have_is_refused():
    with pytest.raises(ActionRequired, match="cannot be read"):
        read_package("/tmp/a\0b")


@pytest.mark.parametrize("size", [50, 96, 110, 200, 400, 900])
def test_a_file_that_ends_within_its_header_is_incomplete(tmp_path, rpm, size):
    (tmp_path / "cut.rpm").write_bytes(rpm.read_bytes()[:size])
    with pytest.raises(ActionRequired, match="incomplete or damaged"):
        read_package(str(tmp_path / "cut.rpm"))


def test_the_payload_is_not_needed(tmp_path, rpm):
    (tmp_path / "cut.rpm").write_bytes(rpm.read_bytes()[:200_000])
    assert read_package(str(tmp_path / "cut.rpm")).version.text == "4.6.0"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 1500), st.binary(min_size=1, max_size=8)), max_size=4))
def test_a_damaged_header_never_raises_anything_but_our_errors(tmp_path, rpm, changes):
    with rpm.open("rb") as file:
        content = bytearray(file.read(20_000))
    for place, replacement in changes:
        content[place : place + len(replacement)] = replacement
    (tmp_path / "damaged.rpm").write_bytes(content)
    with suppress(ActionRequired):
        read_package(str(tmp_path / "damaged.rpm"))


def test_of_a_url_only_the_beginning_is_fetched(rpm):
    content = rpm.read_bytes() * 4
    with server(with_ranges(content)) as (address, seen):
        assert read_package(f"http://{address}/m.rpm").version.text == "4.6.0"
    assert seen.ranges == ["bytes=0-8388607"]
    assert seen.sent_bytes < len(content)


def test_a_server_that_ignores_ranges_is_left_when_there_is_enough(rpm):
    content = rpm.read_bytes() * 30
    with server(without_ranges(content)) as (address, seen):
        assert read_package(f"http://{address}/m.rpm").version.text == "4.6.0"
    assert seen.sent_bytes < len(content) / 2


def test_a_server_that_sends_another_part_is_refused(rpm):
    def elsewhere(handler: BaseHTTPRequestHandler, seen: Requests) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", "bytes 100-199/5000")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with server(elsewhere) as (address, _), pytest.raises(ActionRequired, match="another part"):
        read_package(f"http://{address}/x.rpm")


def test_a_redirect_is_followed(rpm):
    with (
        server(with_ranges(rpm.read_bytes())) as (target, _),
        server(with_status(302, f"http://{target}/m.rpm")) as (address, _),
    ):
        assert read_package(f"http://{address}/x").name == "cloudify-manager-install"


@pytest.mark.parametrize("location", ["ftp://files.example.org/m.rpm", "file:///etc/passwd"])
def test_a_redirect_to_another_protocol_is_refused(location):
    with (
        server(with_status(302, location)) as (address, _),
        pytest.raises(ActionRequired, match="cannot be followed"),
    ):
        read_package(f"http://{address}/x")


def test_endless_redirects_are_refused():
    with (
        server(with_status(302, "/again")) as (address, seen),
        pytest.raises(ActionRequired, match="more than 5 redirects"),
    ):
        read_package(f"http://{address}/x")
    assert len(seen.ranges) == 6


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (404, ActionRequired, "there is no such file"),
        (401, ActionRequired, "refuses access"),
        (403, ActionRequired, "refuses access"),
        (400, ActionRequired, "answered 400"),
        (429, TryAgainLater, "answered 429"),
        (500, TryAgainLater, "answered 500"),
        (503, TryAgainLater, "answered 503"),
    ],
)
def test_an_http_error_is_for_a_person_or_for_time_to_mend(status, kind, said):
    with server(with_status(status)) as (address, _), pytest.raises(kind, match=said):
        read_package(f"http://{address}/x.rpm")


def test_credentials_are_used_and_never_shown(rpm):
    with server(with_ranges(rpm.read_bytes())) as (address, seen):
        read_package(f"http://user:{PASSWORD}@{address}/m.rpm")
    assert seen.authorizations[0].startswith("Basic ")


@pytest.mark.parametrize(
    "answer",
    [
        with_status(404),
        with_status(503),
        with_status(302, "ftp://x.example/y"),
        without_ranges(b"short", length=5000),
        without_ranges(b"no rpm at all"),
    ],
)
def test_no_message_holds_the_credentials_of_a_url(answer):
    with server(answer) as (address, _), pytest.raises(CmomError) as error:
        read_package(f"http://user:{PASSWORD}@{address}/x.rpm?token={PASSWORD}")
    assert PASSWORD not in str(error.value)
    assert error.value.__cause__ is None
    assert f"http://{address}/x.rpm" in str(error.value)


def test_a_refused_connection_is_for_time_to_mend_and_names_no_credentials(rpm):
    with server(with_ranges(b"")) as (address, _):
        pass
    with pytest.raises(TryAgainLater) as error:
        read_package(f"http://user:{PASSWORD}@{address}/x.rpm?token={PASSWORD}")
    assert PASSWORD not in str(error.value)


def test_a_connection_that_is_cut_is_for_time_to_mend(rpm):
    with (
        server(without_ranges(rpm.read_bytes()[:600], length=500_000)) as (address, _),
        pytest.raises(TryAgainLater, match="it broke"),
    ):
        read_package(f"http://{address}/x.rpm")


def test_a_server_that_never_answers_ends_with_the_deadline():
    release = threading.Event()
    with server(lambda handler, seen: release.wait(30) and None) as (address, _):
        began = time.monotonic()
        with pytest.raises(TryAgainLater):
            read_package(f"http://{address}/x.rpm", timeout_seconds=0.3)
        assert time.monotonic() - began < 10
        release.set()


def test_a_server_that_drips_ends_with_the_deadline(rpm):
    content = rpm.read_bytes()

    def drip(handler: BaseHTTPRequestHandler, seen: Requests) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        for byte in content[:2000]:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.01)

    with server(drip) as (address, _):
        began = time.monotonic()
        with pytest.raises(TryAgainLater):
            read_package(f"http://{address}/x.rpm", timeout_seconds=0.3)
        assert time.monotonic() - began < 10


def test_a_header_that_never_ends_is_refused_after_a_bounded_read(rpm):
    def endless(handler: BaseHTTPRequestHandler, seen: Requests) -> None:
        handler.send_response(200)
        handler.end_headers()
        # A signature header that claims to have two billion bytes.
        handler.wfile.write(
            rpm.read_bytes()[:96] + b"\x8e\xad\xe8\x01\0\0\0\0\0\0\0\1\x7f\xff\xff\xff" + bytes(16)
        )
        while True:
            send(handler, seen, bytes(65_536))

    with server(endless) as (address, seen), pytest.raises(ActionRequired, match="incomplete or damaged"):
        read_package(f"http://{address}/x.rpm")
    assert seen.sent_bytes < 64_000_000


def test_a_server_whose_certificate_does_not_verify_is_not_asked(tmp_path, rpm):
    pair = issue(
        Host("127.0.0.1", "127.0.0.1", "here"), make_ca(tmp_path).load(), datetime.now(timezone.utc)
    ).external
    (tmp_path / "pair.pem").write_text(pair.key_pem.reveal() + pair.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    with (
        server(with_ranges(rpm.read_bytes()), context) as (address, seen),
        pytest.raises(ActionRequired, match="does not verify"),
    ):
        read_package(f"https://{address}/x.rpm")
    assert seen.ranges == []


@pytest.mark.parametrize(
    "url", ["ftp://files.example.org/x.rpm", "http://", "http://[::1/x", "https:///x.rpm"]
)
def test_what_cannot_be_fetched_is_refused(url):
    with pytest.raises(ActionRequired):
        read_package(url)
