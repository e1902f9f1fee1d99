"""A backup: a snapshot made on Tier 1, brought to Tier 2, found to be whole, and only then called one.

Whatever happens on the way leaves a verified snapshot in the folder or none. What is left on Tier 1 by a
backup that was interrupted is gone on with by the same execution, and deleted by the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cmom.errors import ActionRequired, CmomError, ManagerRefused, TryAgainLater
from cmom.models import Version
from cmom.runtime import BackupRecord
from cmom.services.progress import TransferProgress, readable_size
from cmom.services.snapshots.archive import DamagedArchive, check_archive
from cmom.services.snapshots.creation import CreationTimes, SnapshotCreator, SnapshotFailed
from cmom.services.snapshots.download import SPARE_BYTES, Downloaded, Downloader, Patience
from cmom.services.snapshots.manifest import Manifest, format_time, parse_time
from cmom.services.snapshots.orphans import Orphaned
from cmom.services.snapshots.requests import BackupRequest, meaningless
from cmom.services.snapshots.retention import surplus
from cmom.services.snapshots.store import SnapshotStore, StoredSnapshot
from cmom.services.snapshots.words import NameTaken, taken
from cmom.services.tier1 import Tier1
from cmom.services.waiting import Clock, SystemClock

_ATTEMPTS = 3
_CALL_SECONDS = 120.0


@dataclass(frozen=True)
class BackupSettings:
    """How backups of a deployment are taken.

    Attributes:
        keep_snapshots: How many verified ones stay on Tier 2; 0 for all.
        keep_on_tier1: Whether the one on Tier 1 stays there, too.
        lock_seconds: How long to wait for another backup of the same deployment.
        times: For making it.
        patience: For downloading it.
        spare_bytes: What has to stay free on Tier 2's disk.
    """

    keep_snapshots: int = 0
    keep_on_tier1: bool = False
    lock_seconds: float = 3600.0
    times: CreationTimes = field(default_factory=CreationTimes)
    patience: Patience = field(default_factory=Patience)
    spare_bytes: int = SPARE_BYTES


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(timezone.utc)


class SnapshotTaker:
    """Takes backups of one cluster.

    Args:
        tier1: The cluster.
        store: Where its snapshots lie.
        logger: Gets the progress.
        execution_id: Of the execution on Tier 2 that this is part of.
        remember: Is told what is under way, to be kept: what it was told last is given to `take` after a
            crash.
        settings: See `BackupSettings`.
        clock: For tests.
        now: For tests.
    """

    def __init__(
        self,
        tier1: Tier1,
        store: SnapshotStore,
        logger: logging.Logger,
        *,
        execution_id: str,
        remember: Callable[[BackupRecord | None], None],
        settings: BackupSettings | None = None,
        clock: Clock | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._settings = settings or BackupSettings()
        self._tier1 = tier1
        self._store = store
        self._logger = logger
        self._execution_id = execution_id
        self._remember = remember
        self._clock = clock or SystemClock()
        self._now = now
        self._creator = SnapshotCreator(tier1, logger, self._clock, self._settings.times)
        self._downloader = Downloader(
            tier1,
            logger,
            self._clock,
            patience=self._settings.patience,
            spare_bytes=self._settings.spare_bytes,
        )

    def take(self, request: BackupRequest, before: BackupRecord | None = None) -> StoredSnapshot:
        """Take a backup.

        Args:
            request: What is wanted.
            before: What `remember` was told last, by this execution or another one.

        Raises:
            SnapshotFailed: The manager could not make it.
            ActionRequired: The name is taken, the disk is full, or the archive is damaged.
            TryAgainLater: The cluster does not answer, or does other things.
        """
        for warning in meaningless(request.parameters, self._tier1.version.generation):
            self._logger.warning("backup_params: %s", warning)
        self._store.prepare()
        if before is not None and before.deployment_id != self._store.deployment_id:
            before = None  # of another cluster, which is none of our business
        with self._store.lock(self._settings.lock_seconds, self._clock):
            self._store.clear_parts()
            record = before if before and before.tier2_execution_id == self._execution_id else None
            if record is None:
                self._clear_leftover(before)
                record = self._begin_record(request)
            stored = self._store.find(record.snapshot_id) if self._store.holds(record.snapshot_id) else None
            if stored is None:
                record, stored = self._bring(record, request)
            self._clean_up(record)
            self._thin_out()
        return stored

    def _begin_record(self, request: BackupRequest) -> BackupRecord:
        name = request.snapshot_id
        if name is None:
            name = self._free_name()
        elif self._store.holds(name):
            raise taken(name, f"in {self._store.folder}")
        elif self._creator.find(name) is not None:
            raise taken(name, "on Tier 1")
        record = BackupRecord(name, name, self._store.deployment_id, self._execution_id)
        self._remember(record)
        return record

    def _free_name(self) -> str:
        moment = self._now()
        while self._creator.find(name := self._store.free_name(moment)) is not None:
            moment += timedelta(seconds=1)
        return name

    def _bring(self, record: BackupRecord, request: BackupRequest) -> tuple[BackupRecord, StoredSnapshot]:
        """Make it and download it; begin again when it was lost with its leader."""
        while True:
            try:
                return self._attempt(record, request)
            except Orphaned as error:
                self._logger.warning("%s", error)
                self._discard(record.tier1_snapshot_id)
                if record.attempt >= _ATTEMPTS:
                    self._remember(None)
                    raise TryAgainLater(
                        f"The leader has changed in each of {_ATTEMPTS} attempts to take snapshot "
                        f"{record.snapshot_id}. The last time: {error}"
                    ) from error
            except NameTaken:
                self._remember(None)  # somebody else was faster; what is there now is theirs
                raise
            except ActionRequired as error:
                if isinstance(error, (SnapshotFailed, DamagedArchive)) or not self._settings.keep_on_tier1:
                    self._discard(record.tier1_snapshot_id)
                self._remember(None)
                raise
            attempt = record.attempt + 1
            record = replace(
                record, attempt=attempt, tier1_snapshot_id=f"{record.snapshot_id}.{attempt}", leader=""
            )
            self._remember(record)

    def _attempt(self, record: BackupRecord, request: BackupRequest) -> tuple[BackupRecord, StoredSnapshot]:
        name = record.tier1_snapshot_id
        if self._creator.find(name) is None:
            # Remembered before it is begun: after a crash nobody could tell any more.
            record = replace(record, contents=self._count())
            self._remember(record)
            leader = self._creator.begin(name, request.options)
            record = replace(record, leader=leader, began_at=format_time(self._now()))
            self._remember(record)
        self._creator.wait_until_created(name, record.leader)
        held = self._count()
        # What was made or deleted meanwhile may be in the snapshot or not.
        least = {kind: min(count, held.get(kind, 0)) for kind, count in record.contents.items()}
        part = self._store.part_path(record.snapshot_id)
        try:
            downloaded, version = self._download(record, part)
            now = self._now()
            manifest = Manifest(
                id=record.snapshot_id,
                deployment_id=self._store.deployment_id,
                tenant=self._store.tenant,
                sha256=downloaded.sha256,
                bytes=downloaded.bytes,
                tier1_version=str(version),
                created_at=parse_time(record.began_at) if record.began_at else now,
                parameters=request.parameters,
                sequence=self._store.next_sequence(),
                tier1_snapshot_id=name,
                contents=least,
                verified_at=now,
            )
            stored = self._store.adopt(manifest)
        finally:
            part.unlink(missing_ok=True)
        self._logger.info(
            "Snapshot %s is verified: %s, %s.",
            record.snapshot_id,
            stored.path,
            readable_size(downloaded.bytes),
        )
        return record, stored

    def _download(self, record: BackupRecord, part: Path) -> tuple[Downloaded, Version]:
        """Download the archive, and once more when it is damaged: that may have happened on the way."""
        name = record.tier1_snapshot_id
        try:
            downloaded = self._downloader.fetch(name, part)
            try:
                return downloaded, self._check(part)
            except DamagedArchive as error:
                self._logger.warning("%s; downloading it once more.", error)
                part.unlink(missing_ok=True)
            downloaded = self._downloader.fetch(name, part)
            return downloaded, self._check(part)
        except (TryAgainLater, ManagerRefused, DamagedArchive) as error:
            if record.leader and self._leader() not in ("", record.leader):
                raise Orphaned(
                    f"Snapshot {name} was lost with its leader {record.leader}: {error}"
                ) from error
            if isinstance(error, DamagedArchive):
                raise DamagedArchive(
                    f"Tier 1 serves a damaged archive of snapshot {name}: {error}. Check the disk of the "
                    "leader."
                ) from error
            raise

    def _check(self, part: Path) -> Version:
        progress = TransferProgress("Checking the archive", self._logger.info, self._clock)
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            done += count
            progress(done, 0)  # of what is compressed nobody knows how much it is

        return check_archive(part, tell)

    def _leader(self) -> str:
        try:
            return self._tier1.call(
                lambda api: str(api.version and api.address), "asking who leads", wait_seconds=_CALL_SECONDS
            )
        except CmomError:
            return ""

    def _count(self) -> dict[str, int]:
        """Count what the cluster holds, by which a restore is judged one day."""
        return self._tier1.call(
            lambda api: api.count_contents(), "counting what the cluster holds", wait_seconds=_CALL_SECONDS
        )

    def _clear_leftover(self, before: BackupRecord | None) -> None:
        """Delete what another execution has left on Tier 1."""
        if before is None:
            return
        self._logger.info(
            "A former backup was interrupted, or could not delete its snapshot %s on Tier 1; deleting that.",
            before.tier1_snapshot_id,
        )
        self._discard(before.tier1_snapshot_id)

    def _clean_up(self, record: BackupRecord) -> None:
        """Delete the snapshot on Tier 1; if that cannot be done now, the next backup does it."""
        if self._settings.keep_on_tier1 or self._discard(record.tier1_snapshot_id):
            self._remember(None)

    def _discard(self, name: str) -> bool:
        """Delete a snapshot on Tier 1 as far as that is possible; tell whether it is gone."""
        try:
            self._creator.ensure_deleted(name)
        except CmomError as error:
            self._logger.warning("Snapshot %s stays on Tier 1: %s", name, error)
            return False
        return True

    def _thin_out(self) -> None:
        """Delete what is more than is to be kept."""
        for stored in surplus(self._store.all(), self._settings.keep_snapshots):
            try:
                self._store.delete(stored)
            except OSError as error:
                self._logger.warning("%s cannot be deleted: %s", stored.path, error.strerror)
            else:
                self._logger.info(
                    "Snapshot %s is deleted: the last %d are kept.", stored.id, self._settings.keep_snapshots
                )
