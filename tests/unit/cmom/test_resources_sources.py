"""Paths and URLs as files; folders packed, and not too much of them."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cmom.clients.download import download
from cmom.errors import ActionRequired, TryAgainLater
from cmom.services.resources import sources as module
from cmom.services.resources.sources import Sources
from cmom.services.waiting import SystemClock
from tests.lab.rest import served


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def sources(lines: list[str]) -> Iterator[Sources]:
    with Sources(lines.append, SystemClock()) as found:
        yield found


def test_a_local_file_is_used_where_it_lies(sources: Sources, tmp_path: Path) -> None:
    assert sources.file(str(tmp_path / "a.wgn")) == tmp_path / "a.wgn"


def test_a_url_is_fetched_once_and_removed_in_the_end(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "a b.wgn").write_bytes(b"content")
    with served(tmp_path) as url:
        with Sources(lines.append, SystemClock()) as sources:
            fetched = sources.file(f"{url}/a%20b.wgn")
            assert fetched.name == "a b.wgn"
            assert fetched.read_bytes() == b"content"
            (tmp_path / "a b.wgn").unlink()
            assert sources.file(f"{url}/a%20b.wgn") == fetched
        assert not fetched.exists()
    assert "100 % of 7 B" in lines[-1]


def test_two_of_the_same_name_do_not_collide(sources: Sources, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "plugin.yaml").write_text(name)
    with served(tmp_path) as url:
        found = [sources.file(f"{url}/{name}/plugin.yaml") for name in ("one", "two")]
    assert [path.read_text() for path in found] == ["one", "two"]


def test_what_is_not_there_needs_a_person_and_a_server_that_is_away_needs_time(
    sources: Sources, tmp_path: Path
) -> None:
    with served(tmp_path) as url:
        with pytest.raises(ActionRequired, match="answered 404"):
            sources.file(f"{url}/missing?token=secret-4711")
        gone = url
    with pytest.raises(TryAgainLater, match=r"no \(whole\) answer"):
        sources.file(f"{gone}/missing")


def test_what_may_be_secret_in_a_url_is_not_told(sources: Sources, tmp_path: Path) -> None:
    with served(tmp_path) as url, pytest.raises(ActionRequired) as caught:
        sources.file(url.replace("://", "://user:secret-4711@") + "/missing?token=secret-4712")
    assert "secret-47" not in str(caught.value)
    assert "/missing" in str(caught.value)


def test_what_does_not_fit_onto_the_disk_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"content")
    monkeypatch.setattr("cmom.clients.download._SPARE_BYTES", 10**18)
    with served(tmp_path) as url, pytest.raises(ActionRequired, match="not enough room"):
        download(f"{url}/a", tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_folder_is_packed_with_everything_in_it(sources: Sources, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    (folder / "scripts").mkdir(parents=True)
    (folder / "main.yaml").write_text("x")
    (folder / "scripts" / "run.sh").write_text("y")
    (folder / "scripts" / "run.sh").chmod(0o700)
    (folder / "link.sh").symlink_to(folder / "scripts" / "run.sh")
    (folder / "circle").symlink_to(folder)
    packed = sources.packed_folder(folder / "main.yaml")
    assert packed.name == "shop.tar.gz"
    with tarfile.open(packed) as tar:
        members = {member.name: member for member in tar}
    assert {"shop", "shop/main.yaml", "shop/scripts/run.sh", "shop/link.sh"} <= set(members)
    assert len(members) == 5
    assert members["shop/scripts/run.sh"].mode == 0o744
    assert members["shop/link.sh"].isfile()
    assert {member.uname for member in members.values()} == {""}


def test_a_folder_with_far_too_much_in_it_is_refused(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main.yaml").write_text("x")
    with (tmp_path / "install.rpm").open("wb") as file:
        file.truncate(module.MAX_FOLDER_BYTES)
    with pytest.raises(ActionRequired, match="a folder of its own"):
        sources.packed_folder(tmp_path / "main.yaml")
    (tmp_path / "install.rpm").unlink()
    monkeypatch.setattr(module, "MAX_FOLDER_FILES", 3)
    for number in range(3):
        (tmp_path / str(number)).touch()
    with pytest.raises(ActionRequired, match="3 files"):
        sources.packed_folder(tmp_path / "main.yaml")


def test_a_file_that_cannot_be_read_is_named(sources: Sources, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (tmp_path / "main.yaml").write_text("x")
    (tmp_path / "key.pem").write_text("y")
    (tmp_path / "key.pem").chmod(0)
    with pytest.raises(ActionRequired, match=r"key\.pem cannot be read"):
        sources.packed_folder(tmp_path / "main.yaml")
