"""What is left for people to do after a heal."""

from __future__ import annotations

from collections.abc import Iterator

from cmom.services.healing.record import Journal


def after_heal(journal: Journal, leader_ip: str, outcome: str) -> Iterator[str]:
    """Yield the lines that are printed when a member is whole again.

    Args:
        journal: Of the heal.
        leader_ip: The public address of the leader as it is now; empty when nobody knows.
        outcome: ``healed`` or ``recovered``.
    """
    if outcome == "recovered":
        how = journal.machine or "by itself"
        yield f"{journal.name} is a working member again, and nothing was replaced ({how})."
        return
    yield f"{journal.name} is healed: it was made anew and is a working member again."
    if journal.spare_ip:
        yield (
            f"Its place was taken by the spare {journal.spare_ip}, which has another address; the dead "
            f"machine {journal.ip} is a spare when it was repaired."
        )
    if journal.backup.startswith("failed"):
        yield f"The backup before the heal {journal.backup} Take one now: the workflow backup."
    yield "Users of the CLI: run `cfy cluster update-profile` to renew your profile of the cluster."
    if not journal.was_leader:
        yield "Users of the console: nothing changes, for it was not the master."
    elif leader_ip == journal.public_ip:
        yield "Users of the console: nothing changes, for it is the master again."
    else:
        now = f", {leader_ip}," if leader_ip else ""
        yield (
            f"Users of the console: {journal.public_ip} led the cluster; use the address of the leader{now} "
            "instead."
        )
