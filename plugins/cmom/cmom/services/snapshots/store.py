"""The folder of one deployment's snapshots on Tier 2: ``ID.zip`` and ``ID.json``, and nothing half-written.

What comes lies in a hidden file of a name of ours until it is known to be whole. Only files that have a
manifest are ours; whatever else lies in the folder is never touched.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cmom.errors import ActionRequired
from cmom.services.locks import file_lock
from cmom.services.snapshots.files import new_file, read_manifest, size_of, write_all
from cmom.services.snapshots.manifest import BadManifest, Manifest
from cmom.services.validation.fields import identifier_problem
from cmom.services.waiting import Clock

ARCHIVE_SUFFIX, MANIFEST_SUFFIX, PART_SUFFIX = ".zip", ".json", ".part"
# A file's name has 255 bytes, and ours are somewhat longer than the identifier.
MAX_IDENTIFIER = 240
_NAME = "snap_%Y_%m_%d_%H_%M_%S"
_FOLDER_MODE = 0o700


@dataclass(frozen=True)
class StoredSnapshot:
    """A snapshot in the folder.

    Attributes:
        size_bytes: Of its archive as it lies there; None when there is none (any more).
    """

    manifest: Manifest
    path: Path
    size_bytes: int | None

    @property
    def id(self) -> str:
        """Its name."""
        return self.manifest.id

    @property
    def trusted(self) -> bool:
        """Whether it was verified, and nothing that can be seen without reading it all speaks against it."""
        manifest = self.manifest
        return manifest.verified_at is not None and not manifest.rotten and self.size_bytes == manifest.bytes


def snapshot_id_problem(snapshot_id: str) -> str | None:
    """Say what keeps a name from being a snapshot's, on Tier 1 and as a file; None when nothing does."""
    problem = identifier_problem(snapshot_id)
    if problem is None and len(snapshot_id) > MAX_IDENTIFIER:
        return f"is too long: {len(snapshot_id)} characters, at most {MAX_IDENTIFIER} are allowed"
    return problem


