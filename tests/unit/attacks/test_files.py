"""Files from strangers: archives, bombs, YAML that explodes, manifests that are something else."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import json
import os
import struct
import tarfile
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from cmom.errors import CmomError, Fault, InvalidInputs
from cmom.services.inputs import INSTALL_INPUTS, parse_install_inputs, parse_parameters, parse_resources
from cmom.services.snapshots import archive as snapshot_archive
from cmom.services.snapshots.archive import DamagedArchive, archive_version, check_archive
from cmom.services.snapshots.files import read_manifest
from cmom.services.snapshots.manifest import BadManifest, Manifest
from cmom.services.snapshots.source import open_snapshot
from cmom.services.snapshots.store import SnapshotStore
from cmom.services.validation import archives
from cmom.services.validation.archives import check_blueprint_archive, check_wagon, wagon_metadata
from cmom.services.validation.files import Unusable, yaml_mapping
from cmom.services.validation.plain import MAX_VALUES, Unreadable, json_problem, load_yaml
from tests.unit.attacks.odd import changed, nasty_words, odd_json
from tests.unit.cmom.given_inputs import tar_file, text_file, wagon_file
from tests.unit.cmom.given_snapshot import manifest_of, store_snapshot, write_archive

# --- YAML

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in itertools.pairwise("abcdefghi")
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 10)}], {name}: 1}}\n"
    for before, name in itertools.pairwise("abcdefghi")
)
YAMLS = {
    "billion laughs": LAUGHS,
    "merged laughs": MERGES,
    "within itself": "a: &a [*a]\n",
    "key within itself": "&a {*a : 1}\n",
    "deep": "a: " + "[" * 20_000,
    "deep blocks": "".join(f"{' ' * number}a:\n" for number in range(300)),
    "tag of Python": "a: !!python/object/apply:os.system [touch pwned]\n",
    "unknown tag": "a: !x y\n",
    "bad boolean": "a: !!bool maybe\n",
    "empty number": 'a: !!int ""\n',
    "empty float": 'a: !!float ""\n',
    "bad time": "a: !!timestamp soon\n",
    "bad date": "a: 2024-99-99\n",
    "list as key": "? [a]\n: b\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "unknown anchor": "a: *nobody\n",
    "tabs": "a:\n\t- b\n",
    "control characters": "a: \x00\x01\n",
    "number of many digits": "a: " + "9" * 5000 + "\n",
}


@pytest.mark.parametrize("name", YAMLS)
def test_yaml_that_is_a_trap_is_refused_with_its_path(tmp_path: Path, name: str) -> None:
    path = text_file(tmp_path, "x.yaml", YAMLS[name])
    with pytest.raises(Unusable) as caught:
        yaml_mapping(path)
    assert str(caught.value).startswith(f"{path} ")
    assert "pwned" not in str(caught.value)


def test_anchors_that_stay_small_are_fine(tmp_path: Path) -> None:
    text = "base: &base {a: 1}\none: {<<: *base, b: 2}\ntwo: [*base, *base]\n"
    assert yaml_mapping(text_file(tmp_path, "x.yaml", text)) == yaml.safe_load(text)


@given(content=odd_json)
def test_what_a_dumper_writes_is_read_as_it_was(content: Any) -> None:
    try:
        text = yaml.safe_dump(content)
        expected = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return
    assert repr(load_yaml(text)) == repr(expected)


@given(text=st.text(st.sampled_from("abc:-[]{}*&!?|>'\"#% \n0123456789.,<"), max_size=60) | nasty_words)
@example(text="!!bool x")
@example(text="? ")
def test_any_text_is_yaml_or_refused(text: str) -> None:
    try:
        load_yaml(text)
    except Unreadable as error:
        assert str(error)


def wide(levels: int) -> Any:
    """A few lists that stand for ten to the power of some."""
    value: Any = ["x"] * 10
    for _ in range(levels):
        value = [value] * 10
    return value


def endless() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


TRAPS = {
    "wide": wide(9),
    "endless": endless(),
    "date": {"when": datetime(2026, 1, 1, tzinfo=timezone.utc)},
    "bytes": {"a": b"x"},
    "set": {"a": {1}},
    "key": {"a": {("x", "y"): 1}},
    "huge": {"a": 16**5000},
}


@pytest.mark.parametrize("name", TRAPS)
def test_inputs_that_no_json_can_hold_are_a_fault_with_its_place(name: str) -> None:
    with pytest.raises(InvalidInputs) as caught:
        parse_resources({"deployments": [{"blueprint_id": "shop", "inputs": {"x": TRAPS[name]}}]})
    assert [fault.place for fault in caught.value.faults] == ["deployments[0].inputs"]
    with pytest.raises(InvalidInputs):
        parse_parameters({"x": TRAPS[name]})


@pytest.mark.parametrize("name", TRAPS)
def test_a_configuration_that_is_a_trap_is_a_fault(name: str) -> None:
    with pytest.raises(InvalidInputs) as caught:
        parse_install_inputs({"additional_config": {"x": TRAPS[name]}})
    found = {fault.place for fault in caught.value.faults}
    assert any(place.startswith("additional_config") for place in found) or name in ("key", "huge"), found


@given(value=odd_json)
def test_what_may_be_sent_as_json_can_be(value: Any) -> None:
    if json_problem(value) is None:
        assert len(json.dumps(value)) < 10**7


@pytest.mark.parametrize("name", INSTALL_INPUTS)
def test_a_number_that_nobody_can_write_down_is_a_fault(name: str) -> None:
    for value in (16**5000, -(16**5000), [16**5000], {"x": 16**5000}, {16**5000: 1}):
        with pytest.raises(InvalidInputs):
            parse_install_inputs({name: value})


def test_a_hundred_thousand_faults_are_found_in_time_and_not_all_told() -> None:
    with pytest.raises(InvalidInputs) as caught:
        parse_resources({"tenants": [1] * 100_000})
    assert len(caught.value.faults) == 100_000
    assert str(caught.value).count("\n") == 201
    assert str(caught.value).endswith("... and 99800 more")


def test_a_few_faults_are_all_told() -> None:
    faults = [Fault(f"x[{number}]", "wrong") for number in range(200)]
    assert "more" not in str(InvalidInputs(faults))


# --- archives that inputs name


def gnu_long_name(claimed: int, data: bytes) -> bytes:
    """A tar whose first member says that its name has very many characters."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, claimed
    return info.tobuf(tarfile.GNU_FORMAT) + data


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("kind", ["content", "name"])
def test_a_tar_that_unpacks_without_end_is_given_up_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Any, kind: str
) -> None:
    monkeypatch.setattr(archives, "MAX_SCANNED_BYTES", 2_000_000)
    size = 50_000_000
    first = tarfile.TarInfo("x/big")
    first.size = size
    head = first.tobuf() if kind == "content" else gnu_long_name(size, b"")
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(pack(head + b"\0" * size))
    read: list[int] = []

    class Counted(archives._Limited):
        def read(self, size: int = -1) -> bytes:
            piece = super().read(size)
            read.append(len(piece))
            return piece

    monkeypatch.setattr(archives, "_Limited", Counted)
    assert wagon_metadata(str(path)) is None
    check_blueprint_archive(str(path), None)
    assert sum(read) <= 2 * 2_100_000


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../../etc/passwd", "x/../../y", "//x", "a\nb/c", "\udcff/x", "-rf/x", "x" * 3000]
)
@pytest.mark.parametrize("kind", ["file", "symlink", "hardlink", "device", "pipe"])
def test_odd_members_of_an_archive_are_looked_at_and_never_unpacked(
    tmp_path: Path, name: str, kind: str
) -> None:
    types = {
        "file": tarfile.REGTYPE,
        "symlink": tarfile.SYMTYPE,
        "hardlink": tarfile.LNKTYPE,
        "device": tarfile.CHRTYPE,
        "pipe": tarfile.FIFOTYPE,
    }
    path = tmp_path / "in" / "odd.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        for member in (name, "x/package.json", "x/blueprint.yaml"):
            info = tarfile.TarInfo(member)
            info.type, info.linkname = types[kind], "/etc/passwd"
            tar.addfile(info, io.BytesIO(b""))
    before = sorted(tmp_path.rglob("*"))
    for check in (check_wagon, lambda name: check_blueprint_archive(name, None)):
        try:
            check(str(path))
        except Unusable as error:
            assert "root:" not in str(error)
    assert sorted(tmp_path.rglob("*")) == before


