"""Servers that lie about what they send, send it without end, or send us elsewhere."""

from __future__ import annotations

import base64
import gzip
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmom.clients import download as downloading
from cmom.clients.download import download
from cmom.clients.rpm import read_package
from cmom.clients.rpm_header import read_header
from cmom.clients.snapshot_archive import _extent
from cmom.errors import ActionRequired, CmomError, TryAgainLater
from lab.rpm_builder import build_rpm
from tests.unit.attacks.odd import NASTY_WORDS
from tests.unit.attacks.talking import Talk, drip, drip_headers, saying, server


@pytest.mark.parametrize("talk", [drip, drip_headers])
def test_a_server_that_drips_is_not_waited_for_beyond_the_deadline(talk: Talk, tmp_path: Path) -> None:
    began = time.monotonic()
    with server(talk) as (port, _), pytest.raises(TryAgainLater):
        download(f"http://127.0.0.1:{port}/x.zip", tmp_path / "x", total_seconds=0.3)
    assert time.monotonic() - began < 20  # far below what the drip would take


@pytest.mark.parametrize("length", ["abc", "-5", "5, 5", "9" * 5000, "\xb2", "1e3", " "])
def test_a_length_that_is_none_is_no_traceback(length: str, tmp_path: Path) -> None:
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\nhello".encode(
        "latin-1"
    )
    with server(saying(answer)) as (port, _):
        try:
            download(f"http://127.0.0.1:{port}/x", tmp_path / "x", total_seconds=5)
        except CmomError:
            return
    assert (tmp_path / "x").read_bytes() in (b"hello", b"")


def test_a_body_that_unpacks_without_end_stops_where_the_disk_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = gzip.compress(b"\0" * 30_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    monkeypatch.setattr(downloading, "_SPARE_BYTES", 4_000_000)
    looks: list[int] = []

    def check(_shown: str, target: Path, size: int) -> None:
        looks.append(target.stat().st_size if target.exists() else 0)
        if looks[-1] > 8_000_000:
            raise ActionRequired("not enough room")

    monkeypatch.setattr(downloading, "_check_room", check)
    with server(saying(head + bomb)) as (port, _), pytest.raises(ActionRequired, match="not enough room"):
        download(f"http://127.0.0.1:{port}/x", tmp_path / "x", total_seconds=30)
    assert (tmp_path / "x").stat().st_size < 12_000_000


def test_credentials_of_a_url_do_not_follow_a_redirect_to_another_server(tmp_path: Path) -> None:
    secret = base64.b64encode(b"operator:canary-password")
    with server(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as (elsewhere, heads):
        leads = f"HTTP/1.1 302 Found\r\nLocation: http://localhost:{elsewhere}/x\r\nContent-Length: 0\r\n\r\n"
        with server(saying(leads.encode())) as (port, first):
            download(f"http://operator:canary-password@127.0.0.1:{port}/x", tmp_path / "x", total_seconds=10)
    assert secret in first[0]
    assert all(secret not in head and b"canary" not in head for head in heads)
    assert heads


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/", "http://a..b/", "http://"]
)
def test_a_redirect_to_what_is_no_web_page_is_not_followed(target: str, tmp_path: Path) -> None:
    answer = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
    with server(saying(answer)) as (port, _), pytest.raises(CmomError) as caught:
        download(f"http://u:canary-password@127.0.0.1:{port}/x", tmp_path / "x", total_seconds=5)
    assert "canary" not in str(caught.value)
    assert not (tmp_path / "x").exists()


def test_a_circle_of_redirects_ends(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with server(saying(answer)) as (port, heads), pytest.raises(ActionRequired, match="leads on"):
        download(f"http://127.0.0.1:{port}/x", tmp_path / "x", total_seconds=10)
    assert len(heads) < 10


@given(
    found=st.dictionaries(
        st.sampled_from(["Content-Range", "Content-Length"]),
        st.text(max_size=30)
        | st.sampled_from(["bytes 0-1/" + "9" * 5000, "\xb2", "bytes 5-9/10", "9" * 5000]),
    )
)
def test_what_a_manager_says_of_an_archives_length_is_a_number_or_nothing(found: dict[str, str]) -> None:
    begin, total = _extent(found)
    assert begin >= 0
    assert total is None or 0 <= total < 10**18


class Bytes:
    """What bytes come from, and how many have."""

    def __init__(self, content: bytes) -> None:
        self.content, self.taken = content, 0

    def read(self, size: int, /) -> bytes:
        piece = self.content[self.taken : self.taken + size]
        self.taken += len(piece)
        return piece


@pytest.mark.parametrize("field", ["version", "release", "name"])
@pytest.mark.parametrize("word", [word for word in NASTY_WORDS if word.isascii() and "\0" not in word])
def test_an_rpm_whose_header_lies_names_no_package(tmp_path: Path, field: str, word: str) -> None:
    given_words = {"version": "4.6.0", "release": "ga", "name": "cloudify-manager-install", field: word}
    try:
        path = build_rpm(tmp_path / "x.rpm", **given_words)
    except (ValueError, TypeError):
        pytest.skip("not even the lab builds such an RPM")
    try:
        package = read_package(str(path))
    except CmomError:
        return
    for part in (package.name, package.version.text, package.release, package.arch):
        assert "/" not in part
        assert part.isprintable()
        assert not part.startswith("-")


@given(data=st.binary(max_size=200), size=st.integers(0, 2**32 - 1), count=st.integers(0, 2**32 - 1))
def test_a_header_that_claims_to_be_huge_costs_no_memory(data: bytes, size: int, count: int) -> None:
    lead = b"\xed\xab\xee\xdb" + b"\x03\x00" + b"\0" * 90
    claims = b"\x8e\xad\xe8\x01\0\0\0\0" + count.to_bytes(4, "big") + size.to_bytes(4, "big")
    source = Bytes(lead + claims + data)
    with pytest.raises(CmomError):
        read_header(source, "x.rpm")
    assert source.taken <= len(source.content)