class SnapshotStore:
    """The snapshots of one deployment.

    Args:
        base: The folder of all deployments' snapshots.
        deployment_id: Of the cluster, on Tier 2.
        tenant: Of that deployment: in another tenant of Tier 2 there may be one of the same name, whose
            snapshots lie in the same folder and are none of ours. Empty for the local profile.

    Raises:
        ActionRequired: Such a deployment cannot have a folder.
    """

    def __init__(self, base: Path, deployment_id: str, tenant: str = "") -> None:
        if "/" in deployment_id or "\0" in deployment_id or deployment_id in ("", ".", ".."):
            raise ActionRequired(f"The deployment {deployment_id!r} cannot have a folder of its name.")
        self.deployment_id = deployment_id
        self.tenant = tenant
        self.folder = base / deployment_id

    def prepare(self) -> None:
        """Make the folder, for this user alone.

        Raises:
            ActionRequired: It cannot be made, or not be written to.
        """
        try:
            self.folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            writable = os.access(self.folder, os.W_OK | os.X_OK)
        except OSError as error:
            raise self._trouble("cannot be made", error) from error
        if not writable:
            raise ActionRequired(
                f"The folder for snapshots {self.folder} cannot be written to by this user. Change its "
                "owner, "
                "or give another place as the input snapshots_path."
            )

    def lock(self, wait_seconds: float, clock: Clock | None = None) -> AbstractContextManager[None]:
        """Return a context in which nobody else changes the folder.

        Raises:
            DeadlinePassed: Somebody did, all that time.
        """
        what = f"a backup of deployment {self.deployment_id}"
        return file_lock(self.folder / ".lock", what, wait_seconds=wait_seconds, clock=clock)

    def archive_path(self, snapshot_id: str) -> Path:
        """Return where a snapshot is to lie."""
        return self.folder / f"{snapshot_id}{ARCHIVE_SUFFIX}"

    def manifest_path(self, snapshot_id: str) -> Path:
        """Return where its manifest is to lie."""
        return self.folder / f"{snapshot_id}{MANIFEST_SUFFIX}"

    def part_path(self, snapshot_id: str) -> Path:
        """Return where it lies while it comes."""
        return self.folder / f".{snapshot_id}{ARCHIVE_SUFFIX}{PART_SUFFIX}"

    def holds(self, snapshot_id: str) -> bool:
        """Tell whether the name is taken, by a snapshot of ours or any other file.

        A manifest of ours that has lost its archive does not take it.
        """
        if os.path.lexists(self.archive_path(snapshot_id)):
            return True
        try:
            manifest = read_manifest(self.manifest_path(snapshot_id))
        except BadManifest:
            return True
        return manifest is not None and manifest.id != snapshot_id

    def free_name(self, now: datetime) -> str:
        """Return the name for a snapshot that was given none: the time, or the next second that is free.

        It is not free when the clock was put back, or when two backups were started in the same second.
        """
        moment = now.astimezone(timezone.utc)
        while self.holds(name := moment.strftime(_NAME)):
            moment += timedelta(seconds=1)
        return name

    def find(self, snapshot_id: str) -> StoredSnapshot | None:
        """Return a snapshot of ours; None when there is none of this name, or it has no manifest.

        Raises:
            BadManifest: Its manifest cannot be read.
        """
        manifest = read_manifest(self.manifest_path(snapshot_id))
        if manifest is None:
            return None
        path = self.archive_path(snapshot_id)
        return StoredSnapshot(manifest, path, size_of(path))

    def all(self) -> tuple[StoredSnapshot, ...]:
        """Return all snapshots of ours, the oldest first; those without their archive are among them."""
        found = []
        for path in self._files(MANIFEST_SUFFIX):
            try:
                stored = self.find(path.name.removesuffix(MANIFEST_SUFFIX))
            except BadManifest:
                continue
            if stored is None or self.tenant not in ("", stored.manifest.tenant or self.tenant):
                continue
            if stored.id == path.name.removesuffix(MANIFEST_SUFFIX):
                found.append(stored)
        return tuple(sorted(found, key=lambda stored: (stored.manifest.sequence, stored.id)))

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """Return the archives whose manifest cannot be read, each with the reason."""
        found = []
        for path in self._files(ARCHIVE_SUFFIX):
            name = path.name.removesuffix(ARCHIVE_SUFFIX)
            try:
                self.find(name)
            except BadManifest as error:
                found.append((name, str(error)))
        return tuple(found)

    def foreign(self) -> tuple[str, ...]:
        """Return the names of archives in the folder that have no manifest."""
        return tuple(
            path.name
            for path in self._files(ARCHIVE_SUFFIX)
            if not os.path.lexists(self.manifest_path(path.name.removesuffix(ARCHIVE_SUFFIX)))
        )

    def newest_trusted(self) -> StoredSnapshot | None:
        """Return the last verified snapshot; None when there is none."""
        return next((stored for stored in reversed(self.all()) if stored.trusted), None)

    def next_sequence(self) -> int:
        """Return the number of the next snapshot."""
        return max((stored.manifest.sequence for stored in self.all()), default=0) + 1

    def adopt(self, manifest: Manifest) -> StoredSnapshot:
        """Give a part that is known to be whole its name; nothing ever has that name before.

        Raises:
            ActionRequired: The name is taken, or the disk does not take it.
        """
        part, path = self.part_path(manifest.id), self.archive_path(manifest.id)
        if self.holds(manifest.id):
            raise ActionRequired(
                f"{path} appeared while the snapshot was being downloaded; it is left alone."
            )
        self.write_manifest(manifest)
        try:
            os.rename(part, path)
            self._sync_folder()
        except OSError as error:
            self.manifest_path(manifest.id).unlink(missing_ok=True)
            raise self._trouble(f"does not take {path.name}", error) from error
        return StoredSnapshot(manifest, path, size_of(path))

    def write_manifest(self, manifest: Manifest) -> None:
        """Write a manifest aside, and put it in its place.

        Raises:
            ActionRequired: The disk does not take it.
        """
        path = self.manifest_path(manifest.id)
        aside = self.folder / f".{manifest.id}{MANIFEST_SUFFIX}{PART_SUFFIX}"
        try:
            aside.unlink(missing_ok=True)
            with new_file(aside) as file:
                write_all(file, manifest.as_text().encode())
                os.fsync(file.fileno())
            os.replace(aside, path)
            self._sync_folder()
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise self._trouble(f"does not take {path.name}", error) from error

    def delete(self, stored: StoredSnapshot) -> None:
        """Delete a snapshot of ours; the archive first, so that it never lies there without its manifest."""
        stored.path.unlink(missing_ok=True)
        self.manifest_path(stored.id).unlink(missing_ok=True)
        self._sync_folder()

    def clear_parts(self) -> None:
        """Delete what backups that were killed have left; only who holds the lock may."""
        for suffix in (ARCHIVE_SUFFIX, MANIFEST_SUFFIX):
            for path in self._files(f"{suffix}{PART_SUFFIX}"):
                name = path.name.removesuffix(f"{suffix}{PART_SUFFIX}")
                if name.startswith(".") and snapshot_id_problem(name[1:]) is None:
                    path.unlink(missing_ok=True)

    def _files(self, suffix: str) -> list[Path]:
        try:
            return sorted(
                path
                for path in self.folder.iterdir()
                if path.name.endswith(suffix) and size_of(path) is not None
            )
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._trouble("cannot be read", error) from error

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _trouble(self, what: str, error: OSError) -> ActionRequired:
        return ActionRequired(
            f"The folder for snapshots {self.folder} {what}: {error.strerror}. Mend that, or give another "
            "place as "
            "the input snapshots_path."
        )
