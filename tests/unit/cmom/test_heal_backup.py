"""The backup before a heal ends in time, and says how old the last one is."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cmom.errors import DeadlinePassed, ManagerUnreachable
from cmom.runtime import BackupRecord
from cmom.services.healing.backup import (
    PrecautionSettings,
    RunningOutClock,
    last_backup_in_words,
    take_precaution,
)
from cmom.services.snapshots.manifest import Manifest
from cmom.services.snapshots.store import SnapshotStore
from cmom.services.tier1 import Tier1

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=timezone.utc)


def test_a_clock_that_runs_out_ends_whoever_waits_by_it() -> None:
    clock = RunningOutClock(0.05)
    first = clock.monotonic()
    began = time.monotonic()

    clock.sleep(60)

    assert time.monotonic() - began < 30
    assert first > 0
    with pytest.raises(DeadlinePassed, match="not done within 0 s"):
        clock.monotonic()


def test_the_age_of_the_last_verified_snapshot_is_told(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, "tier1")
    assert last_backup_in_words(store, NOW) == "There is no verified snapshot of this deployment on Tier 2."
    store.prepare()
    store.archive_path("snap").write_bytes(b"zip")
    taken_at = NOW - timedelta(hours=5)
    store.write_manifest(
        Manifest(
            id="snap",
            deployment_id="tier1",
            sha256="0" * 64,
            bytes=3,
            tier1_version="4.6.0",
            created_at=taken_at,
            parameters=(),
            sequence=1,
            tier1_snapshot_id="snap",
            contents={},
            verified_at=taken_at,
        )
    )

    assert last_backup_in_words(store, NOW) == "The last verified snapshot, snap, is 5 h old."


def test_a_backup_that_fails_is_told_and_does_not_raise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def nobody(_clock: RunningOutClock) -> Tier1:
        raise ManagerUnreachable("Nobody is there.")

    def remember(_record: BackupRecord | None) -> None:
        raise AssertionError("nothing was begun")

    told = take_precaution(
        nobody,
        SnapshotStore(tmp_path, "tier1"),
        logging.getLogger("test-precaution"),
        execution_id="e",
        remember=remember,
        before=None,
        settings=PrecautionSettings(timeout_seconds=5.0, poll_seconds=0.1),
        now=NOW,
    )

    assert told.startswith("failed: Nobody is there. There is no verified snapshot")
    assert "the heal goes on without it" in caplog.text