@given(data=st.data())
def test_a_damaged_archive_is_looked_at_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    kind = data.draw(st.sampled_from(["gz", "bz2", "", "zip"]))
    if kind == "zip":
        good = write_archive(folder / "good.zip").read_bytes()
    else:
        mode = f"w:{kind}"
        content = {"x/package.json": b'{"package_name": "p"}', "x/blueprint.yaml": b"a: 1"}
        good = Path(tar_file(folder, "good.tar", content, mode)).read_bytes()
    content = bytearray(good)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(
            st.sampled_from([0, 1, 0x7F, 0xFF, 0x80])
        )
    path = folder / "bad.zip"
    path.write_bytes(bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))]))
    for look in (check_wagon, lambda name: check_blueprint_archive(name, None)):
        try:
            look(str(path))
        except Unusable:
            continue
    for examine in (check_archive, archive_version, open_snapshot):
        try:
            examine(path)
        except CmomError as error:
            assert "Traceback" not in str(error)


def test_a_wagon_of_any_compression_that_managers_know_is_read(tmp_path: Path) -> None:
    members = {"x/package.json": b'{"package_name": "p"}'}
    for mode in ("w", "w:gz", "w:bz2"):
        assert wagon_metadata(tar_file(tmp_path, f"{mode[2:] or 'tar'}.wgn", members, mode)) is not None
    with pytest.raises(Unusable, match="is not a wagon"):
        wagon_metadata(tar_file(tmp_path, "xz.wgn", members, "w:xz"))
    assert wagon_metadata(wagon_file(tmp_path)) is not None


