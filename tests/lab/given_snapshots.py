"""Backups of managers of the lab: what takes them, where they go, and what goes wrong on the way."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from cmom.clients.cluster_api import ClusterApi
from cmom.clients.limits import Timeouts
from cmom.models import Version
from cmom.runtime import BackupRecord
from cmom.services.cluster import ClusterService
from cmom.services.leader import ClusterConnection
from cmom.services.snapshots.backup import BackupSettings, SnapshotTaker
from cmom.services.snapshots.requests import BackupRequest
from cmom.services.snapshots.store import SnapshotStore, StoredSnapshot
from cmom.services.tier1 import Tier1
from cmom.services.waiting import Clock
from lab.manager.standalone import StandaloneManager
from tests.lab.filled import LogLines
from tests.lab.fleet import Fleet
from tests.lab.rest import connect

REQUESTS = Timeouts(connect_seconds=5.0, read_seconds=20.0, total_seconds=20.0)
BEGAN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)


class Killed(BaseException):
    """Tier 2 dies here."""


class Hooked:
    """A connection that does something before each call: what happens on Tier 1 meanwhile.

    Args:
        connection: The real one.
        hook: Gets what is about to be done, in words.
    """

    def __init__(self, connection: Any, hook: Callable[[str], None]) -> None:
        self._connection = connection
        self._hook = hook

    def call(self, function: Callable[[Any], Any], doing: str, **arguments: Any) -> Any:
        self._hook(doing)
        return self._connection.call(function, doing, **arguments)

    def close(self) -> None:
        self._connection.close()


class WallClock:
    """The time of day, which moves only when it is told to."""

    def __init__(self) -> None:
        self.moment = BEGAN

    def __call__(self) -> datetime:
        return self.moment

    def move(self, **by: float) -> None:
        self.moment += timedelta(**by)


class Backups:
    """Takes backups of a cluster, one after the other, as a deployment's operations would.

    Args:
        tier1: The cluster.
        clock: Its time.
        folder: For the snapshots.
        settings: See `BackupSettings`; nothing has to stay free on the disk by default.
    """

    def __init__(
        self, tier1: Tier1, clock: Clock, folder: Path, settings: BackupSettings | None = None
    ) -> None:
        self.tier1, self.clock = tier1, clock
        self.store = SnapshotStore(folder, "old")
        self.settings = settings or BackupSettings(spare_bytes=0)
        self.now = WallClock()
        self.log = LogLines()
        self.logger = logging.Logger("test.backup", logging.DEBUG)
        self.logger.addHandler(self.log)
        self.record: BackupRecord | None = None
        self.remembered: list[BackupRecord | None] = []
        self.on_remember: Callable[[], None] = lambda: None
        self._count = 0

    def remember(self, record: BackupRecord | None) -> None:
        self.record = record
        self.remembered.append(record)
        self.on_remember()

    def take(
        self, snapshot_id: str | None = None, *words: str, execution_id: str = "", tier1: Tier1 | None = None
    ) -> StoredSnapshot:
        """Take one, as a new execution unless one is named."""
        self._count += 1
        taker = SnapshotTaker(
            tier1 or self.tier1,
            self.store,
            self.logger,
            execution_id=execution_id or f"execution-{self._count}",
            remember=self.remember,
            settings=self.settings,
            clock=self.clock,
            now=self.now,
        )
        return taker.take(BackupRequest(snapshot_id, words), self.record)

    def files(self) -> list[str]:
        """What lies in the folder, the lock aside."""
        if not self.store.folder.exists():
            return []
        return sorted(path.name for path in self.store.folder.iterdir() if path.name != ".lock")

    def assert_none(self) -> None:
        """There is nothing that is a snapshot, or looks like one, or is half of one."""
        assert self.files() == []

    def assert_only(self, *snapshot_ids: str) -> None:
        """There are these snapshots, each whole by our own look at it, and nothing else."""
        wanted = {f"{name}{suffix}" for name in snapshot_ids for suffix in (".zip", ".json")}
        assert set(self.files()) == wanted
        for name in snapshot_ids:
            with zipfile.ZipFile(self.store.archive_path(name)) as archive:
                assert archive.testzip() is None


def form(fleet: Fleet) -> None:
    """Make a cluster of all of a fleet's managers, the first of which leads."""
    with_all = cluster_connection(fleet)
    service = ClusterService(fleet.hosts, with_all, logging.getLogger("test"), clock=fleet.services_clock)
    service.ensure_started(fleet.hosts[0])
    for host in fleet.hosts[1:]:
        service.ensure_joined(host)
    with_all.close()


def cluster_connection(
    fleet: Fleet, client: type[ClusterApi] = ClusterApi, **arguments: Any
) -> ClusterConnection:
    """Connect to all of a fleet."""
    connection = ClusterConnection(
        [host.public_ip for host in fleet.hosts],
        lambda address: client(address, fleet.access, timeouts=REQUESTS),
        clock=fleet.services_clock,
        **arguments,
    )
    fleet.at_the_end.append(connection.close)
    return connection


def cluster_of(fleet: Fleet, client: type[ClusterApi] = ClusterApi) -> Tier1:
    """Connect to a fleet's cluster."""
    connection = cluster_connection(fleet, client)
    return Tier1(connection, Version.parse("4.6.0"), clock=fleet.services_clock)


def leader_of(fleet: Fleet) -> StandaloneManager:
    """The manager that leads."""
    return next(
        fleet[host]
        for host in fleet.hosts
        if fleet[host].manager.powered and fleet[host].manager.seat.is_leader
    )


def archive_on(manager: StandaloneManager, snapshot_id: str) -> Path:
    """Where a manager keeps a snapshot's archive."""
    return manager.machine.path(f"/opt/manager/resources/snapshots/{snapshot_id}/{snapshot_id}.zip")


def snapshots_on(manager: StandaloneManager) -> list[str]:
    """The snapshots that a manager knows of."""
    client = connect(manager)
    try:
        return [snapshot.id for snapshot in client.snapshots.list()]
    finally:
        client._client._session.close()
