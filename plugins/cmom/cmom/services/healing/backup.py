"""The snapshot taken before a member is replaced: a precaution, bounded, and never in the way of the heal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cmom.errors import CmomError, DeadlinePassed
from cmom.runtime import BackupRecord
from cmom.services.snapshots.backup import BackupSettings, SnapshotTaker
from cmom.services.snapshots.creation import CreationTimes
from cmom.services.snapshots.download import Patience
from cmom.services.snapshots.overview import age_seconds, readable_age
from cmom.services.snapshots.requests import BackupRequest
from cmom.services.snapshots.store import SnapshotStore
from cmom.services.tier1 import Tier1


class RunningOutClock:
    """A clock that ends whatever waits by it when its time is over: all of it, not each wait alone.

    Args:
        seconds: From now on.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    def monotonic(self) -> float:
        """Return seconds that never go backwards.

        Raises:
            DeadlinePassed: The time is over.
        """
        now = time.monotonic()
        if now > self._deadline:
            raise DeadlinePassed(f"It was not done within {self._seconds:.0f} s.")
        return now

    def sleep(self, seconds: float) -> None:
        """Wait, not beyond the end."""
        time.sleep(max(0.0, min(seconds, self._deadline - time.monotonic() + 0.01)))


@dataclass(frozen=True)
class PrecautionSettings:
    """How the precaution is taken.

    Attributes:
        timeout_seconds: For all of it.
        poll_seconds: Between two looks.
        keep_snapshots: See `BackupSettings`.
        keep_on_tier1: See `BackupSettings`.
    """

    timeout_seconds: float
    poll_seconds: float
    keep_snapshots: int = 0
    keep_on_tier1: bool = False


def take_precaution(
    connect: Callable[[RunningOutClock], Tier1],
    store: SnapshotStore,
    logger: logging.Logger,
    *,
    execution_id: str,
    remember: Callable[[BackupRecord | None], None],
    before: BackupRecord | None,
    settings: PrecautionSettings,
    now: datetime,
) -> str:
    """Take a backup of what is left of the cluster, if that is possible in the time there is.

    Args:
        connect: Makes the connection to the cluster, with the clock that it is to wait by.
        store: Where the deployment's snapshots lie.
        logger: Gets the progress.
        execution_id: See `SnapshotTaker`.
        remember: See `SnapshotTaker`.
        before: See `SnapshotTaker.take`.
        settings: See `PrecautionSettings`.
        now: For the age of the last one.

    Returns:
        What came of it, for people. It never raises for a backup that fails.
    """
    seconds = settings.timeout_seconds
    clock = RunningOutClock(seconds)
    bounds = BackupSettings(
        keep_snapshots=settings.keep_snapshots,
        keep_on_tier1=settings.keep_on_tier1,
        lock_seconds=seconds,
        times=CreationTimes(poll_seconds=settings.poll_seconds, busy_seconds=seconds, create_seconds=seconds),
        patience=Patience(leader_seconds=seconds, total_seconds=seconds),
    )
    try:
        with connect(clock) as tier1:
            taker = SnapshotTaker(
                tier1,
                store,
                logger,
                execution_id=execution_id,
                remember=remember,
                settings=bounds,
                clock=clock,
            )
            stored = taker.take(BackupRequest(), before)
    except (CmomError, OSError) as error:
        outcome = f"failed: {error} {last_backup_in_words(store, now)}"
        logger.warning("The backup before the heal failed, and the heal goes on without it. %s", outcome)
        return outcome
    return f"snapshot {stored.id}"


def last_backup_in_words(store: SnapshotStore, now: datetime) -> str:
    """Say how old the last verified snapshot is."""
    try:
        newest = store.newest_trusted()
    except (CmomError, OSError) as error:
        return f"Whether there is an older one cannot be told: {error}"
    if newest is None:
        return "There is no verified snapshot of this deployment on Tier 2."
    return f"The last verified snapshot, {newest.id}, is {readable_age(age_seconds(newest, now))} old."
