"""What is to be restored: which file, of which managers, and whether it is still what it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cmom.clients.local_files import open_file
from cmom.errors import ActionRequired
from cmom.models import Version
from cmom.services.snapshots.archive import archive_version, check_against, check_archive
from cmom.services.snapshots.files import read_manifest
from cmom.services.snapshots.manifest import Manifest
from cmom.services.snapshots.requests import RestoreRequest
from cmom.services.snapshots.store import (
    ARCHIVE_SUFFIX,
    MANIFEST_SUFFIX,
    SnapshotStore,
    snapshot_id_problem,
)

_NAMELESS = "restored_snapshot"


@dataclass(frozen=True)
class SnapshotFile:
    """A snapshot on Tier 2 that is to be restored.

    Attributes:
        path: The archive.
        id: What it is to be called on the new managers.
        version: Of the managers that it was taken from.
        manifest: What is written beside it; None when nothing is, as for one from elsewhere.
    """

    path: Path
    id: str
    version: Version
    manifest: Manifest | None

    def verify(self, progress: Callable[[int], None] = lambda count: None) -> None:
        """Read all of it and compare it with its manifest, or with the checksums inside when it has none.

        Raises:
            DamagedArchive: It is not whole.
        """
        if self.manifest is None:
            check_archive(self.path, progress)
        else:
            check_against(self.path, self.manifest, progress)


def chosen_path(request: RestoreRequest, base: Path) -> Path | None:
    """Return the file that is asked for; None when it has yet to be taken.

    Args:
        request: What is asked for.
        base: The folder of all deployments' snapshots.
    """
    if request.snapshot_path is not None:
        return Path(request.snapshot_path)
    if request.old_deployment_id is None or request.snapshot_id is None:
        return None
    return SnapshotStore(base, request.old_deployment_id).archive_path(request.snapshot_id)


def open_snapshot(path: Path) -> SnapshotFile:
    """Look at a snapshot, without reading all of it.

    Raises:
        ActionRequired: It is not there, cannot be read, or is no snapshot; or its manifest is none.
    """
    try:
        with open_file(path):
            pass
    except FileNotFoundError as error:
        raise ActionRequired(f"there is no snapshot {path}{_others(path)}") from error
    except OSError as error:
        raise ActionRequired(f"{path} cannot be read: {error.strerror}") from error
    manifest = read_manifest(path.with_name(_stem(path) + MANIFEST_SUFFIX))
    if manifest is not None and manifest.rotten:
        raise ActionRequired(f"{path} was found to be rotten: {manifest.rotten}")
    identifier = manifest.id if manifest is not None else _stem(path)
    if snapshot_id_problem(identifier):
        identifier = _NAMELESS
    return SnapshotFile(path, identifier, archive_version(path), manifest)


def version_problem(snapshot: Version, manager: Version) -> str | None:
    """Say what keeps managers from restoring a snapshot of a version; None when nothing does."""
    if _three(snapshot) > _three(manager):
        return (
            f"it is of a manager of version {snapshot}, newer than the {manager} that is to restore it; "
            "use an "
            f"install RPM of {snapshot} or later"
        )
    return None


def _three(version: Version) -> tuple[int, ...]:
    return (*version.numbers, 0, 0)[:3]


def _stem(path: Path) -> str:
    return path.name.removesuffix(ARCHIVE_SUFFIX)


def _others(path: Path) -> str:
    """Name what lies there instead."""
    try:
        names = sorted(_stem(other) for other in path.parent.iterdir() if other.suffix == ARCHIVE_SUFFIX)
    except OSError:
        return f", nor a folder {path.parent}"
    return f"; there are {', '.join(names[-5:])}" if names else f"; {path.parent} has none"
