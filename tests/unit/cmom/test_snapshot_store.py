"""The folder of snapshots on Tier 2: only what is whole has their names, and only what is ours is touched."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmom.errors import ActionRequired, DeadlinePassed
from cmom.services.snapshots import overview
from cmom.services.snapshots.files import read_manifest
from cmom.services.snapshots.manifest import BadManifest, Manifest
from cmom.services.snapshots.retention import surplus
from cmom.services.snapshots.store import SnapshotStore, StoredSnapshot, snapshot_id_problem
from tests.unit.cmom.given_snapshot import NOW, flip, manifest_of, store_snapshot, write_archive


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "snapshots", "old")


def test_a_manifest_is_read_as_it_was_written():
    written = Manifest(
        id="mine",
        deployment_id="old",
        sha256="ab" * 32,
        bytes=5,
        tier1_version="4.6.0",
        created_at=NOW,
        parameters=("--exclude-logs",),
        sequence=3,
        tier1_snapshot_id="mine.2",
        contents={"secrets": 4},
        verified_at=NOW,
        rotten="it is",
    )
    assert Manifest.parse(written.as_text()) == written
    assert Manifest.parse(replace(written, verified_at=None).as_text()).verified_at is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        "{",
        '{"format": 2}',
        '{"format": 1, "bytes": "5"}',
        "\x00",
        '"x"',
        "[" * 100_000,
    ],
)
def test_what_is_no_manifest_is_said_to_be_none(text: str):
    with pytest.raises(BadManifest):
        Manifest.parse(text)


# What lies beside snapshots that were taken long ago.
WRITTEN = f"""\
{{
  "bytes": 0,
  "contents": {{
    "secrets": 4
  }},
  "created_at": "2026-03-04T05:06:07Z",
  "deployment_id": "old",
  "format": 1,
  "id": "mine",
  "parameters": [
    "--exclude-logs"
  ],
  "rotten": "",
  "sequence": 0,
  "sha256": "{"ab" * 32}",
  "tenant": "",
  "tier1_snapshot_id": "",
  "tier1_version": "4.6.0",
  "verified_at": null
}}
"""


def test_a_manifest_that_was_written_once_is_understood_for_ever():
    manifest = Manifest.parse(WRITTEN)

    assert manifest == Manifest(
        id="mine",
        deployment_id="old",
        sha256="ab" * 32,
        bytes=0,
        tier1_version="4.6.0",
        created_at=NOW,
        parameters=("--exclude-logs",),
        contents={"secrets": 4},
    )
    assert manifest.as_text() == WRITTEN


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("format", value) for value in (0, 2, "1", None)),
        *(("bytes", value) for value in (-1, 2**62, 2**80, True, 1.5, "1", None)),
        *(("sha256", value) for value in ("", "ab" * 31, "ab" * 33, "xy" * 32, "ab" * 32 + "a", None)),
        *(("sequence", value) for value in (-1, 2**62, 2**80, "many", float("inf"))),
        *(("created_at", value) for value in ("", "2026-03-04", "2026-13-04T05:06:07Z", 5, None)),
        ("contents", ["secrets"]),
        ("contents", {"secrets": "four"}),
        ("parameters", 5),
    ],
)
def test_a_manifest_with_one_thing_wrong_is_none(name: str, value: object):
    fields = json.loads(WRITTEN)
    Manifest.parse(json.dumps(fields))

    with pytest.raises(BadManifest):
        Manifest.parse(json.dumps({**fields, name: value}))


def test_a_manifest_may_say_the_largest_numbers_and_need_not_say_what_came_later():
    fields = json.loads(WRITTEN)
    largest = {"bytes": 2**62 - 1, "sequence": 2**62 - 1}
    assert json.loads(Manifest.parse(json.dumps({**fields, **largest})).as_text()) == {**fields, **largest}
    for name in (
        "sequence",
        "contents",
        "parameters",
        "tenant",
        "tier1_snapshot_id",
        "verified_at",
        "rotten",
    ):
        del fields[name]
    assert Manifest.parse(json.dumps(fields)) == replace(Manifest.parse(WRITTEN), contents={}, parameters=())


@given(
    st.dictionaries(
        st.sampled_from(sorted(Manifest.__dataclass_fields__)), st.integers() | st.text() | st.none()
    )
)
def test_a_manifest_with_anything_in_it_never_breaks_its_reader(fields):
    with contextlib.suppress(BadManifest):
        Manifest.parse(json.dumps({"format": 1, **fields}))


def test_a_part_becomes_a_snapshot_with_its_manifest(store: SnapshotStore):
    stored = store_snapshot(store, "mine")

    assert stored.trusted
    assert store.find("mine") == stored
    assert sorted(path.name for path in store.folder.iterdir()) == ["mine.json", "mine.zip"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.folder.glob("*.json")} == {0o600}
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_a_part_never_replaces_what_has_its_name(store: SnapshotStore):
    store.prepare()
    part = write_archive(store.part_path("mine"))
    store.archive_path("mine").write_text("of somebody else")

    with pytest.raises(ActionRequired, match="left alone"):
        store.adopt(manifest_of(part, id="mine"))

    assert store.archive_path("mine").read_text() == "of somebody else"
    assert not store.manifest_path("mine").exists()


def test_a_name_is_taken_by_any_file_but_not_by_our_own_manifest_without_its_archive(store: SnapshotStore):
    stored = store_snapshot(store, "mine")
    (store.folder / "link.zip").symlink_to("/nowhere")
    (store.folder / "notes.json").write_text("[]")
    assert [store.holds(name) for name in ("mine", "link", "notes", "free")] == [True, True, True, False]

    stored.path.unlink()

    assert not store.holds("mine")


def test_parts_are_cleared_and_nothing_else(store: SnapshotStore):
    store_snapshot(store, "mine")
    kept = ["mine.json", "mine.zip", "other.zip.part", ".x", ".1.zip.part", ".lock"]
    for name in (*kept[2:], ".mine.zip.part", ".mine.json.part"):
        (store.folder / name).write_text("")

    store.clear_parts()

    assert sorted(path.name for path in store.folder.iterdir()) == sorted(kept)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "a\0b"])
def test_a_deployment_whose_folder_would_be_elsewhere_is_refused(tmp_path: Path, name: str):
    with pytest.raises(ActionRequired):
        SnapshotStore(tmp_path, name)


def test_a_folder_that_cannot_be_made_is_said_with_what_to_do(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ActionRequired, match="snapshots_path"):
        SnapshotStore(tmp_path / "file", "old").prepare()


def test_a_store_without_a_folder_is_empty(store: SnapshotStore):
    assert (store.all(), store.foreign(), store.newest_trusted(), store.next_sequence()) == ((), (), None, 1)


def test_links_and_folders_are_no_snapshots(store: SnapshotStore, tmp_path: Path):
    stored = store_snapshot(store, "mine")
    moved = stored.path.rename(tmp_path / "elsewhere.zip")
    stored.path.symlink_to(moved)
    found = store.find("mine")
    assert found is not None
    assert (found.size_bytes, found.trusted) == (None, False)


def test_the_time_is_the_name_and_the_next_free_second_when_it_is_taken(store: SnapshotStore):
    there = NOW.astimezone(timezone(timedelta(hours=5)))
    assert store.free_name(there) == "snap_2026_03_04_05_06_07"
    store_snapshot(store, "snap_2026_03_04_05_06_07")
    store_snapshot(store, "snap_2026_03_04_05_06_08")
    assert store.free_name(NOW) == "snap_2026_03_04_05_06_09"


@pytest.mark.parametrize("name", ["a" * 241, "1st", "a/b", "..", "", "a b", "ä", "2018-03-21-09:09:05"])
def test_a_name_that_no_manager_takes_or_that_is_no_file_name_is_refused(name: str):
    assert snapshot_id_problem(name)


def test_the_longest_name_there_may_be_is_a_file_name_with_all_that_we_add(store: SnapshotStore):
    name = "a" * 240
    assert snapshot_id_problem(name) is None
    store_snapshot(store, name)
    assert store.find(name) is not None


def test_a_lock_is_held_by_one_at_a_time(store: SnapshotStore):
    store.prepare()
    with store.lock(1.0), pytest.raises(DeadlinePassed, match="a backup of deployment old"), store.lock(0.0):
        pass


def test_archives_without_a_manifest_and_with_one_that_cannot_be_read_are_told_apart(store: SnapshotStore):
    store_snapshot(store, "mine")
    for name in ("foreign.zip", "broken.zip", "broken.json"):
        (store.folder / name).write_text("?")
    assert store.foreign() == ("foreign.zip",)
    assert [name for name, _ in store.unreadable()] == ["broken"]


def test_a_manifest_that_names_another_snapshot_is_not_its(store: SnapshotStore):
    stored = store_snapshot(store, "mine")
    (store.folder / "copy.json").write_text(stored.manifest.as_text())
    (store.folder / "copy.zip").write_bytes(stored.path.read_bytes())
    assert [found.id for found in store.all()] == ["mine"]


def test_a_deployment_of_the_same_name_in_another_tenant_has_its_own_snapshots(tmp_path: Path):
    blue, red = SnapshotStore(tmp_path, "old", "blue"), SnapshotStore(tmp_path, "old", "red")
    store_snapshot(blue, "theirs", 5, tenant="blue")
    store_snapshot(red, "mine", 1, tenant="red")
    store_snapshot(red, "unknown", 2)
    assert [found.id for found in red.all()] == ["mine", "unknown"]
    assert [found.id for found in SnapshotStore(tmp_path, "old").all()] == ["mine", "unknown", "theirs"]
    newest = red.newest_trusted()
    assert newest is not None
    assert newest.id == "unknown"
    assert red.holds("theirs")
    assert (red.foreign(), red.unreadable()) == ((), ())


def test_no_manifest_is_none_and_an_enormous_one_is_not_read(tmp_path: Path):
    assert read_manifest(tmp_path / "none.json") is None
    with (tmp_path / "large.json").open("wb") as file:
        os.truncate(file.fileno(), 1 << 40)
    with pytest.raises(BadManifest):
        read_manifest(tmp_path / "large.json")


def stored(name: str, sequence: int, state: str = "good") -> StoredSnapshot:
    manifest = Manifest(
        id=name,
        deployment_id="old",
        sha256="00" * 32,
        bytes=10,
        tier1_version="4.6.0",
        created_at=NOW,
        sequence=sequence,
        verified_at=None if state == "unverified" else NOW,
        rotten="a byte differs" if state == "rotten" else "",
    )
    sizes = {"missing": None, "short": 9}
    return StoredSnapshot(manifest, Path(f"/{name}.zip"), sizes.get(state, 10))


STATES = ("good", "rotten", "missing", "short", "unverified")


@given(st.lists(st.sampled_from(STATES), max_size=8), st.integers(0, 5))
def test_the_newest_verified_ones_are_never_among_those_to_delete(states: list[str], keep: int):
    snapshots = [stored(f"s{number}", number, state) for number, state in enumerate(states)]

    deleted = surplus(snapshots, keep)

    trusted = [snapshot for snapshot in snapshots if snapshot.trusted]
    assert all(snapshot not in deleted for snapshot in trusted[-max(keep, 1) :])
    if keep == 0 or len(trusted) < keep:
        assert deleted == ()
    else:
        assert [snapshot for snapshot in trusted if snapshot not in deleted] == trusted[-keep:]


def test_what_is_rotten_and_older_than_all_that_is_kept_goes_too():
    rotten, good = stored("a", 1, "rotten"), stored("b", 2)
    assert surplus([rotten, good], 1) == (rotten,)


def test_less_than_none_keeps_all():
    assert surplus([stored("a", 1), stored("b", 2)], -1) == ()


def test_order_is_by_sequence_and_not_by_time():
    older = stored("b", 1)
    newer = StoredSnapshot(
        replace(older.manifest, id="a", sequence=2, created_at=NOW - timedelta(days=9)), Path("/a.zip"), 10
    )
    assert surplus([newer, older], 1) == (older,)


def test_the_overview_says_of_each_what_it_is():
    snapshots = [stored(state, number, state) for number, state in enumerate(STATES)]
    later = NOW + timedelta(hours=3)
    rows = overview.as_plain_data(snapshots, later)
    assert [row["id"] for row in rows] == list(reversed(STATES))
    assert {row["id"]: row["verified"] for row in rows} == {state: state == "good" for state in STATES}
    by_id = {row["id"]: row["state"] for row in rows}
    assert by_id == {
        "good": "verified",
        "rotten": "rotten: a byte differs",
        "missing": "missing",
        "short": "rotten: it has 9 bytes instead of 10",
        "unverified": "not verified",
    }
    assert rows[0]["age_seconds"] == 3 * 3600
    text = overview.table(snapshots, later)
    assert text.splitlines()[0].split() == ["id", "age", "size", "state", "Tier", "1"]
    assert "3 h" in text


def test_the_age_is_never_negative_and_readable():
    assert overview.age_seconds(stored("a", 1), NOW - timedelta(days=1)) == 0
    ages = [overview.readable_age(seconds) for seconds in (5, 119, 121, 7199, 7200, 172_800)]
    assert ages == ["5 s", "119 s", "2 min", "119 min", "2 h", "2 d"]


def test_the_last_verified_one_is_what_the_status_tells(store: SnapshotStore):
    store_snapshot(store, "first", 1)
    second = store_snapshot(store, "second", 2)
    now = datetime(2026, 3, 4, 5, 6, 17, tzinfo=timezone.utc)
    assert overview.last_verified(store.newest_trusted(), now) == {
        "id": "second",
        "created_at": "2026-03-04T05:06:07Z",
        "age_seconds": 10,
    }
    store.write_manifest(second.manifest.found_rotten("a byte differs"))
    newest = store.newest_trusted()
    assert newest is not None
    assert newest.id == "first"
    assert overview.last_verified(None, now) is None


def test_deleting_takes_both_files(store: SnapshotStore):
    store.delete(store_snapshot(store, "mine"))
    assert list(store.folder.iterdir()) == []


def test_a_flipped_byte_alone_is_not_seen_by_a_look_from_outside(store: SnapshotStore):
    # Only verifying reads it all; that is why it exists.
    found = store_snapshot(store, "mine")
    flip(found.path)
    again = store.find("mine")
    assert again is not None
    assert again.trusted
