"""Restoring a snapshot onto a manager that is in no cluster yet, and seeing to it that it was restored.

A manager may call a restore a success that has restored nothing, may be silent for minutes while it does
it, and may keep a restore that it refused as a ``pending`` execution that nothing gets past. All three are
looked for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from cmom.clients.snapshots import RestoreOptions
from cmom.errors import ActionRequired, ManagerUnreachable
from cmom.runtime import RestoreRecord
from cmom.services.progress import TransferProgress, readable_size
from cmom.services.snapshots.judgement import restore_problem
from cmom.services.snapshots.restore_execution import RestoreExecution, RestoreFailed
from cmom.services.snapshots.restore_patience import RestoreStuck, RestoreTimes
from cmom.services.snapshots.source import SnapshotFile, version_problem
from cmom.services.tier1 import Tier1, Tier1Api
from cmom.services.waiting import Clock, SystemClock

Answer = TypeVar("Answer")

_CALL_SECONDS = 120.0
_UPLOADS = 3
_STARTS = 2


class SnapshotRestorer:
    """Restores snapshots onto one manager.

    Args:
        tier1: The manager.
        logger: Gets the progress.
        remember: Is told how far it has come, to be kept: what it was told last is given to `restore` after
            a crash.
        times: See `RestoreTimes`.
        clock: For tests.
    """

    def __init__(
        self,
        tier1: Tier1,
        logger: logging.Logger,
        *,
        remember: Callable[[RestoreRecord], None],
        times: RestoreTimes | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._tier1 = tier1
        self._logger = logger
        self._remember = remember
        self._times = times or RestoreTimes()
        self._clock = clock or SystemClock()
        self._execution = RestoreExecution(tier1, logger, self._clock, self._times)

    def was_restored(self, snapshot_id: str | None = None) -> bool:
        """Ask the manager whether a snapshot was restored onto it: this one, or any.

        For those who have lost what they remembered, as a second ``install`` in the local profile has.
        """
        return any(execution.status == "terminated" for execution in self._execution.all(snapshot_id))

    def restore(
        self, snapshot: SnapshotFile, options: RestoreOptions, before: RestoreRecord | None = None
    ) -> RestoreRecord:
        """Restore a snapshot, from wherever a former try has come to.

        Raises:
            DamagedArchive: The snapshot is not what it was.
            RestoreFailed: The manager failed to restore it, or has restored nothing.
            ActionRequired: It is of a newer manager, or the manager refuses it.
            TryAgainLater: The manager does not answer, or does other things.
        """
        record = before or RestoreRecord(str(snapshot.path))
        if record.done:
            return record
        problem = version_problem(snapshot.version, self._tier1.version)
        if problem:
            raise ActionRequired(f"Snapshot {snapshot.path} cannot be restored: {problem}.")
        if record.stage == "chosen":
            record = self._begin_record(record, snapshot)
        lost = record.stage == "uploaded" and not self._has(record.tier1_snapshot_id)
        if lost or record.stage == "uploading":
            record = self._upload(record, snapshot)
        record = self._restore(record, options)
        after = self._execution.wait_until_steady()
        self._judge(record, after, snapshot)
        record = replace(record, stage="restored")
        self._remember(record)
        self._logger.info("Snapshot %s is restored.", record.tier1_snapshot_id)
        return record

    def _begin_record(self, record: RestoreRecord, snapshot: SnapshotFile) -> RestoreRecord:
        name, number = snapshot.id, 1
        while self._has(name):  # another one has its name; whose it is, nobody knows
            number += 1
            name = f"{snapshot.id}.{number}"
        before = self._ask(lambda api: api.count_contents(), "counting what the manager holds")
        record = replace(record, tier1_snapshot_id=name, before=before, stage="uploading")
        self._remember(record)
        return record

    def _upload(self, record: RestoreRecord, snapshot: SnapshotFile) -> RestoreRecord:
        name = record.tier1_snapshot_id
        total = snapshot.path.stat().st_size
        self._logger.info("Verifying snapshot %s (%s).", snapshot.path, readable_size(total))
        snapshot.verify()
        for attempt in range(1, _UPLOADS + 1):
            if self._has(name):  # of a former try; whether it is whole, nobody knows
                self._ask(lambda api: api.delete_snapshot(name), f"deleting snapshot {name}")
            try:
                self._send(name, snapshot, total)
                break
            except ManagerUnreachable as error:
                if attempt == _UPLOADS:
                    raise
                self._logger.warning("%s Trying again.", error)
                self._clock.sleep(self._times.poll_seconds)
        record = replace(record, stage="uploaded", execution_id="")
        self._remember(record)
        return record

    def _send(self, name: str, snapshot: SnapshotFile, total_bytes: int) -> None:
        progress = TransferProgress(f"Snapshot {name} to Tier 1", self._logger.info, self._clock)
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            done += count
            progress(done, total_bytes)

        def upload(api: Tier1Api) -> None:
            nonlocal done
            done = 0
            api.upload_snapshot(name, snapshot.path, progress=tell)

        doing = f"uploading snapshot {name}"
        self._tier1.call(upload, doing, wait_seconds=_CALL_SECONDS, repeatable=False)

    def _restore(self, record: RestoreRecord, options: RestoreOptions) -> RestoreRecord:
        """Start the restore, or follow the one that was started, to its end."""
        name = record.tier1_snapshot_id
        for _ in range(_STARTS):
            if not record.execution_id:
                execution_id = self._execution.start(name, options)
                record = replace(record, stage="restoring", execution_id=execution_id)
                self._remember(record)
            try:
                self._execution.follow(name, record.execution_id)
                return record
            except RestoreStuck as error:
                self._logger.warning("%s", error)
                self._execution.cancel(record.execution_id)
                record = replace(record, execution_id="")
        raise RestoreFailed(
            f"The restore of snapshot {name} does not begin, though nothing else runs. Look at the manager's "
            "services, and run the installation again."
        )

    def _judge(self, record: RestoreRecord, after: Mapping[str, int], snapshot: SnapshotFile) -> None:
        expected = snapshot.manifest.contents if snapshot.manifest is not None else None
        problem = restore_problem(record.before, after, expected)
        if problem:
            raise RestoreFailed(
                f"The manager says that snapshot {record.tier1_snapshot_id} is restored, but {problem}. "
                f"Look at the restore's log on it (cfy events list {record.execution_id})."
            )

    def _has(self, name: str) -> bool:
        return self._ask(lambda api: api.find_snapshot(name), f"looking for snapshot {name}") is not None

    def _ask(self, question: Callable[[Tier1Api], Answer], doing: str) -> Answer:
        return self._tier1.call(question, doing, wait_seconds=_CALL_SECONDS)
