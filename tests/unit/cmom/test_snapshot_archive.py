"""What makes a file a snapshot, what is restored, and what is found when it is looked at again."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import logging
import os
import tracemalloc
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from cmom.errors import ActionRequired
from cmom.models import Version
from cmom.services.snapshots.archive import (
    DamagedArchive,
    archive_version,
    check_against,
    check_archive,
    hash_file,
)
from cmom.services.snapshots.judgement import restore_problem
from cmom.services.snapshots.manifest import BadManifest
from cmom.services.snapshots.requests import BackupRequest, RestoreRequest, meaningless
from cmom.services.snapshots.source import chosen_path, open_snapshot, version_problem
from cmom.services.snapshots.store import SnapshotStore
from cmom.services.snapshots.verification import RottenSnapshots, Verifier, raise_if_rotten
from tests.unit.cmom.given_snapshot import NOW, flip, manifest_of, store_snapshot, write_archive

LOGGER = logging.getLogger("test.archive")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "mine.zip", content=os.urandom(50_000))


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "snapshots", "old")


def test_a_whole_archive_tells_its_version(archive: Path):
    assert str(check_archive(archive)) == "4.6.0"
    assert archive_version(archive) == Version.parse("4.6.0")


def test_an_archive_cut_anywhere_is_no_snapshot(archive: Path):
    whole = archive.read_bytes()
    for length in (0, 1, 30, 1000, len(whole) // 2, len(whole) - 100, len(whole) - 1):
        archive.write_bytes(whole[:length])
        with pytest.raises(DamagedArchive):
            check_archive(archive)


def test_a_byte_flipped_in_the_content_is_found_by_the_checksums_inside(archive: Path):
    flip(archive)
    with pytest.raises(DamagedArchive, match=r"mine\.zip is no whole snapshot"):
        check_archive(archive)


def test_a_zip_of_something_else_is_no_snapshot(tmp_path: Path):
    metadata = [None, "{", "[]", '{"snapshot_version": 4}', '{"snapshot_version": "new"}', "{}"]
    for number, text in enumerate(metadata):
        path = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a", "b")
            if text is not None:
                archive.writestr("metadata.json", text)
        with pytest.raises(DamagedArchive):
            check_archive(path)


def test_what_is_not_there_or_no_zip_is_said_in_words(tmp_path: Path):
    with pytest.raises(DamagedArchive, match="No such file"):
        check_archive(tmp_path / "none.zip")
    (tmp_path / "page.zip").write_text("<html>")
    with pytest.raises(DamagedArchive, match="it is not a zip archive, or its end is missing"):
        check_archive(tmp_path / "page.zip")


def test_a_large_archive_is_read_in_pieces(tmp_path: Path):
    path = tmp_path / "large.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"snapshot_version": "4.6.0"}))
        with archive.open("padding", "w", force_zip64=True) as member:
            for _ in range(40):
                member.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        check_archive(path)
        hash_file(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_of_another_length_is_refused_before_it_is_read(archive: Path, change: int):
    manifest = manifest_of(archive, bytes=archive.stat().st_size + change)
    read: list[int] = []
    with pytest.raises(DamagedArchive, match="bytes, but its manifest says"):
        check_against(archive, manifest, read.append)
    assert read == []


def test_a_files_hash_comes_with_its_length(archive: Path):
    content = archive.read_bytes()
    assert hash_file(archive) == (hashlib.sha256(content).hexdigest(), len(content))


def test_what_cannot_be_read_is_said_with_the_reason(tmp_path: Path, archive: Path):
    folder = manifest_of(archive, bytes=tmp_path.stat().st_size)
    for look in (check_archive, archive_version, lambda path: check_against(path, folder)):
        with pytest.raises(DamagedArchive, match="cannot be read: Is a directory"):
            look(tmp_path)


def test_a_file_is_compared_with_its_manifest_byte_for_byte(archive: Path):
    manifest = manifest_of(archive)
    check_against(archive, manifest)
    whole = archive.read_bytes()

    flip(archive)
    with pytest.raises(DamagedArchive, match="not what it was"):
        check_against(archive, manifest)
    archive.write_bytes(whole + b"x")
    with pytest.raises(DamagedArchive, match="bytes, but its manifest says"):
        check_against(archive, manifest)
    archive.unlink()
    with pytest.raises(DamagedArchive, match="not there"):
        check_against(archive, manifest)


def test_all_that_is_rotten_is_found_named_and_written_down(store: SnapshotStore):
    for number, name in enumerate(("good", "flipped", "short", "gone"), 1):
        store_snapshot(store, name, number)
    flip(store.archive_path("flipped"))
    os.truncate(store.archive_path("short"), 10)
    store.archive_path("gone").unlink()
    (store.folder / "broken.zip").write_text("?")
    (store.folder / "broken.json").write_text("?")
    (store.folder / "foreign.zip").write_text("of somebody else")
    later = NOW + timedelta(days=1)

    problems = Verifier(store, LOGGER, now=lambda: later).verify()

    assert [problem.partition(":")[0] for problem in problems] == ["flipped", "short", "gone", "broken"]
    with pytest.raises(RottenSnapshots, match=r"4 snapshots in .*\n  - flipped: .*differs") as error:
        raise_if_rotten(problems, store)
    assert isinstance(error.value, ActionRequired)
    by_name = {stored.id: stored for stored in store.all()}
    assert {name for name, found in by_name.items() if found.trusted} == {"good"}
    assert by_name["good"].manifest.verified_at == later
    assert "differs" in by_name["flipped"].manifest.rotten
    newest = store.newest_trusted()
    assert newest is not None
    assert newest.id == "good"


def test_what_was_mended_is_good_again(store: SnapshotStore):
    found = store_snapshot(store, "mine")
    whole = found.path.read_bytes()
    flip(found.path)
    verifier = Verifier(store, LOGGER, now=lambda: NOW)
    assert verifier.verify()
    found.path.write_bytes(whole)

    assert verifier.verify() == ()
    raise_if_rotten((), store)
    assert store.newest_trusted() is not None


def test_what_is_deleted_while_it_is_verified_is_no_problem(store: SnapshotStore):
    deleted = store_snapshot(store, "mine")

    class Deleting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "is what it was" in record.getMessage():
                store.delete(deleted)

    logger = logging.Logger("deleting")
    logger.addHandler(Deleting())
    assert Verifier(store, logger, now=lambda: NOW).verify() == ()
    assert store.all() == ()


def test_the_three_ways_to_name_a_snapshot(tmp_path: Path):
    assert chosen_path(RestoreRequest(snapshot_path="/x/y.zip"), tmp_path) == Path("/x/y.zip")
    named = RestoreRequest(old_deployment_id="old", snapshot_id="mine")
    assert chosen_path(named, tmp_path) == tmp_path / "old" / "mine.zip"
    fresh = RestoreRequest(old_deployment_id="old")
    assert (chosen_path(fresh, tmp_path), fresh.takes_backup) == (None, True)


def test_a_snapshot_with_a_manifest_is_verified_against_that(store: SnapshotStore):
    path = store_snapshot(store, "mine").path
    opened = open_snapshot(path)
    assert (opened.id, str(opened.version)) == ("mine", "4.6.0")
    opened.verify()
    flip(path)
    with pytest.raises(DamagedArchive):
        open_snapshot(path).verify()


def test_a_snapshot_without_a_manifest_is_verified_against_its_own_checksums(archive: Path):
    opened = open_snapshot(archive)
    assert opened.manifest is None
    opened.verify()
    flip(archive)
    with pytest.raises(DamagedArchive):
        opened.verify()


@pytest.mark.parametrize("sha256", ["00" * 32, "ff" * 32])
def test_a_snapshot_whose_hash_is_another_one_is_damaged(archive: Path, sha256: str):
    check_against(archive, manifest_of(archive))
    with pytest.raises(DamagedArchive, match="SHA-256 differs"):
        check_against(archive, manifest_of(archive, sha256=sha256))


def test_a_snapshot_that_is_not_there_is_said_with_those_that_are(store: SnapshotStore, tmp_path: Path):
    store_snapshot(store, "other")
    with pytest.raises(ActionRequired, match=r"there is no snapshot .*; there are other"):
        open_snapshot(store.archive_path("mine"))
    with pytest.raises(ActionRequired, match="nor a folder"):
        open_snapshot(tmp_path / "nothing" / "mine.zip")


def test_a_snapshot_with_something_else_in_the_place_of_its_manifest_is_refused(archive: Path):
    archive.with_suffix(".json").write_text("{}")
    with pytest.raises(BadManifest):
        open_snapshot(archive)


def test_a_snapshot_that_was_found_rotten_is_refused(store: SnapshotStore):
    found = store_snapshot(store, "mine")
    store.write_manifest(found.manifest.found_rotten("a byte differs"))
    with pytest.raises(ActionRequired, match="rotten: a byte differs"):
        open_snapshot(found.path)


@pytest.mark.parametrize(
    ("snapshot", "manager", "fits"),
    [
        ("4.3.0", "4.6.0", True),
        ("4.6.0", "4.6", True),
        ("4.6", "4.6.0", True),
        ("4.6.1", "4.6.0", False),
        ("4.6.0", "4.3.1", False),
        ("7.0.5", "4.6.0", False),
        ("4.6.0", "7.0.5", True),
    ],
)
def test_a_snapshot_of_a_newer_manager_is_not_restored(snapshot: str, manager: str, fits: bool):
    assert (version_problem(Version.parse(snapshot), Version.parse(manager)) is None) == fits


EMPTY = {"tenants": 1, "secrets": 0, "deployments": 0}
FULL = {"tenants": 2, "secrets": 3, "deployments": 4}


@pytest.mark.parametrize(
    ("before", "after", "expected", "words"),
    [
        (EMPTY, FULL, FULL, None),
        (EMPTY, FULL, None, None),
        (EMPTY, {**FULL, "secrets": 9}, FULL, None),  # made between the count and the snapshot
        (EMPTY, EMPTY, EMPTY, None),  # a snapshot of an empty manager
        (EMPTY, EMPTY, None, "nothing was restored"),
        (EMPTY, EMPTY, FULL, "nothing was restored: the manager holds 1 tenants, 0 secrets, 0 deployments"),
        (EMPTY, {**FULL, "deployments": 3}, FULL, "deployments: 3 of 4"),
        (FULL, FULL, FULL, None),  # forced onto one that holds the same
    ],
)
def test_a_restore_is_judged_by_what_is_there(before, after, expected, words):
    problem = restore_problem(before, after, expected)
    assert (problem is None) if words is None else (words in (problem or ""))


def test_each_word_of_a_backup_means_one_thing():
    words = ("--include-metrics", "--exclude-credentials", "--exclude-logs", "--exclude-events")
    for count in range(len(words) + 1):
        for chosen in itertools.combinations(words, count):
            options = BackupRequest(None, chosen).options
            assert options.include_metrics == ("--include-metrics" in chosen)
            assert options.include_credentials == ("--exclude-credentials" not in chosen)
            assert options.include_logs == ("--exclude-logs" not in chosen)
            assert options.include_events == ("--exclude-events" not in chosen)


def test_each_word_of_a_restore_means_one_thing():
    words = ("--without-deployment-envs", "--force", "--restore-certificates", "--no-reboot")
    for count in range(len(words) + 1):
        for chosen in itertools.combinations(words, count):
            options = RestoreRequest(parameters=chosen).options
            assert options.deployment_environments == ("--without-deployment-envs" not in chosen)
            assert options.force == ("--force" in chosen)
            assert options.certificates == ("--restore-certificates" in chosen)
            assert options.reboot == ("--no-reboot" not in chosen)


def test_words_that_mean_nothing_to_generation_5_are_said_to():
    words = ("--include-metrics", "--force", "--without-deployment-envs")
    assert meaningless(words, 4) == ()
    assert [warning.split()[0] for warning in meaningless(words, 5)] == [words[0], words[2]]


def test_an_archive_is_not_taken_for_another_by_what_stands_before_it(tmp_path: Path):
    # zipfile reads past what it does not know; the length from the manager and the hash do not.
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"snapshot_version": "4.6.0"}))
    path = tmp_path / "mine.zip"
    path.write_bytes(content.getvalue())
    manifest = manifest_of(path)
    path.write_bytes(b"garbage" + content.getvalue())
    with pytest.raises(DamagedArchive):
        check_against(path, manifest)
