"""Making a snapshot on Tier 1: begun when nothing else runs there, and followed to its end.

A manager calls a snapshot ``created`` a moment before the execution that made it has ended; only then can
it be deleted, or another one made. What was begun by a leader that died is given some time to go on under
the next one, and then given up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cmom.clients.executions import Execution
from cmom.clients.snapshots import (
    CREATE_WORKFLOW,
    CREATED,
    EXISTING_RUNNING_EXECUTION,
    FAILED,
    Snapshot,
    SnapshotOptions,
)
from cmom.clients.tenant_api import is_conflict, is_missing
from cmom.errors import (
    ActionRequired,
    DeadlinePassed,
    ManagerRefused,
    ManagerUnreachable,
    TryAgainLater,
)
from cmom.services.reminder import Reminder
from cmom.services.snapshots.orphans import LeaderWatch, Orphaned
from cmom.services.snapshots.words import in_words, taken
from cmom.services.tier1 import Tier1, Tier1Api
from cmom.services.waiting import Clock, wait_for

Answer = TypeVar("Answer")

_CALL_SECONDS = 120.0
_ERROR_LINES = 15


class SnapshotFailed(ActionRequired):
    """The manager could not make the snapshot, by its own word."""


@dataclass(frozen=True)
class CreationTimes:
    """How long things may take.

    Attributes:
        poll_seconds: Between two looks.
        busy_seconds: To wait for other executions to end.
        create_seconds: To make the snapshot.
        orphan_seconds: To go on under another leader.
        delete_seconds: To delete one.
    """

    poll_seconds: float = 3.0
    busy_seconds: float = 1800.0
    create_seconds: float = 3600.0
    orphan_seconds: float = 300.0
    delete_seconds: float = 120.0


class SnapshotCreator:
    """Makes snapshots on Tier 1.

    Args:
        tier1: The cluster.
        logger: Is told what is waited for.
        clock: For the times.
        times: See `CreationTimes`.
    """

    def __init__(
        self, tier1: Tier1, logger: logging.Logger, clock: Clock, times: CreationTimes | None = None
    ) -> None:
        self._tier1 = tier1
        self._logger = logger
        self._clock = clock
        self._times = times or CreationTimes()

    def find(self, snapshot_id: str) -> Snapshot | None:
        """Look at a snapshot; None when there is none of this name."""
        return self._ask(lambda api: api.find_snapshot(snapshot_id), f"looking for snapshot {snapshot_id}")

    def begin(self, snapshot_id: str, options: SnapshotOptions) -> str:
        """Have a snapshot made, as soon as nothing else runs on Tier 1.

        Returns:
            The address of the manager that makes it.

        Raises:
            ActionRequired: There is one of this name, or it cannot be made.
            DeadlinePassed: Other executions ran all the time.
        """
        reminder = Reminder(self._logger.info, self._clock)
        lost: list[ManagerUnreachable] = []

        def begin() -> str | None:
            return self._begin(snapshot_id, options, lost)

        leader = wait_for(
            begin,
            f"snapshot {snapshot_id} to begin",
            wait_seconds=self._times.busy_seconds,
            interval_seconds=self._times.poll_seconds,
            clock=self._clock,
            on_wait=lambda _, said: reminder(said),
        )
        self._logger.info("Snapshot %s is being made on Tier 1.", snapshot_id)
        return leader

    def _begin(
        self, snapshot_id: str, options: SnapshotOptions, lost: list[ManagerUnreachable]
    ) -> str | None:
        def send(api: Tier1Api) -> str:
            if lost and api.find_snapshot(snapshot_id) is not None:
                return api.address  # it was the answer that did not come
            api.create_snapshot(snapshot_id, options)
            return api.address

        doing = f"creating snapshot {snapshot_id}"
        try:
            return self._tier1.call(send, doing, wait_seconds=_CALL_SECONDS, repeatable=False)
        except ManagerUnreachable as error:
            lost.append(error)
            raise
        except ManagerRefused as error:
            if is_conflict(error):
                raise taken(snapshot_id, "on Tier 1") from error
            if error.error_code != EXISTING_RUNNING_EXECUTION:
                raise
            raise TryAgainLater(self._busy_with(snapshot_id)) from error

    def _busy_with(self, snapshot_id: str) -> str:
        running = self._ask(lambda api: api.list_active_executions(), "listing the executions that run")
        return f"Snapshot {snapshot_id} has to wait until nothing else runs on Tier 1: {in_words(running)}"

    def wait_until_created(self, snapshot_id: str, leader: str) -> None:
        """Wait until a snapshot is made, and its execution has ended.

        Args:
            snapshot_id: Which one.
            leader: Who was making it; empty when nobody knows.

        Raises:
            SnapshotFailed: The manager says that it failed, and why.
            Orphaned: Another member leads now, and has nothing of it or does not get on with it.
            DeadlinePassed: It took too long.
        """
        reminder = Reminder(self._logger.info, self._clock)
        watch = LeaderWatch(leader, self._clock, self._times.orphan_seconds, self._logger.warning)

        def look() -> bool:
            address, found = self._ask(
                lambda api: (api.address, api.find_snapshot(snapshot_id)),
                f"looking at snapshot {snapshot_id}",
            )
            watch.saw(address, snapshot_id)
            if found is not None and found.status == CREATED:
                return True
            if found is not None and found.status != FAILED:
                watch.raise_if_orphaned(snapshot_id)
                return False
            reason = "it is not there (any more)" if found is None else self._why_failed(found)
            if watch.changed:
                raise Orphaned(f"Snapshot {snapshot_id} was lost with its leader: {reason}")
            raise SnapshotFailed(f"Tier 1 could not make snapshot {snapshot_id}: {reason}")

        wait_for(
            look,
            f"snapshot {snapshot_id} to be made",
            wait_seconds=self._times.create_seconds,
            interval_seconds=self._times.poll_seconds,
            clock=self._clock,
            on_wait=lambda _, said: reminder(said or f"Snapshot {snapshot_id} is still being made."),
        )
        self._wait_until_ended(snapshot_id)

    def _wait_until_ended(self, snapshot_id: str) -> None:
        try:
            wait_for(
                lambda: all(execution.ended for execution in self._executions(snapshot_id)),
                f"the execution that made snapshot {snapshot_id} to end",
                wait_seconds=_CALL_SECONDS,
                interval_seconds=self._times.poll_seconds,
                clock=self._clock,
            )
        except DeadlinePassed as error:
            self._logger.warning("%s The snapshot itself is there, so it is gone on with.", error)

    def ensure_deleted(self, snapshot_id: str) -> bool:
        """Make sure that Tier 1 has no snapshot of a name; one that is being made is cancelled.

        Raises:
            CmomError: The manager does not delete it, or not in time.
        """
        if self.find(snapshot_id) is None:
            return False

        def delete() -> bool:
            try:
                self._ask(lambda api: api.delete_snapshot(snapshot_id), f"deleting snapshot {snapshot_id}")
            except ManagerRefused as error:
                if is_missing(error):
                    return True
                running = [execution for execution in self._executions(snapshot_id) if not execution.ended]
                if not running:
                    raise
                for execution in running:
                    self._cancel(execution)
                raise TryAgainLater(str(error)) from error
            return True

        wait_for(
            delete,
            f"snapshot {snapshot_id} to be deleted on Tier 1",
            wait_seconds=self._times.delete_seconds,
            interval_seconds=self._times.poll_seconds,
            clock=self._clock,
        )
        return True

    def _executions(self, snapshot_id: str) -> tuple[Execution, ...]:
        return self._ask(
            lambda api: api.list_snapshot_executions(CREATE_WORKFLOW, snapshot_id),
            f"looking for the execution of snapshot {snapshot_id}",
        )

    def _cancel(self, execution: Execution) -> None:
        try:
            self._ask(
                lambda api: api.cancel_execution("", execution.id), f"cancelling execution {execution.id}"
            )
        except ManagerRefused as error:
            self._logger.info("%s", error)  # it is being cancelled already, or has ended

    def _why_failed(self, found: Snapshot) -> str:
        error = found.error
        if not error:
            error = next((one.error for one in self._executions(found.id) if one.error), "")
        return "\n".join(error.strip().splitlines()[-_ERROR_LINES:]) or "no reason given"

    def _ask(self, question: Callable[[Tier1Api], Answer], doing: str) -> Answer:
        return self._tier1.call(question, doing, wait_seconds=_CALL_SECONDS)