# --- snapshots


def overlapping(path: Path, count: int) -> Path:
    """A zip whose members are all the same bytes: it unpacks to many times what it has."""
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("metadata.json", json.dumps({"snapshot_version": "4.6.0"}))
        made.writestr("big", b"\0" * 1_000_000)
    content = bytearray(bomb.getvalue())
    end = content.rindex(b"PK\x05\x06")
    size, start = struct.unpack("<LL", content[end + 12 : end + 20])
    directory = bytes(content[start : start + size])
    entry = directory[directory.rindex(b"PK\x01\x02") :]
    entries = directory + b"".join(
        entry[:46] + f"b{number:02}".encode() + entry[46 + 3 :] for number in range(count)
    )
    total = 2 + count
    tail = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, total, total, len(entries), start, 0)
    path.write_bytes(bytes(content[:start]) + entries + tail)
    return path


def test_a_snapshot_whose_members_share_their_bytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    read: list[int] = []
    with pytest.raises(DamagedArchive, match="share their bytes"):
        check_archive(overlapping(tmp_path / "bomb.zip", 90), read.append)
    assert read == []


def test_a_snapshot_whose_member_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "s.zip")
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<L", 2**31)
    path.write_bytes(bytes(content))
    with pytest.raises(DamagedArchive, match="larger than its bytes can be"):
        check_archive(path)


def test_a_snapshot_with_another_compression_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("metadata.json", json.dumps({"snapshot_version": "4.6.0"}))
    with pytest.raises(DamagedArchive, match="no manager uses"):
        check_archive(path)


