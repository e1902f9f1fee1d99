"""What an upload sends: whole and readable, made piece by piece."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest

from cmom.clients.resource_bodies import PIECE_BYTES, BlueprintForm, file_pieces, zip_pieces


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.wgn"
    path.write_bytes(bytes(range(256)) * (PIECE_BYTES // 64))
    return path


def test_a_zip_has_its_files_at_its_root_and_they_are_whole(tmp_path: Path, large: Path) -> None:
    yaml = tmp_path / "some.yaml"
    yaml.write_text("plugins: {}\n")
    counts: list[int] = []
    pieces = list(zip_pieces({"a plugin.wgn": large, "plugin.yaml": yaml}, counts.append))
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a plugin.wgn", "plugin.yaml"]
        assert archive.read("a plugin.wgn") == large.read_bytes()
        assert archive.read("plugin.yaml") == b"plugins: {}\n"
        assert archive.getinfo("plugin.yaml").external_attr >> 16 == 0o644
    assert sum(counts) == large.stat().st_size + yaml.stat().st_size
    assert max(len(piece) for piece in pieces) < 2 * PIECE_BYTES


def test_the_same_files_give_the_same_zip(large: Path) -> None:
    assert b"".join(zip_pieces({"a": large})) == b"".join(zip_pieces({"a": large}))


def test_a_zip_of_more_than_four_gigabytes_has_large_numbers(tmp_path: Path) -> None:
    hole = tmp_path / "huge.wgn"
    with hole.open("wb") as file:
        file.truncate(5 * 1000**3)
    head = next(zip_pieces({"huge.wgn": hole}))
    name_length, extra_length = struct.unpack("<HH", head[26:30])
    extra = head[30 + name_length :][:extra_length]
    assert struct.unpack("<H", extra[:2]) == (1,)  # the field for sizes that need 64 bits


def test_a_zip_that_is_not_wanted_any_more_is_let_go_of(large: Path) -> None:
    pieces = zip_pieces({"a": large})
    next(pieces)
    pieces.close()


def test_a_form_has_its_parameters_and_its_archive_and_tells_its_length(large: Path) -> None:
    counts: list[int] = []
    form = BlueprintForm({"visibility": "tenant", "application_file_name": "a b.yaml"}, large, counts.append)
    body = b"".join(form)
    assert len(form) == len(body)
    head = f"Content-Type: {form.content_type}\r\n\r\n".encode()
    params, archive = (
        part for part in BytesParser().parsebytes(head + body).walk() if not part.is_multipart()
    )
    assert params.get_param("name", header="content-disposition") == "params"
    assert json.loads(str(params.get_payload()))["application_file_name"] == "a b.yaml"
    assert archive.get_param("name", header="content-disposition") == "blueprint_archive"
    assert archive.get_payload(decode=True) == large.read_bytes()
    assert sum(counts) == large.stat().st_size


def test_an_empty_file_has_no_pieces(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert list(file_pieces(path)) == []
