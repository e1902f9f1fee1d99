"""The restore itself on Tier 1: begun when nothing else runs there, followed to its end, and until after it.

A manager may be silent for minutes while it restores, may not know its users in the middle of it, and may
keep a restore that it refused as a ``pending`` execution that nothing gets past.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from cmom.clients.executions import Execution
from cmom.clients.snapshots import EXISTING_RUNNING_EXECUTION, RESTORE_WORKFLOW, RestoreOptions
from cmom.clients.tenant_api import is_missing
from cmom.errors import AccessRefused, ActionRequired, ManagerRefused, TryAgainLater
from cmom.services.reminder import Reminder
from cmom.services.snapshots.restore_patience import RestorePatience, RestoreTimes
from cmom.services.snapshots.words import in_words
from cmom.services.tier1 import Tier1, Tier1Api
from cmom.services.waiting import Clock, wait_for

Answer = TypeVar("Answer")

_CALL_SECONDS = 120.0
_GOOD_ANSWERS = 3
_GOOD_STATES = frozenset({"running", "OK"})
_ERROR_LINES = 15


class RestoreFailed(ActionRequired):
    """The snapshot was not restored, by the manager's own word or by what it holds afterwards."""


class RestoreExecution:
    """Restores of snapshots that are on a manager already.

    Args:
        tier1: The manager.
        logger: Is told what is waited for.
        clock: For the times.
        times: See `RestoreTimes`.
    """

    def __init__(self, tier1: Tier1, logger: logging.Logger, clock: Clock, times: RestoreTimes) -> None:
        self._tier1 = tier1
        self._logger = logger
        self._clock = clock
        self._times = times

    def start(self, name: str, options: RestoreOptions) -> str:
        """Have a snapshot restored, as soon as nothing else runs.

        Returns:
            The ID of the execution that does it.

        Raises:
            ManagerRefused: The manager does not restore it.
            DeadlinePassed: Other executions ran all the time.
        """
        reminder = Reminder(self._logger.info, self._clock)
        refused: list[ManagerRefused] = []

        def start() -> str:
            # Also when a former try has started it, and was killed before it could take note of that.
            begun = None if refused else self._begun(name)
            if begun is not None:
                return begun.id
            self._cancel_pending()
            try:
                return self._tier1.call(
                    lambda api: api.restore_snapshot(name, options),
                    f"restoring snapshot {name}",
                    wait_seconds=_CALL_SECONDS,
                    repeatable=False,
                ).id
            except ManagerRefused as error:
                if error.error_code != EXISTING_RUNNING_EXECUTION:
                    raise
                refused.append(error)
                self._cancel_pending()
                doing = "listing the executions that run"
                running = self._ask(lambda api: api.list_active_executions(), doing)
                raise TryAgainLater(
                    f"The restore has to wait until nothing else runs: {in_words(running)}"
                ) from error

        started = wait_for(
            start,
            f"the restore of snapshot {name} to begin",
            wait_seconds=self._times.busy_seconds,
            interval_seconds=self._times.poll_seconds,
            clock=self._clock,
            on_wait=lambda _, said: reminder(said),
        )
        self._logger.info("Snapshot %s is being restored (execution %s).", name, started)
        return started

    def _begun(self, name: str) -> Execution | None:
        """Return the restore of a snapshot that was begun already; the one that has come farthest."""
        order = ("terminated", "started", "pending")
        found = [execution for execution in self.all(name) if execution.status in order]
        return min(found, key=lambda execution: order.index(execution.status), default=None)

    def _cancel_pending(self) -> None:
        """Cancel restores that were refused, stay pending, and hold up everything.

        Nobody else restores onto a manager that we are just installing.
        """
        for execution in self.all():
            if execution.status == "pending":
                self._logger.warning(
                    "Execution %s is left from a restore that was refused; it is cancelled.", execution.id
                )
                self.cancel(execution.id)

    def follow(self, name: str, execution_id: str) -> None:
        """Wait until the restore has ended, while the manager may be away, and not know us for a while.

        Raises:
            RestoreFailed: It failed.
            RestoreStuck: It does not begin.
        """
        reminder = Reminder(self._logger.info, self._clock)
        patience = RestorePatience(self._clock, self._times)

        def look() -> bool:
            try:
                execution = self._tier1.call(
                    lambda api: api.get_execution("", execution_id),
                    f"looking at the restore of snapshot {name}",
                    wait_seconds=0.0,
                )
            except AccessRefused as error:
                patience.denied(error)
                raise TryAgainLater(str(error)) from error
            except ManagerRefused as error:
                if not is_missing(error):
                    raise
                return patience.missing()
            patience.saw(execution)
            return self._ended(execution, name)

        wait_for(
            look,
            f"the restore of snapshot {name} to end",
            wait_seconds=self._times.restore_seconds,
            interval_seconds=self._times.poll_seconds,
            clock=self._clock,
            on_wait=lambda _, said: reminder(said or f"Snapshot {name} is still being restored."),
        )

    @staticmethod
    def _ended(execution: Execution, name: str) -> bool:
        if execution.status == "terminated":
            return True
        if not execution.ended:
            return False
        reason = "\n".join(execution.error.strip().splitlines()[-_ERROR_LINES:])
        raise RestoreFailed(
            f"The restore of snapshot {name} is {execution.status} (execution {execution.id}): "
            f"{reason or 'no reason given'}"
        )

    def wait_until_steady(self) -> Mapping[str, int]:
        """Wait for three good answers in a row: the services run, and the database can be asked.

        Returns:
            What the manager holds.

        Raises:
            DeadlinePassed: They did not come.
        """
        reminder = Reminder(self._logger.info, self._clock)
        patience = RestorePatience(self._clock, self._times)
        good = 0

        def look() -> Mapping[str, int] | None:
            nonlocal good
            good, before = 0, good
            try:
                status, counts = self._tier1.call(
                    lambda api: (api.in_tenant("").status().status, api.count_contents()),
                    "looking at the restored manager",
                    wait_seconds=0.0,
                )
            except AccessRefused as error:
                patience.denied(error)
                raise TryAgainLater(str(error)) from error
            if status not in _GOOD_STATES:
                raise TryAgainLater(f"The manager's own word for its state is {status}.")
            good = before + 1
            return counts if good >= _GOOD_ANSWERS else None

        return wait_for(
            look,
            "the restored manager to answer well, three times in a row",
            wait_seconds=self._times.steady_seconds,
            interval_seconds=self._times.poll_seconds,
            clock=self._clock,
            on_wait=lambda _, said: reminder(said),
        )

    def all(self, snapshot_id: str | None = None) -> tuple[Execution, ...]:
        """List the restores that the manager knows of: all, or those of one snapshot."""
        return self._ask(
            lambda api: api.list_snapshot_executions(RESTORE_WORKFLOW, snapshot_id),
            "looking for restores",
        )

    def cancel(self, execution_id: str) -> None:
        """Cancel a restore; one that has ended has ended."""
        try:
            self._ask(
                lambda api: api.cancel_execution("", execution_id), f"cancelling execution {execution_id}"
            )
        except ManagerRefused as error:
            self._logger.info("%s", error)  # it has ended

    def _ask(self, question: Callable[[Tier1Api], Answer], doing: str) -> Answer:
        return self._tier1.call(question, doing, wait_seconds=_CALL_SECONDS)
