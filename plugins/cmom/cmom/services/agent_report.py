"""What became of the agents of each deployment, as a table for people and as rows for runtime properties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

_COLUMNS = ("tenant", "deployment", "agents", "seconds", "reason")
_LONGEST_REASON = 300


class AgentOutcome(Enum):
    """How a deployment ended; the words are what users read."""

    TRANSFERRED = "transferred"
    SKIPPED = "skipped"
    """It has none that could be transferred."""
    FAILED = "failed"


@dataclass(frozen=True)
class AgentRow:
    """One deployment.

    Attributes:
        outcome: How it ended.
        reason: Why, unless they were transferred.
        seconds: How long it took.
    """

    tenant: str
    deployment_id: str
    outcome: AgentOutcome
    reason: str = ""
    seconds: float = 0.0

    def as_plain_data(self) -> dict[str, Any]:
        """Return it for runtime properties."""
        return {
            "tenant": self.tenant,
            "deployment": self.deployment_id,
            "agents": self.outcome.value,
            "reason": self.reason,
            "seconds": round(self.seconds, 1),
        }


def load_rows(stored: object) -> tuple[AgentRow, ...]:
    """Read what `AgentRow.as_plain_data` has written; nothing for anything else."""
    rows = []
    for row in stored if isinstance(stored, Sequence) and not isinstance(stored, str) else ():
        if not isinstance(row, Mapping):
            continue
        try:
            outcome = AgentOutcome(row.get("agents"))
        except ValueError:
            continue
        rows.append(
            AgentRow(
                tenant=str(row.get("tenant") or ""),
                deployment_id=str(row.get("deployment") or ""),
                outcome=outcome,
                reason=str(row.get("reason") or ""),
                seconds=float(row.get("seconds") or 0.0),
            )
        )
    return tuple(rows)


def summary(rows: Iterable[AgentRow]) -> str:
    """Return how many deployments ended how: ``3 transferred, 1 failed``."""
    found = list(rows)
    counts = ((outcome, sum(row.outcome is outcome for row in found)) for outcome in AgentOutcome)
    return ", ".join(f"{count} {outcome.value}" for outcome, count in counts if count) or "no deployments"


def table(rows: Iterable[AgentRow]) -> str:
    """Return a line for each deployment, in columns."""
    lines = [
        _COLUMNS,
        *(
            (row.tenant, row.deployment_id, row.outcome.value, f"{row.seconds:.1f}", row.reason)
            for row in rows
        ),
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def short(reason: str) -> str:
    """Return a reason on one line, and not longer than one can read."""
    line = " ".join(reason.split())
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."
