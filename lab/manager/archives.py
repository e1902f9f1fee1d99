"""Archives as a manager receives them: plugins (wagons, zips of wagon and yaml) and blueprints."""

from __future__ import annotations

import gzip
import json
import lzma
import shutil
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lab.manager.exceptions import BadParametersError, InvalidPluginError

_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    OSError,
    EOFError,
    KeyError,
    ValueError,
    gzip.BadGzipFile,
    lzma.LZMAError,
)


@dataclass(frozen=True)
class ReceivedPlugin:
    """What came with a plugin upload.

    Attributes:
        wagon: The wagon as a file of its own.
        yaml: The plugin.yaml; None when a bare wagon came.
        metadata: The wagon's `package.json`.
    """

    wagon: Path
    yaml: bytes | None
    metadata: dict[str, Any]


def open_plugin(archive: Path, folder: Path) -> ReceivedPlugin:
    """Take a plugin upload apart: a zip with wagon and yaml at its root, or a bare wagon.

    Args:
        archive: What came.
        folder: Where the wagon out of a zip is put.

    Raises:
        InvalidPluginError: It is neither.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as outer:
                if not _is_wagon(outer.namelist()):
                    return _from_zip(outer, folder)
        return ReceivedPlugin(archive, None, _wagon_metadata(archive))
    except _BROKEN as error:
        raise InvalidPluginError(
            f"Failed to read the plugin archive: not a wagon, and not a zip with a wagon and a "
            f"plugin.yaml ({type(error).__name__})"
        ) from error


def _from_zip(outer: zipfile.ZipFile, folder: Path) -> ReceivedPlugin:
    names = [name for name in outer.namelist() if not name.endswith("/")]
    wagons = [name for name in names if "/" not in name and name.endswith(".wgn")]
    yamls = [name for name in names if "/" not in name and name.endswith((".yaml", ".yml"))]
    if len(wagons) != 1 or len(yamls) != 1:
        raise InvalidPluginError(
            "Archive must include both a wgn file and a yaml file (one of each) at its root"
        )
    wagon = folder / PurePosixPath(wagons[0]).name
    with outer.open(wagons[0]) as source, wagon.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return ReceivedPlugin(wagon, outer.read(yamls[0]), _wagon_metadata(wagon))


def _is_wagon(names: list[str]) -> bool:
    return any(name.count("/") == 1 and name.endswith("/package.json") for name in names)


def _wagon_metadata(wagon: Path) -> dict[str, Any]:
    if zipfile.is_zipfile(wagon):
        with zipfile.ZipFile(wagon) as opened:
            name = next(n for n in [*opened.namelist(), ""] if n.endswith("/package.json") or not n)
            loaded = json.loads(opened.read(name))
    else:
        with tarfile.open(wagon) as tar:
            member = next(
                (m for m in tar if m.name.count("/") == 1 and m.name.endswith("/package.json")),
                None,
            )
            source = tar.extractfile(member) if member is not None else None
            if source is None:
                raise ValueError("no package.json")
            loaded = json.load(source)
    if not isinstance(loaded, dict) or "package_name" not in loaded:
        raise ValueError("no wagon metadata")
    return loaded


def archive_kind(archive: Path) -> str | None:
    """`zip`, `tar`, `tar.gz` or `tar.bz2`, by what is in the file; None for something else."""
    if zipfile.is_zipfile(archive):
        return "zip"
    if not tarfile.is_tarfile(archive):
        return None
    with archive.open("rb") as source:
        magic = source.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return "tar.gz"
    return "tar.bz2" if magic.startswith(b"BZh") else "tar"


def unpack_blueprint(archive: Path, folder: Path) -> Path:
    """Unpack a blueprint's archive; returns its one folder.

    Raises:
        BadParametersError: It is no archive, or has not exactly one folder at its top, or means
            to write outside of it.
    """
    kind = archive_kind(archive)
    try:
        if kind == "zip":
            with zipfile.ZipFile(archive) as opened:
                _check_names(opened.namelist())
                opened.extractall(folder)
        elif kind is not None:
            with tarfile.open(archive) as tar:
                members = [m for m in tar.getmembers() if m.isreg() or m.isdir()]
                _check_names([m.name for m in members])
                for member in members:
                    member.mode = 0o755 if member.isdir() else 0o644
                    tar.extract(member, folder, set_attrs=False)
        else:
            raise BadParametersError(
                "Blueprint archive is of an unrecognized format. Supported formats are: "
                "['tar', 'tar.gz', 'tar.bz2', 'zip']"
            )
    except _BROKEN as error:
        raise BadParametersError(f"Blueprint archive cannot be unpacked: {error}") from error
    entries = list(folder.iterdir())
    if len(entries) != 1 or not entries[0].is_dir():
        raise BadParametersError("Archive must contain exactly 1 directory")
    return entries[0]


def _check_names(names: list[str]) -> None:
    for name in names:
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise BadParametersError(f"Archive contains an illegal path: {name}")
