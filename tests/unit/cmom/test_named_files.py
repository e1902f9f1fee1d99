"""What is said of files on Tier 2 that inputs name, and what is read of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cmom.services.validation.files import (
    MAX_SMALL_FILE_BYTES,
    MAX_YAML_BYTES,
    Unusable,
    open_to_others,
    readable_file,
    small_content,
    user_name,
    yaml_mapping,
)


def test_a_file_may_be_as_large_as_is_allowed_and_not_a_byte_larger(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    assert small_content(str(path), most_bytes=10) == b"0123456789"
    assert small_content(str(path), most_bytes=11) == b"0123456789"
    with pytest.raises(Unusable, match="is larger than 9 bytes"):
        small_content(str(path), most_bytes=9)


@pytest.mark.parametrize(
    ("read", "most_bytes", "mebibytes"),
    [(small_content, MAX_SMALL_FILE_BYTES, 1), (yaml_mapping, MAX_YAML_BYTES, 8)],
    ids=["small", "YAML"],
)
def test_what_is_far_too_large_is_said_and_not_read_whole(
    tmp_path: Path, read: Callable[[str], object], most_bytes: int, mebibytes: int
) -> None:
    assert most_bytes == mebibytes * 2**20
    path = tmp_path / "file"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(Unusable, match=f"is larger than {most_bytes} bytes"):
        read(str(path))


def test_a_file_that_can_be_opened_and_not_read_is_said() -> None:
    # Nothing is mapped at the address 0 of any process.
    with pytest.raises(Unusable, match="/proc/self/mem cannot be read: Input/output error"):
        small_content("/proc/self/mem")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("file", "file is a relative path"),
        ("/", "/ is a folder"),
        ("/dev/null", "/dev/null is not a file"),
        ("/nowhere/file", "there is no file /nowhere/file on Tier 2"),
        ("/a\0b", "cannot be read: not a path"),
        ("/" + "a" * 300, "cannot be read: File name too long"),
    ],
)
def test_what_is_wrong_with_a_path_is_said(path: str, problem: str) -> None:
    with pytest.raises(Unusable) as told:
        readable_file(path)
    assert problem in str(told.value)


@pytest.mark.parametrize(
    ("mode", "expected"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o610, True)]
)
def test_a_private_file_is_open_to_others_by_any_right_of_theirs(
    tmp_path: Path, mode: int, expected: bool
) -> None:
    path = tmp_path / "key"
    path.touch()
    path.chmod(mode)
    assert open_to_others(str(path)) is expected


@pytest.mark.parametrize("path", ["/nowhere/key", "/a\0b"])
def test_what_cannot_be_looked_at_is_not_open_to_others(path: str) -> None:
    assert open_to_others(path) is False


def test_a_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_000)
    assert user_name() == "uid 4000000000"
