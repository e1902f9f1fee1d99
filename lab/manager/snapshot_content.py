"""What is in a snapshot: a zip with the stores as JSON, and the files of plugins and blueprints.

Laid out like a real one only as far as `metadata.json` goes; nobody else's tools can read it.
Padding is a stored member of zeros, so that a snapshot can have the size of one in the field.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.manager.dsl import Plan
from lab.manager.stores.blueprints import Blueprint
from lab.manager.stores.deployments import Deployment, NodeInstance
from lab.manager.stores.events import Event
from lab.manager.stores.executions import Execution
from lab.manager.stores.plugins import Plugin
from lab.manager.stores.secrets import Secret
from lab.manager.stores.tenants import Tenant

if TYPE_CHECKING:
    from lab.manager.database import Database
    from lab.manager.files import Files

_METADATA = "metadata.json"
_CONTENT = "content.json"
_PADDING = "padding"
_FILES = "resources/"
_PIECE_BYTES = 1 << 20
_ZEROS = bytes(_PIECE_BYTES)


class BadSnapshot(ValueError):  # noqa: N818 - it is the snapshot that is bad
    """This file is no snapshot."""


@dataclasses.dataclass(frozen=True)
class Capture:
    """The content of the stores at one moment, and the files that belong to it."""

    version: str
    content: dict[str, Any]
    files: tuple[str, ...]


def capture(database: Database, version: str, *, include_events: bool, include_logs: bool) -> Capture:
    """Take down what the stores hold now."""
    events = [event for event in database.events.all if (include_logs if event.is_log else include_events)]
    stores: dict[str, Any] = {
        "secrets": database.secrets,
        "plugins": database.plugins,
        "blueprints": database.blueprints,
        "deployments": database.deployments,
        "executions": database.executions,
        "events": events,
    }
    content = {name: [dataclasses.asdict(item) for item in store] for name, store in stores.items()}
    content["tenants"] = [{"name": name} for name in database.tenants.by_name]
    files = [plugin.wagon_file for plugin in database.plugins]
    files += [plugin.yaml_file for plugin in database.plugins if plugin.has_yaml]
    files += [blueprint.archive_file for blueprint in database.blueprints]
    return Capture(version, json.loads(json.dumps(content)), tuple(files))


def size_of(taken: Capture, files: Files, padding_bytes: int) -> int:
    """How much there is to write, without the stores."""
    paths = [files.path(name) for name in taken.files]
    return padding_bytes + sum(path.stat().st_size for path in paths if path.is_file())


def write(taken: Capture, files: Files, target: Path, padding_bytes: int) -> None:
    """Write a snapshot's archive; it appears under its name when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_suffix(".part")
    with (
        _Sparse(aside, "w+b") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        archive.writestr(_METADATA, json.dumps({"snapshot_version": taken.version}))
        archive.writestr(_CONTENT, json.dumps(taken.content), compress_type=zipfile.ZIP_DEFLATED)
        for name in taken.files:
            if files.path(name).is_file():
                archive.write(files.path(name), _FILES + name)
        if padding_bytes:
            with archive.open(_PADDING, "w", force_zip64=True) as member:
                for _ in range(padding_bytes // _PIECE_BYTES):
                    member.write(_ZEROS)
                member.write(bytes(padding_bytes % _PIECE_BYTES))
    aside.replace(target)


class _Sparse(io.FileIO):
    """A file that does not write the padding: it leaves a hole, which reads as zeros."""

    def write(self, data: Any, /) -> int:
        if data is _ZEROS:
            self.seek(_PIECE_BYTES, io.SEEK_CUR)
            return _PIECE_BYTES
        written = 0
        while written < len(data):
            written += super().write(data[written:]) or 0
        return written


def read(path: Path, files: Files) -> Capture:
    """Read a snapshot's archive and put its files in their places.

    Raises:
        BadSnapshot: It is none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            version = str(json.loads(archive.read(_METADATA))["snapshot_version"])
            content = json.loads(archive.read(_CONTENT))
            for name in archive.namelist():
                if name.startswith(_FILES) and ".." not in name:
                    _extract(archive, name, files.path(name.removeprefix(_FILES)))
    except (zipfile.BadZipFile, OSError, EOFError, KeyError, ValueError) as error:
        raise BadSnapshot(f"the snapshot cannot be read: {error}") from error
    return Capture(version, content, ())


def _extract(archive: zipfile.ZipFile, name: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, target.open("wb") as file:
        while piece := source.read(_PIECE_BYTES):
            file.write(piece)


def put_back(taken: Capture, database: Database, now: float) -> None:
    """Replace the stores' content by a snapshot's; accounts and snapshots stay as they are.

    What was running when the snapshot was made is `cancelled`; what runs now stays.
    """
    content = taken.content
    running = [execution for execution in database.executions if not execution.ended]
    database.tenants.by_name = {item["name"]: Tenant(item["name"]) for item in content["tenants"]}
    database.secrets.replace_all([Secret(**item) for item in content["secrets"]])
    database.plugins.replace_all([Plugin(**item) for item in content["plugins"]])
    database.blueprints.replace_all(
        [Blueprint(**{**item, "plan": Plan(**item["plan"])}) for item in content["blueprints"]]
    )
    database.deployments.replace_all([_deployment(item) for item in content["deployments"]])
    executions = [Execution(**item) for item in content["executions"]]
    for execution in executions:
        if not execution.ended:
            execution.status, execution.ended_at = "cancelled", now
            execution.error = "Marked as cancelled by snapshot restore"
    kept = {execution.id for execution in running}
    database.executions.replace_all([e for e in executions if e.id not in kept] + running)
    own = [event for event in database.events.all if event.execution_id in kept]
    database.events.all = [Event(**item) for item in content["events"]] + own


def _deployment(item: dict[str, Any]) -> Deployment:
    return Deployment(
        **{
            **item,
            "plan": Plan(**item["plan"]),
            "instances": [NodeInstance(**instance) for instance in item["instances"]],
        }
    )
