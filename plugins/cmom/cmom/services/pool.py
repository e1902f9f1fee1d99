"""Who holds which entry of a list that the user gave: machines (`hosts`), addresses (`resource_pool`).

Pure functions over a ledger ``{node instance id: entry}``, which lies in the runtime properties of the
infrastructure's node. Entries are plain mappings, ``{ip, public_ip?, hostname?}`` or ``{ip_address,
hostname}``, since that is what the ledger is stored as. Two entries are the same when their address is: a
user who adds a host name to an entry later has not added a machine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cmom.errors import ActionRequired
from cmom.models import Host

Entry = Mapping[str, Any]
Ledger = Mapping[str, Entry]

_ADDRESS_KEYS = ("ip", "ip_address")


@dataclass(frozen=True)
class Allocation:
    """What `take` gives.

    Attributes:
        entry: The entry that is the instance's from now on, as plain data.
        ledger: The ledger to store; a new one, the old one is left as it was.
        taken: Whether the entry was taken now; False when the instance had it already.
    """

    entry: dict[str, Any]
    ledger: dict[str, dict[str, Any]]
    taken: bool


def address_of(entry: Entry) -> str:
    """Return what an entry is known by: its (private) address.

    Raises:
        ActionRequired: The entry has none.
    """
    for key in _ADDRESS_KEYS:
        if isinstance(entry, Mapping) and entry.get(key):
            return str(entry[key])
    raise ActionRequired("An entry of the pool has no address (`ip`, or `ip_address` in a resource_pool).")


def host_of(entry: Entry) -> Host:
    """Return the machine that an entry of `hosts` (or of a resource pool) describes.

    What is optional gets its default here: the public address is the private one, and a machine without a
    name is known by its address, as the members in ``cfy cluster nodes list`` are.
    """
    address = address_of(entry)
    return Host(
        ip=address,
        public_ip=str(entry.get("public_ip") or address),
        hostname=str(entry.get("hostname") or address),
    )


def spares(
    entries: Iterable[Entry], ledger: Ledger, *, avoid: Collection[str] = ()
) -> tuple[dict[str, Any], ...]:
    """Return the entries that nobody holds, in the user's order.

    Args:
        avoid: Addresses that are not to be counted, such as that of a machine known to be dead.
    """
    held = {address_of(entry) for entry in ledger.values()}
    return tuple(
        dict(entry) for entry in entries if address_of(entry) not in held and address_of(entry) not in avoid
    )


def replacements(
    entries: Iterable[Entry],
    ledger: Ledger,
    *,
    retired: Collection[str],
    answers: Callable[[Entry], bool],
) -> tuple[dict[str, Any], ...]:
    """Return the entries that may take the place of a machine that is dead, in the user's order.

    Args:
        retired: Addresses of machines that have died in this deployment before. They are used only when
            there is no other, and when they answer: then somebody has repaired them.
        answers: Tells whether a machine answers; asked of retired ones alone.
    """
    listed = list(entries)
    fresh = spares(listed, ledger, avoid=retired)
    return fresh or tuple(entry for entry in spares(listed, ledger) if answers(entry))


def take(
    entries: Iterable[Entry], ledger: Ledger, instance_id: str, *, avoid: Collection[str] = ()
) -> Allocation:
    """Give an entry to a node instance; the one that it holds already when it holds one.

    An instance keeps its entry even when the user has since taken it out of the list: a machine that
    carries a manager must not change under it.

    Args:
        entries: What the user gave, in order; the first that is free is taken.
        ledger: Who holds what.
        instance_id: The node instance that asks.
        avoid: Addresses not to be given out anew (to replace a dead machine: give back, then take and
            avoid it).

    Raises:
        ActionRequired: No entry is free.
    """
    kept = {holder: dict(entry) for holder, entry in ledger.items()}
    if instance_id in kept:
        return Allocation(kept[instance_id], kept, taken=False)
    listed = list(entries)
    free = spares(listed, ledger, avoid=avoid)
    if not free:
        raise ActionRequired(_too_small(listed, kept, instance_id, avoid))
    return Allocation(free[0], {**kept, instance_id: free[0]}, taken=True)


def give_back(ledger: Ledger, instance_id: str) -> dict[str, dict[str, Any]]:
    """Return the ledger without an instance; one that holds nothing is no error."""
    return {holder: dict(entry) for holder, entry in ledger.items() if holder != instance_id}


def _too_small(entries: list[Entry], ledger: Ledger, instance_id: str, avoid: Collection[str]) -> str:
    holders = ", ".join(f"{address_of(entry)} by {holder}" for holder, entry in sorted(ledger.items()))
    count = "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
    parts = [f"The pool is too small: it has {count}, and none is free for {instance_id}."]
    if holders:
        parts.append(f"Held: {holders}.")
    if avoid:
        parts.append(f"Not to be used again: {', '.join(sorted(avoid))}.")
    parts.append("Add an entry, or uninstall what is no longer needed.")
    return " ".join(parts)
