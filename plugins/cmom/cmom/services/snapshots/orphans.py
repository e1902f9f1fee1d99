"""A snapshot that was begun by a leader that leads no more."""

from __future__ import annotations

from collections.abc import Callable

from cmom.errors import CmomError
from cmom.services.waiting import Clock


class Orphaned(CmomError):  # noqa: N818 - says what became of the snapshot
    """The leader that was making the snapshot is gone, and the snapshot with it; a new one may be made."""


class LeaderWatch:
    """Notices that another member leads than the one that began, and how long that is ago.

    Args:
        leader: Who began; empty when nobody knows.
        clock: Tells how long ago.
        orphan_seconds: How long a snapshot may take to get on under another leader.
        warn: Is told when another one leads.
    """

    def __init__(self, leader: str, clock: Clock, orphan_seconds: float, warn: Callable[..., None]) -> None:
        self._leader = leader
        self._clock = clock
        self._orphan_seconds = orphan_seconds
        self._warn = warn
        self._changed_at: float | None = None

    @property
    def changed(self) -> bool:
        """Whether another member leads."""
        return self._changed_at is not None

    def saw(self, address: str, snapshot_id: str) -> None:
        """Take note of who leads now."""
        if self._leader and address != self._leader:
            self._warn("%s leads the cluster now; snapshot %s was begun by another.", address, snapshot_id)
            self._changed_at = self._clock.monotonic()
        self._leader = address

    def raise_if_orphaned(self, snapshot_id: str) -> None:
        """Give up a snapshot that has not got on for too long.

        Raises:
            Orphaned: It has not.
        """
        if self._changed_at is None or self._clock.monotonic() - self._changed_at < self._orphan_seconds:
            return
        raise Orphaned(
            f"Snapshot {snapshot_id} has not got on for {self._orphan_seconds:.0f} s since another member "
            "leads."
        )
