"""What goes wrong while a snapshot comes to Tier 2: in the end there is a verified one, or none."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import ssl
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cmom.clients import snapshot_archive
from cmom.errors import ActionRequired, TryAgainLater
from cmom.models import ManagerAccess, Secret, Version
from cmom.services.snapshots.archive import DamagedArchive
from cmom.services.snapshots.backup import BackupSettings
from cmom.services.snapshots.download import Downloader, Patience
from cmom.services.tier1 import Tier1, connect_alone
from cmom.services.waiting import SystemClock
from lab.manager.host import Settings
from tests.lab.filled import Filled
from tests.lab.given_snapshots import Backups, Hooked, archive_on, snapshots_on
from tests.lab.rest import shared_ca
from tests.lab.wire import RawServer

SIZE = 300_000
PATIENCE = Patience(tries=3, pause_seconds=1.0)
LOGGER = logging.getLogger("test.download")


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    with Filled(tmp_path, "4.6.0", Settings(snapshot_padding_bytes=SIZE)) as running:
        yield running


def backups_of(filled: Filled, tier1: Tier1 | None = None, **settings: Any) -> Backups:
    given = BackupSettings(**{"spare_bytes": 0, "patience": PATIENCE, **settings})
    return Backups(tier1 or filled.tier1, filled.clock, filled.folder / "snapshots", given)


def hooked(filled: Filled, before_download: Callable[[], None]) -> Tier1:
    """A connection to the manager; something happens just before a download begins."""

    def hook(doing: str) -> None:
        if doing.startswith("downloading"):
            before_download()

    return Tier1(Hooked(filled.tier1._connection, hook), filled.version, clock=filled.clock)


@pytest.mark.parametrize("percent", [0, 10, 50, 99])
def test_a_download_that_is_cut_once_is_done_again(filled: Filled, percent: int) -> None:
    backups = backups_of(filled)
    filled.manager.fault("cut", path="/archive$", after_bytes=SIZE * percent // 100, times=1)

    backups.take("mine")

    backups.assert_only("mine")
    assert any("trying again" in line for line in backups.log.lines)


@pytest.mark.parametrize("percent", [0, 10, 50, 99])
def test_a_download_that_is_cut_each_time_leaves_nothing_and_can_be_gone_on_with(
    filled: Filled, percent: int
) -> None:
    backups = backups_of(filled)
    filled.manager.fault("cut", path="/archive$", after_bytes=SIZE * percent // 100, times=3)

    with pytest.raises(TryAgainLater):
        backups.take("mine", execution_id="same")
    backups.assert_none()

    backups.take("mine", execution_id="same")

    backups.assert_only("mine")
    created = filled.client.executions.list(include_system_workflows=True, workflow_id="create_snapshot")
    assert len(created) == 1


@pytest.mark.parametrize("kind", ["500", "503", "refuse"])
def test_a_manager_that_is_busy_or_fails_for_a_moment_is_asked_again(filled: Filled, kind: str) -> None:
    backups = backups_of(filled)
    filled.manager.fault(kind, path="/archive$", times=2)

    backups.take("mine")

    backups.assert_only("mine")


def flip(path: Path) -> None:
    """Change one byte in the middle of a file."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 9 // 10)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def replace_by_page(path: Path) -> None:
    path.write_bytes(b"<html><title>It works!</title></html>")


def replace_by_other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("wheels/a.whl", b"a wheel")


@pytest.mark.parametrize("damage", [flip, cut_short, empty, replace_by_page, replace_by_other_zip])
def test_an_archive_that_is_damaged_on_tier_1_is_no_backup(
    filled: Filled, damage: Callable[[Path], None]
) -> None:
    backups = backups_of(filled, hooked(filled, lambda: damage(archive_on(filled.manager, "mine"))))
    if damage is flip:  # an even number of times would mend it
        done: list[int] = []
        backups.tier1 = hooked(
            filled, lambda: done or done.append(1) or flip(archive_on(filled.manager, "mine"))
        )

    with pytest.raises(DamagedArchive, match="Tier 1 serves a damaged archive of snapshot mine"):
        backups.take("mine")

    backups.assert_none()
    assert snapshots_on(filled.manager) == []
    assert backups.record is None


