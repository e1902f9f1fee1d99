"""The snapshots of a deployment as people and outputs see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cmom.services.progress import readable_size
from cmom.services.snapshots.manifest import format_time
from cmom.services.snapshots.store import StoredSnapshot

_HEADINGS = ("id", "age", "size", "state", "Tier 1")


def state_of(stored: StoredSnapshot) -> str:
    """Return one word, or a few: ``verified``, ``missing``, or what is wrong with it."""
    if stored.size_bytes is None:
        return "missing"
    if stored.manifest.rotten:
        return f"rotten: {stored.manifest.rotten}"
    if stored.size_bytes != stored.manifest.bytes:
        return f"rotten: it has {stored.size_bytes} bytes instead of {stored.manifest.bytes}"
    return "verified" if stored.trusted else "not verified"


def age_seconds(stored: StoredSnapshot, now: datetime) -> float:
    """Return how old a snapshot is; never less than nothing, also when the clock was put back."""
    return max(0.0, (now - stored.manifest.created_at).total_seconds())


def as_plain_data(snapshots: Sequence[StoredSnapshot], now: datetime) -> list[dict[str, Any]]:
    """Return a row for each, the newest first, for runtime properties."""
    return [
        {
            "id": stored.id,
            "path": str(stored.path),
            "created_at": format_time(stored.manifest.created_at),
            "age_seconds": round(age_seconds(stored, now)),
            "bytes": stored.manifest.bytes,
            "verified": stored.trusted,
            "state": state_of(stored),
            "tier1_version": stored.manifest.tier1_version,
        }
        for stored in reversed(snapshots)
    ]


def last_verified(newest: StoredSnapshot | None, now: datetime) -> dict[str, Any] | None:
    """Return what the status says of the last verified snapshot; None when there is none."""
    if newest is None:
        return None
    return {
        "id": newest.id,
        "created_at": format_time(newest.manifest.created_at),
        "age_seconds": round(age_seconds(newest, now)),
    }


def table(snapshots: Sequence[StoredSnapshot], now: datetime) -> str:
    """Return a line for each, the newest first, in columns."""
    lines = [_HEADINGS, *(_cells(stored, now) for stored in reversed(snapshots))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def readable_age(seconds: float) -> str:
    """Return an age for people: ``3 h``."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _cells(stored: StoredSnapshot, now: datetime) -> tuple[str, ...]:
    manifest = stored.manifest
    return (
        stored.id,
        readable_age(age_seconds(stored, now)),
        readable_size(manifest.bytes),
        state_of(stored),
        manifest.tier1_version,
    )
