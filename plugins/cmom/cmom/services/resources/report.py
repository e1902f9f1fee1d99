"""What happened to each entry, as a table for people and as rows for runtime properties."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cmom.errors import ActionRequired, CmomError, TryAgainLater

_LONGEST_REASON = 300
_COLUMNS = ("kind", "name", "tenant", "outcome", "seconds", "reason")


class Outcome(Enum):
    """How an entry ended; the words are what users read."""

    CREATED = "created"
    EXISTS = "already so"
    UPDATED = "updated"
    REFUSED = "refused"
    """It cannot be made so, by the manager's word or because something else has its name."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not tried, because of something else that failed."""

    @property
    def good(self) -> bool:
        """Whether the entry is now as it was wanted."""
        return self in (Outcome.CREATED, Outcome.EXISTS, Outcome.UPDATED)


@dataclass(frozen=True)
class Row:
    """One entry.

    Attributes:
        kind: ``tenant``, ``secret``, ``plugin``, ``blueprint``, ``deployment``.
        name: By which users know it.
        tenant: Where it is; empty for a tenant.
        outcome: How it ended.
        reason: Why, unless it was simply created or there; never holds a secret.
        seconds: How long it took.
        time_may_help: For one that is not good: whether trying again is worth it.
    """

    kind: str
    name: str
    tenant: str
    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0
    time_may_help: bool = False

    def as_plain_data(self) -> dict[str, Any]:
        """Return it for runtime properties."""
        return {
            "kind": self.kind,
            "name": self.name,
            "tenant": self.tenant,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True)
class Report:
    """All entries of one run, in the order of the lists."""

    rows: tuple[Row, ...]

    @property
    def good(self) -> bool:
        """Whether everything is now as it was wanted."""
        return all(row.outcome.good for row in self.rows)

    def as_plain_data(self) -> list[dict[str, Any]]:
        """Return it for runtime properties."""
        return [row.as_plain_data() for row in self.rows]

    def summary(self) -> str:
        """Return how many entries ended how: ``3 created, 1 refused``."""
        counts = ((outcome, sum(row.outcome is outcome for row in self.rows)) for outcome in Outcome)
        return ", ".join(f"{count} {outcome.value}" for outcome, count in counts if count) or "nothing to do"

    def table(self) -> str:
        """Return a line for each entry, in columns."""
        lines = [_COLUMNS, *(_cells(row) for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

    def failure(self) -> CmomError | None:
        """Return the error that says what is not as it was wanted; None when all is.

        It is one that time may help with when that is so for all of them: a later run does what is missing.
        """
        if self.good:
            return None
        bad = [row for row in self.rows if not row.outcome.good]
        message = (
            f"{len(bad)} of {len(self.rows)} resources are not as wanted ({self.summary()}). "
            f"Mend what the reasons name and run it again: only what is missing is done.\n{self.table()}"
        )
        causes = [row for row in bad if row.outcome is not Outcome.SKIPPED] or bad
        if all(row.time_may_help for row in causes):
            return TryAgainLater(message)
        return ActionRequired(message)


def in_order(rows: Iterable[Row]) -> Report:
    """Make a report."""
    return Report(tuple(rows))


def short(reason: str) -> str:
    """Return a reason on one line, and not longer than one can read."""
    line = " ".join(reason.split())
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."


def _cells(row: Row) -> tuple[str, ...]:
    return (row.kind, row.name, row.tenant or "-", row.outcome.value, f"{row.seconds:.1f}", row.reason or "-")