def test_an_archive_that_was_damaged_on_the_way_is_downloaded_once_more(filled: Filled) -> None:
    count = 0

    def damage_the_first() -> None:
        nonlocal count
        count += 1
        flip(archive_on(filled.manager, "mine")) if count <= 2 else None  # and mended before the second

    backups = backups_of(filled, hooked(filled, damage_the_first))

    backups.take("mine")

    backups.assert_only("mine")
    assert count == 2


def test_too_little_room_is_said_before_the_download(filled: Filled) -> None:
    backups = backups_of(filled, spare_bytes=1 << 60)

    with pytest.raises(ActionRequired, match=r"too little room in .*: it has 300\.\d kB, .* are free"):
        backups.take("mine")

    backups.assert_none()
    assert snapshots_on(filled.manager) == []


def on_a_small_disk(filled: Filled, folder: Path, *words: str, **told: Any) -> dict[str, Any]:
    """Take a backup in a process of its own."""
    folder.mkdir()
    told |= {
        "folder": str(folder),
        "ip": filled.manager.ip,
        "port": filled.manager.port,
        "password": filled.manager.password,
        "ca_cert": str(filled.manager.ca_cert),
    }
    done = subprocess.run(
        [*words, sys.executable, "-W", "ignore", "-m", "tests.lab.small_disk"],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def can_mount() -> bool:
    """Tell whether this user may have a mount namespace of its own, and mount there."""
    if shutil.which("unshare") is None:
        return False
    words = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


SMALL_DISK = ("unshare", "--user", "--map-root-user", "--mount")


@pytest.mark.skipif(not can_mount(), reason="this user may not mount anything")
@pytest.mark.parametrize("checked", [True, False], ids=["known before", "found out"])
def test_a_disk_that_is_too_small_leaves_nothing(filled: Filled, tmp_path: Path, checked: bool) -> None:
    answer = on_a_small_disk(
        filled,
        tmp_path / "small",
        *SMALL_DISK,
        disk_bytes=SIZE // 2,
        # As if somebody else took the room after it was looked at.
        spare_bytes=0 if checked else -SIZE,
    )

    assert answer["kind"] == "ActionRequired"
    assert ("too little room" if checked else "No space left on device") in answer["error"]
    assert answer["files"] == []
    assert snapshots_on(filled.manager) == []


def test_a_disk_that_refuses_in_the_middle_leaves_nothing(filled: Filled, tmp_path: Path) -> None:
    answer = on_a_small_disk(filled, tmp_path / "small", file_bytes=SIZE // 3, spare_bytes=0)

    assert answer["kind"] == "ActionRequired"
    assert "File too large" in answer["error"]
    assert answer["files"] == []
    assert snapshots_on(filled.manager) == []


class ArchiveServer:
    """nginx, as far as a download sees it: lengths, ranges, ETags; it breaks off where it is told to.

    Args:
        folder: For its certificate.
        contents: What it serves, by ETag; the first is served until `switch_after` requests have been made.
        breaks: After how many bytes each request breaks off; those after the last are answered whole.
        silent: Whether it then says nothing, instead of closing the connection.
        ranges: Whether it knows them.
    """

    def __init__(
        self,
        folder: Path,
        contents: dict[str, bytes],
        breaks: list[int],
        *,
        silent: bool = False,
        ranges: bool = True,
        switch_after: int = 100,
    ) -> None:
        self._contents = contents
        self._breaks = breaks
        self._silent = silent
        self._ranges = ranges
        self._switch_after = switch_after
        self.server = RawServer(folder, shared_ca(), self._answer, ip="127.77.1.9")
        access = ManagerAccess("admin", Secret("password"), str(shared_ca()[0]), self.server.port)
        self.tier1 = connect_alone(self.server.ip, access, Version.parse("4.6.0"))

    def __enter__(self) -> ArchiveServer:
        self.server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.tier1.close()
        self.server.__exit__(*error)

    @property
    def ranges(self) -> list[str]:
        """What part each request has asked for."""
        found = (re.search(rb"Range: bytes=(\d+)-", head) for head in self.server.requests)
        return [match.group(1).decode() if match else "" for match in found]

    def _answer(self, connection: ssl.SSLSocket, head: bytes) -> None:
        number = len(self.server.requests)
        etag, content = list(self._contents.items())[0 if number <= self._switch_after else 1]
        asked = re.search(rb"Range: bytes=(\d+)-", head)
        same = f'If-Range: "{etag}"'.encode() in head
        start = int(asked.group(1)) if asked and same and self._ranges else 0
        body = content[start:]
        lines = [f"Content-Length: {len(body)}"]
        if self._ranges:
            lines.append(f'ETag: "{etag}"')
        if start:
            lines.append(f"Content-Range: bytes {start}-{len(content) - 1}/{len(content)}")
        status = "206 Partial Content" if start else "200 OK"
        connection.sendall("\r\n".join([f"HTTP/1.1 {status}", *lines]).encode() + b"\r\n\r\n")
        if number > len(self._breaks):
            connection.sendall(body)
            return
        connection.sendall(body[: self._breaks[number - 1]])
        if self._silent:
            connection.recv(1)  # until the other side has had enough


MB = 1_000_000
CONTENT = os.urandom(6 * MB)
OTHER = os.urandom(6 * MB)


def fetch(server: ArchiveServer, target: Path, **patience: Any) -> str:
    given = {"tries": 3, "pause_seconds": 0.0, **patience}
    downloader = Downloader(server.tier1, LOGGER, SystemClock(), patience=Patience(**given), spare_bytes=0)
    return downloader.fetch("mine", target).sha256


@pytest.mark.parametrize("found", [True, False], ids=["read in place", "as requests offers it"])
def test_a_download_goes_on_where_it_was_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: bool
) -> None:
    find, sources = snapshot_archive._source, []
    monkeypatch.setattr(
        snapshot_archive,
        "_source",
        lambda streamed: sources.append(find(streamed)) or sources[-1] if found else None,
    )
    breaks = [int(1.5 * MB)] * 3
    with ArchiveServer(tmp_path / "server", {"a": CONTENT}, breaks) as server:
        sha256 = fetch(server, tmp_path / "part", tries=2)

    assert (tmp_path / "part").read_bytes() == CONTENT
    assert sha256 == hashlib.sha256(CONTENT).hexdigest()
    positions = [int(start or 0) for start in server.ranges]
    assert positions == sorted(positions)
    assert 0 < positions[1] <= 1.5 * MB
    assert None not in sources, "requests has its body elsewhere: downloads take half as long again"


def test_a_download_begins_anew_with_another_file(tmp_path: Path) -> None:
    contents = {"a": CONTENT, "b": OTHER}
    with ArchiveServer(tmp_path / "server", contents, [4 * MB], switch_after=1) as server:
        sha256 = fetch(server, tmp_path / "part")

    assert (tmp_path / "part").read_bytes() == OTHER
    assert sha256 == hashlib.sha256(OTHER).hexdigest()


def test_a_download_begins_anew_where_nothing_can_be_gone_on_with(tmp_path: Path) -> None:
    with ArchiveServer(tmp_path / "server", {"a": CONTENT}, [4 * MB], ranges=False) as server:
        sha256 = fetch(server, tmp_path / "part")

    assert (tmp_path / "part").read_bytes() == CONTENT
    assert sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert server.ranges == ["", ""]


def test_a_manager_that_falls_silent_is_not_waited_for_without_end(tmp_path: Path) -> None:
    with ArchiveServer(tmp_path / "server", {"a": CONTENT}, [4 * MB], silent=True) as server:
        fetch(server, tmp_path / "part", silence_seconds=0.5)

    assert (tmp_path / "part").read_bytes() == CONTENT
    assert len(server.ranges) == 2


def test_an_archive_that_breaks_off_each_time_at_the_same_place_is_given_up(tmp_path: Path) -> None:
    breaking = ArchiveServer(tmp_path / "server", {"a": CONTENT}, [4 * MB] * 9, ranges=False)
    with breaking as server, pytest.raises(TryAgainLater):
        fetch(server, tmp_path / "part", tries=3)

    assert not (tmp_path / "part").exists()
    assert 3 <= len(server.ranges) <= 4
