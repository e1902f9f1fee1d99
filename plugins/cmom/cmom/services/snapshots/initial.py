"""The restore that is part of an installation: onto the first member, before there is a cluster, and only
once.

What was restored is remembered on Tier 2, and asked of the manager where that was lost: ``cfy install`` in
the local profile, run a second time, knows nothing of the first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from cmom.errors import ActionRequired
from cmom.models import Host, ManagerAccess, Version
from cmom.runtime import RestoreRecord
from cmom.services.generations import generation_of
from cmom.services.snapshots.requests import RestoreRequest
from cmom.services.snapshots.restore import SnapshotRestorer
from cmom.services.snapshots.restore_patience import RestoreTimes
from cmom.services.snapshots.source import SnapshotFile, open_snapshot
from cmom.services.tier1 import Tier1, connect, connect_alone
from cmom.services.waiting import Clock


class InitialRestore:
    """Sees to it that the first of some managers holds what a snapshot holds.

    Args:
        hosts: The machines of all members, the first of which gets the snapshot.
        access: To their managers.
        version: Of their managers.
        logger: Gets the progress.
        choose: Finds the file to restore, taking a new backup if need be.
        remember: Is told how far it has come, to be kept.
        times: See `RestoreTimes`.
        clock: For tests.
    """

    def __init__(
        self,
        hosts: tuple[Host, ...],
        access: ManagerAccess,
        version: Version,
        logger: logging.Logger,
        *,
        choose: Callable[[RestoreRequest], Path],
        remember: Callable[[RestoreRecord], None],
        times: RestoreTimes | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._hosts = hosts
        self._access = access
        self._version = version
        self._logger = logger
        self._choose = choose
        self._remember = remember
        self._times = times
        self._clock = clock

    def ensure_restored(self, request: RestoreRequest, before: RestoreRecord | None) -> bool:
        """Restore what is asked for, unless that was done before.

        Args:
            request: What to restore.
            before: What `remember` was told last.

        Returns:
            Whether it was restored now.

        Raises:
            CmomError: See `SnapshotRestorer.restore`.
            ActionRequired: There is a cluster already, which this was not restored onto.
        """
        if before is not None and before.done:
            return False
        if before is None and self._was_restored(request):
            return False
        record = before or RestoreRecord(str(self._choose(request)))
        self._remember(record)
        snapshot = open_snapshot(Path(record.path))
        first = self._hosts[0].public_ip
        with connect_alone(first, self._access, self._version, clock=self._clock) as manager:
            self._restorer(manager).restore(snapshot, request.options, record)
        return True

    def _was_restored(self, request: RestoreRequest) -> bool:
        """Ask the managers, when Tier 2 knows nothing; note what they say."""
        snapshot = None if request.takes_backup else open_snapshot(self._choose(request))
        clustered = generation_of(self._version).is_beyond_restoring(self._hosts[0], self._access)
        with self._connected(clustered) as tier1:
            restored = self._restorer(tier1).was_restored(None if snapshot is None else snapshot.id)
        if restored:
            self._logger.warning("By the manager's own word %s was restored before.", _in_words(snapshot))
            path = "" if snapshot is None else str(snapshot.path)
            self._remember(RestoreRecord(path, stage="restored"))
        elif clustered:
            raise ActionRequired(
                f"{self._hosts[0].public_ip} is in a cluster already, and {_in_words(snapshot)} was never "
                "restored "
                "onto it. A snapshot is restored before the cluster is started: uninstall, and install "
                "again; or "
                "install with restore: false to keep what the cluster holds."
            )
        return restored

    def _connected(self, clustered: bool) -> Tier1:
        addresses = [host.public_ip for host in self._hosts]
        if clustered:
            return connect(addresses, self._access, self._version, self._logger, clock=self._clock)
        return connect_alone(addresses[0], self._access, self._version, clock=self._clock)

    def _restorer(self, tier1: Tier1) -> SnapshotRestorer:
        return SnapshotRestorer(
            tier1, self._logger, remember=self._remember, times=self._times, clock=self._clock
        )


def _in_words(snapshot: SnapshotFile | None) -> str:
    return "a snapshot" if snapshot is None else f"snapshot {snapshot.path}"
