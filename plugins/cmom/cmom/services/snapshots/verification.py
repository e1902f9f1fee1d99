"""Looking again at what was stored: is each snapshot still what its manifest says?"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from cmom.errors import ActionRequired
from cmom.services.progress import TransferProgress
from cmom.services.snapshots.archive import DamagedArchive, check_against
from cmom.services.snapshots.backup import utc_now
from cmom.services.snapshots.store import SnapshotStore, StoredSnapshot
from cmom.services.waiting import Clock, SystemClock

_LOCK_SECONDS = 3600.0


class RottenSnapshots(ActionRequired):
    """Some snapshots are not what they were; the message names each."""


class Verifier:
    """Hashes the snapshots of a deployment again.

    Args:
        store: Where they lie.
        logger: Gets the progress.
        clock: For tests.
        now: For tests.
    """

    def __init__(
        self,
        store: SnapshotStore,
        logger: logging.Logger,
        *,
        clock: Clock | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._logger = logger
        self._clock = clock or SystemClock()
        self._now = now

    def verify(self) -> tuple[str, ...]:
        """Compare all of them with their manifests, and write into those what was found.

        Returns:
            What is wrong, a line each; nothing when all is well.
        """
        problems = []
        for stored in self._store.all():
            problem = self._verify(stored)
            if problem:
                problems.append(f"{stored.id}: {problem}")
                self._logger.error("Snapshot %s: %s", stored.id, problem)
        for name, problem in self._store.unreadable():
            problems.append(f"{name}: {problem}")
            self._logger.error("Snapshot %s: %s", name, problem)
        for name in self._store.foreign():
            self._logger.warning("%s has no manifest, so nobody can tell whether it is whole.", name)
        return tuple(problems)

    def _verify(self, stored: StoredSnapshot) -> str | None:
        progress = TransferProgress(f"Verifying snapshot {stored.id}", self._logger.info, self._clock)
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            done += count
            progress(done, stored.manifest.bytes)

        try:
            check_against(stored.path, stored.manifest, tell)
        except DamagedArchive as error:
            return self._write_down(stored, str(error))
        self._logger.info("Snapshot %s is what it was.", stored.id)
        return self._write_down(stored, None)

    def _write_down(self, stored: StoredSnapshot, problem: str | None) -> str | None:
        """Note what was found, unless the snapshot was deleted meanwhile, which is no problem at all."""
        with self._store.lock(_LOCK_SECONDS, self._clock):
            current = self._store.find(stored.id)
            if current is None or current.manifest.sha256 != stored.manifest.sha256:
                return None
            manifest = current.manifest
            if problem is None:
                self._store.write_manifest(manifest.found_good(self._now()))
            elif current.size_bytes is not None:
                self._store.write_manifest(manifest.found_rotten(problem))
        return problem


def raise_if_rotten(problems: tuple[str, ...], store: SnapshotStore) -> None:
    """Raise what is wrong as one error.

    Raises:
        RottenSnapshots: Something is.
    """
    if not problems:
        return
    count = "1 snapshot" if len(problems) == 1 else f"{len(problems)} snapshots"
    raise RottenSnapshots(
        "\n".join(
            [
                f"{count} in {store.folder} cannot be relied on. Take a new backup, check the disk, and "
                "delete them:",
                *(f"  - {problem}" for problem in problems),
            ]
        )
    )
