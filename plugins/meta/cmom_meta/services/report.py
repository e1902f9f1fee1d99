"""The status of a fleet: a summary first, then a row for each cluster, those that need somebody on top.

Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cmom_meta import runtime
from cmom_meta.models import Cluster, Outcome, Result

READY = "ready"
# Who needs somebody most, first. What is not named here stands in the middle.
_WORST_FIRST = (
    "down",
    Outcome.MISSING.value,
    Outcome.NO_CLUSTER.value,
    Outcome.FAILED.value,
    Outcome.NOT_STARTED.value,
    Outcome.TIMED_OUT.value,
    "unknown",
    "degraded",
    Outcome.CANCELLED.value,
    Outcome.BUSY.value,
    Outcome.RUNNING.value,
    Outcome.WAITING.value,
    READY,
)
_NEED_NOBODY = frozenset({Outcome.WAITING, Outcome.RUNNING, Outcome.BUSY})


@dataclass(frozen=True)
class Row:
    """One deployment.

    Attributes:
        how: How it is attached.
        result: What came of asking it.
        cluster: The last known, or the fresh one when it was asked with success; None when there is nothing.
    """

    how: str
    result: Result
    cluster: Cluster | None

    @property
    def fresh(self) -> bool:
        """Whether the status is of this time."""
        return self.result.outcome is Outcome.SUCCEEDED and bool(self.status)

    @property
    def status(self) -> Mapping[str, Any]:
        """The status that is known."""
        return runtime.status_of(self.cluster.properties) if self.cluster else {}

    @property
    def condition(self) -> str:
        """The cluster's condition as far as it is known, whenever that was; empty for not at all."""
        return str(self.status.get("condition") or "")

    @property
    def problem(self) -> str:
        """Why there is no fresh status, in one word; empty when there is one."""
        if self.fresh:
            return ""
        return "no_status" if self.result.outcome is Outcome.SUCCEEDED else self.result.outcome.value

    @property
    def healed_members(self) -> list[str]:
        """The members that are being healed."""
        return runtime.members_being_healed(self.cluster.properties) if self.cluster else []

    @property
    def needs_somebody(self) -> bool:
        """Whether an operator should look: it is not well, or nobody can tell."""
        if self.result.outcome in _NEED_NOBODY:
            return self.condition not in ("", READY)
        return bool(self.problem) or self.condition != READY

    def as_plain_data(self, now: datetime) -> dict[str, Any]:
        """Return it as the output shows it."""
        seen = runtime.observed_at(self.cluster.properties) if self.cluster else None
        detail = self.result.detail
        if self.problem == "no_status":
            detail = "get_status succeeded, and left no status."
        return {
            "deployment_id": self.result.deployment_id,
            "condition": self.condition or "unknown",
            "fresh": self.fresh,
            "problem": self.problem,
            "detail": detail or str(self.status.get("reason") or ""),
            "observed_at": runtime.in_words(seen) if seen else None,
            "age_seconds": _age(seen, now),
            "being_healed": self.healed_members,
            "attached": self.how,
            "execution": self.result.place,
            "status": dict(self.status),
        }


def fleet_status(rows: Iterable[Row], now: datetime, *, complete: bool) -> dict[str, Any]:
    """Make the output ``status``.

    Args:
        rows: One for each deployment.
        now: UTC.
        complete: Whether nothing is to come any more.
    """
    ordered = sorted(rows, key=_how_bad)
    return {
        "summary": _summary(ordered, now, complete),
        "clusters": [row.as_plain_data(now) for row in ordered],
    }


def _summary(rows: list[Row], now: datetime, complete: bool) -> dict[str, Any]:
    fresh = [row for row in rows if row.fresh]
    stale = [row for row in rows if not row.fresh]
    backups = [
        (moment, row.result.deployment_id)
        for row in rows
        if row.cluster and (moment := runtime.last_backup_at(row.cluster.properties))
    ]
    oldest = min(backups, default=None)
    return {
        "observed_at": runtime.in_words(now),
        "complete": complete,
        "clusters": len(rows),
        "fresh": len(fresh),
        "conditions": _count(row.condition or "unknown" for row in fresh),
        "no_answer": _count(row.problem for row in stale),
        "last_known_conditions": _count(row.condition or "unknown" for row in stale),
        "need_somebody": [row.result.deployment_id for row in rows if row.needs_somebody],
        "being_healed": [row.result.deployment_id for row in rows if row.healed_members],
        "oldest_backup": {
            "deployment_id": oldest[1],
            "created_at": runtime.in_words(oldest[0]),
            "age_seconds": _age(oldest[0], now),
        }
        if oldest
        else None,
        "without_backup": sum(
            1 for row in rows if row.cluster and runtime.last_backup_at(row.cluster.properties) is None
        ),
    }


def _how_bad(row: Row) -> tuple[bool, int, str]:
    words = [row.problem] if row.problem else [row.condition]
    if row.result.outcome in _NEED_NOBODY and row.condition:
        words.append(row.condition)
    places = [_WORST_FIRST.index(word) for word in words if word in _WORST_FIRST]
    return not row.needs_somebody, min(places, default=len(_WORST_FIRST) // 2), row.result.deployment_id


def _age(moment: datetime | None, now: datetime) -> int | None:
    return None if moment is None else max(0, round((now - moment).total_seconds()))


def _count(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))
