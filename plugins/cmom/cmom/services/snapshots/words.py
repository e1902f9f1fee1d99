"""What is said in more than one place about executions and names on Tier 1."""

from __future__ import annotations

from collections.abc import Iterable

from cmom.clients.executions import Execution
from cmom.clients.snapshots import RESTORE_WORKFLOW
from cmom.errors import ActionRequired


class NameTaken(ActionRequired):
    """There is a snapshot of that name, and it is not ours."""


def in_words(executions: Iterable[Execution]) -> str:
    """Return executions for a message, and what to do about one that will never end."""
    words, stuck = [], ""
    for execution in executions:
        where = f" of deployment {execution.deployment_id}" if execution.deployment_id else ""
        words.append(f"{execution.workflow_id}{where} ({execution.status}, {execution.id})")
        if execution.workflow_id == RESTORE_WORKFLOW and execution.status == "pending":
            stuck = (
                " A restore that was refused leaves a pending execution, which never runs and holds up "
                "all others: "
                f"if nobody restores now, cancel it (cfy executions cancel {execution.id})."
            )
    return f"{', '.join(words) or 'it has just ended'}.{stuck}"


def taken(snapshot_id: str, where: str) -> NameTaken:
    """Return the error for a name that is taken."""
    return NameTaken(
        f"There is a snapshot {snapshot_id} {where} already. Give another snapshot_id, or none: then its "
        "name is the "
        "time."
    )
