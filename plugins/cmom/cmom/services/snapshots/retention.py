"""Which snapshots are kept: a decision made of what is there. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Sequence

from cmom.services.snapshots.store import StoredSnapshot


def surplus(snapshots: Sequence[StoredSnapshot], keep: int) -> tuple[StoredSnapshot, ...]:
    """Choose those that may be deleted, the oldest first.

    As many verified ones as are wanted are kept, the newest; older than these nothing is. Those that are
    rotten, or without their archive, do not count. So when no snapshot can be trusted, none is deleted, and
    the last one that can be never is.

    Args:
        snapshots: All of one deployment.
        keep: How many to keep; 0 for all.
    """
    if keep <= 0:
        return ()
    in_order = sorted(snapshots, key=lambda stored: (stored.manifest.sequence, stored.id))
    trusted = [stored for stored in in_order if stored.trusted]
    if len(trusted) < keep:
        return ()
    oldest_kept = trusted[-keep]
    return tuple(in_order[: in_order.index(oldest_kept)])
