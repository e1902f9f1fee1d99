"""What is said of wagons and blueprint archives that inputs name, without unpacking them."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from cmom.services.validation.archives import (
    MAX_METADATA_BYTES,
    MAX_SCANNED_BYTES,
    check_blueprint_archive,
    check_wagon,
    wagon_metadata,
)
from cmom.services.validation.files import Unusable

HINT = "name the main file as `filename`"
KINDS = ("zip", "tar", "tar.gz", "tar.bz2")
METADATA = {"package_name": "cmom", "package_version": "1.0"}


def archive(folder: Path, kind: str, content: Mapping[str, bytes], name: str = "archive") -> str:
    """Make an archive with files in this order."""
    path = folder / f"{name}.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            for member, data in content.items():
                zipped.writestr(member, data)
        return str(path)
    compression = kind.partition(".")[2]
    with tarfile.open(path, f"w:{compression}") as tar:  # type: ignore[call-overload]
        for member, data in content.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return str(path)


def problem_of(path: str, filename: str | None = None, *, wagon: bool = False) -> str:
    """What is wrong; empty when nothing is."""
    try:
        check_wagon(path) if wagon else check_blueprint_archive(path, filename)
    except Unusable as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["package.json", "cmom/package.json", "./cmom/package.json"])
def test_what_a_wagon_says_of_itself_is_read(tmp_path: Path, kind: str, name: str) -> None:
    path = archive(tmp_path, kind, {"first": b"x", name: json.dumps(METADATA).encode(), "wheels/a": b"y"})
    assert wagon_metadata(path) == METADATA
    assert problem_of(path, wagon=True) == ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"a/b/package.json": json.dumps(METADATA).encode()}, "it has no package.json"),
        ({"a/other.json": json.dumps(METADATA).encode()}, "it has no package.json"),
        ({}, "it has no package.json"),
        ({"a/package.json": b"{"}, "its package.json names no package"),
        ({"a/package.json": b"\xff\xfe\xfd"}, "its package.json names no package"),
        ({"a/package.json": b"[" * 100_000}, "its package.json names no package"),
        ({"a/package.json": b"[]"}, "its package.json names no package"),
        ({"a/package.json": b'{"package_name": ""}'}, "its package.json names no package"),
        ({"a/package.json": b'{"package_version": "1"}'}, "its package.json names no package"),
    ],
    ids=["too deep", "another", "empty", "no JSON", "no text", "deep", "a list", "no name", "nameless"],
)
def test_what_is_wrong_with_a_wagon_is_said(
    tmp_path: Path, kind: str, content: dict[str, bytes], problem: str
) -> None:
    path = archive(tmp_path, kind, content)
    assert problem_of(path, wagon=True) == f"{path} is not a wagon: {problem}"


def test_metadata_may_have_a_mebibyte_and_no_more(tmp_path: Path) -> None:
    assert MAX_METADATA_BYTES == 2**20
    text = json.dumps({**METADATA, "wheels": ["x" * 1000] * 1000})
    for kind in ("zip", "tar"):
        fits = archive(tmp_path, kind, {"a/package.json": text.ljust(MAX_METADATA_BYTES).encode()})
        assert problem_of(fits, wagon=True) == ""
        larger = {"a/package.json": (" " * (MAX_METADATA_BYTES - len(text) + 1) + text).encode()}
        assert "names no package" in problem_of(archive(tmp_path, kind, larger), wagon=True)


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_a_wagon_is_looked_for_near_its_beginning_only(tmp_path: Path, kind: str) -> None:
    assert MAX_SCANNED_BYTES == 64 * 2**20
    metadata = json.dumps(METADATA).encode()
    near = archive(tmp_path, kind, {"a/wheel": bytes(60 * 2**20), "a/package.json": metadata}, "near")
    far = archive(tmp_path, kind, {"a/wheel": bytes(65 * 2**20), "a/package.json": metadata}, "far")
    assert wagon_metadata(near) == METADATA
    assert wagon_metadata(far) is None
    assert problem_of(far, wagon=True) == ""
    assert problem_of(far) == "", "nor is a blueprint's main file"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("names", "filename", "problem"),
    [
        (("b/blueprint.yaml",), None, ""),
        (("./b/blueprint.yaml", "./b/x/y"), None, ""),
        (("b/x", "b/main.yaml"), "main.yaml", ""),
        (("b/sub/main.yaml",), "sub/main.yaml", ""),
        (
            ("b/sub/blueprint.yaml",),
            None,
            "no blueprint.yaml in its folder; name the main file as `filename`",
        ),
        (("b/main.yaml",), None, "no blueprint.yaml in its folder; name the main file as `filename`"),
        (("b/blueprint.yaml",), "main.yaml", "no main.yaml in its folder"),
        (("b/blueprint.yaml", "c/x"), None, "exactly one folder"),
        (("b/blueprint.yaml", "x"), None, "exactly one folder"),
        (("blueprint.yaml",), None, "exactly one folder"),
        ((), None, "exactly one folder"),
    ],
)
def test_a_blueprint_has_one_folder_with_its_main_file(
    tmp_path: Path, kind: str, names: tuple[str, ...], filename: str | None, problem: str
) -> None:
    path = archive(tmp_path, kind, dict.fromkeys(names, b"x"))
    found = problem_of(path, filename)
    assert found.startswith(path) if problem else not found
    assert problem in found
    assert (HINT in found) == (HINT in problem)


@pytest.mark.parametrize(
    "content", [b"", b"node_templates: {}", b"\x1f\x8b", b"BZh9", b"PK\x03\x04", bytes(5000)]
)
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert problem_of(str(path), wagon=True).startswith(f"{path} is not a wagon: ")
    assert problem_of(str(path)).startswith(f"{path} ")


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_that_is_cut_off_is_no_archive(tmp_path: Path, kind: str) -> None:
    path = Path(archive(tmp_path, kind, {"b/x": bytes(range(256)) * 1000, "b/blueprint.yaml": b"x"}))
    # A tar of nothing but whole members needs no end.
    path.write_bytes(path.read_bytes()[: 200_000 if kind == "tar" else -30])
    assert "neither a blueprint's .yaml file nor an archive that can be read" in problem_of(str(path))
    assert "it cannot be read as an archive" in problem_of(str(path), wagon=True)