def test_a_directory_that_would_fill_the_memory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_archive(tmp_path / "s.zip")
    monkeypatch.setattr(snapshot_archive, "MAX_DIRECTORY_BYTES", 50)
    for look in (check_archive, archive_version):
        with pytest.raises(DamagedArchive, match="directory is longer than 50"):
            look(path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../../x", "a\nb", "x" * 5000, "\u202e"])
def test_odd_names_in_a_snapshot_are_read_and_never_unpacked(tmp_path: Path, name: str) -> None:
    path = tmp_path / "in" / "s.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("metadata.json", json.dumps({"snapshot_version": "4.6.0"}))
        made.writestr(name, b"x")
    assert str(check_archive(path)) == "4.6.0"
    assert sorted(tmp_path.rglob("*")) == [path.parent, path]


GOOD_MANIFEST = {
    "format": 1,
    "id": "s",
    "deployment_id": "old",
    "sha256": "0" * 64,
    "bytes": 5,
    "tier1_version": "4.6.0",
    "created_at": "2026-01-01T00:00:00Z",
    "verified_at": "2026-01-01T00:00:00Z",
    "sequence": 3,
    "contents": {"tenants": 1},
    "parameters": ["--exclude-logs"],
}


@given(found=changed(GOOD_MANIFEST))
@example(found={**GOOD_MANIFEST, "sequence": float("inf")})
@example(found={**GOOD_MANIFEST, "sequence": 10**4200})
@example(found={**GOOD_MANIFEST, "bytes": True})
@example(found={**GOOD_MANIFEST, "contents": {"x": float("inf")}})
def test_an_odd_manifest_is_read_or_refused_and_what_is_read_can_be_written(found: Any) -> None:
    try:
        manifest = Manifest.parse(json.dumps(found))
    except BadManifest:
        return
    assert Manifest.parse(manifest.as_text()) == manifest
    assert 0 <= manifest.sequence < 2**62
    assert type(manifest.bytes) is int


@pytest.mark.parametrize(
    "what", ["pipe", "folder", "link to a device", "huge", "deep", "empty", "dangling link"]
)
def test_what_lies_in_the_place_of_a_manifest_is_none_and_holds_nobody_up(tmp_path: Path, what: str) -> None:
    store = SnapshotStore(tmp_path, "old")
    good = store_snapshot(store, "good")
    write_archive(store.archive_path("bad"))
    path = store.manifest_path("bad")
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "link to a device":
        path.symlink_to("/dev/zero")
    elif what == "dangling link":
        path.symlink_to("/nowhere/at/all")
    else:
        path.write_bytes({"huge": b"x" * 3_000_000, "deep": b"[" * 500_000, "empty": b""}[what])
    if what == "dangling link":
        assert store.find("bad") is None
    else:
        with pytest.raises(BadManifest):
            store.find("bad")
    assert store.holds("bad")
    assert store.all() == (good,)
    assert store.newest_trusted() == good
    assert store.next_sequence() == 2


def test_a_manifest_that_names_another_place_deletes_nothing_there(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, "old")
    stored = store_snapshot(store, "good")
    precious = tmp_path / "precious.zip"
    precious.write_bytes(b"x")
    evil = manifest_of(stored.path, id="../precious", sequence=2)
    store.manifest_path("evil").write_text(evil.as_text())
    write_archive(store.archive_path("evil"))
    assert [found.id for found in store.all()] == ["good"]
    assert precious.exists()
    assert open_snapshot(store.archive_path("evil")).id == "restored_snapshot"


def test_a_link_to_a_manifest_is_followed_to_a_file_only(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "s.zip")
    real = tmp_path / "real.json"
    real.write_text(manifest_of(path).as_text())
    (tmp_path / "s.json").symlink_to(real)
    assert read_manifest(tmp_path / "s.json") is not None


@pytest.mark.parametrize("what", ["pipe", "folder", "device"])
def test_a_snapshot_that_is_no_file_is_not_waited_for(tmp_path: Path, what: str) -> None:
    path = tmp_path / "s.zip"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(CmomError, match="cannot be read"):
        open_snapshot(path)


def test_the_bound_on_values_is_far_above_what_anybody_writes() -> None:
    assert json_problem(list(range(MAX_VALUES - 1))) is None
    assert json_problem(list(range(MAX_VALUES))) is not None
