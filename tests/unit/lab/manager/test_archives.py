"""Archives as a manager opens them."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from lab.manager import archives, samples
from lab.manager.exceptions import BadParametersError, InvalidPluginError


def test_a_plugin_zip_gives_wagon_yaml_and_metadata(tmp_path: Path) -> None:
    received = archives.open_plugin(samples.make_plugin(tmp_path, "my-plugin", "2.1"), tmp_path)
    assert (received.metadata["package_name"], received.metadata["package_version"]) == (
        "my-plugin",
        "2.1",
    )
    assert received.yaml is not None
    assert b"my-plugin" in received.yaml
    assert received.wagon.name == "my_plugin-2.1-py36-none-linux_x86_64.wgn"


def test_a_wagon_in_the_old_format_is_a_tar(tmp_path: Path) -> None:
    wagon = tmp_path / "old.wgn"
    content = json.dumps({"package_name": "old", "package_version": "1"}).encode()
    with tarfile.open(wagon, "w:gz") as tar:
        member = tarfile.TarInfo("old/package.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    assert archives.open_plugin(wagon, tmp_path).metadata["package_name"] == "old"


def zip_of(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return path


@pytest.mark.parametrize(
    "members",
    [
        {"plugin_dot_yaml": ""},
        {"a_dot_wgn": "x"},
        {"a_dot_wgn": "x", "plugin_dot_yaml": ""},
        {"in__a_dot_wgn": "x", "in__plugin_dot_yaml": ""},
    ],
)
def test_a_zip_without_wagon_and_yaml_at_its_root_is_refused(tmp_path: Path, members: dict[str, str]) -> None:
    with pytest.raises(InvalidPluginError):
        archives.open_plugin(zip_of(tmp_path / "x.zip", **members), tmp_path)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2"])
def test_a_blueprints_archive_is_unpacked_by_its_content(tmp_path: Path, kind: str) -> None:
    packed = samples.pack(samples.make_blueprint(tmp_path), tmp_path / f"b.{kind}")
    nameless = packed.rename(tmp_path / "nameless")
    assert archives.archive_kind(nameless) == kind
    target = tmp_path / "out"
    target.mkdir()
    assert (archives.unpack_blueprint(nameless, target) / "blueprint.yaml").is_file()


@pytest.mark.parametrize("name", ["../out.yaml", "/abs.yaml", "top/../../out.yaml"])
def test_an_archive_that_writes_outside_is_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(BadParametersError, match="illegal path"):
        archives.unpack_blueprint(tmp_path / "b.zip", tmp_path / "out")


def test_an_archive_has_exactly_one_folder(tmp_path: Path) -> None:
    for position, members in enumerate(({"a__x": "", "b__x": ""}, {"x": ""})):
        target = tmp_path / f"out{position}"
        target.mkdir()
        with pytest.raises(BadParametersError, match="exactly 1 directory"):
            archives.unpack_blueprint(zip_of(tmp_path / "b.zip", **members), target)


def test_junk_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(BadParametersError, match="unrecognized format"):
        archives.unpack_blueprint(tmp_path / "junk", tmp_path)
