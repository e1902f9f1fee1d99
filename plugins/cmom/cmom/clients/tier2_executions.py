"""Which executions run on Tier 2, by a manager's word.

In the local profile locks tell, see `services.activity`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cloudify_rest_client.client import CloudifyClient

from cmom.clients.rest_errors import Conversation, reading, rest_errors

# Those that run, or begin in a moment; ``queued`` and ``scheduled`` ones wait for others.
RUNNING = ("pending", "started", "cancelling", "force_cancelling", "kill_cancelling")


@dataclass(frozen=True)
class RunningExecution:
    """An execution that has not ended."""

    id: str
    workflow_id: str

    def __str__(self) -> str:
        return f"{self.workflow_id} ({self.id})"


def running_executions(
    client: CloudifyClient, deployment_id: str, *, but: Collection[str] = ()
) -> tuple[RunningExecution, ...]:
    """List the executions of a deployment that run.

    Args:
        client: The REST client of Tier 2, in the tenant of the deployment.
        deployment_id: Which deployment.
        but: The IDs of executions that are not meant.

    Raises:
        TryAgainLater: Tier 2 does not answer.
        ActionRequired: It refuses.
    """
    doing = f"asking what runs on deployment {deployment_id}"
    with rest_errors(Conversation(doing, "of Tier 2", "of this execution", "its own CA")):
        found = client.executions.list(
            deployment_id=deployment_id, status=list(RUNNING), _get_all_results=True
        )
    with reading(doing, "of Tier 2"):
        return tuple(
            RunningExecution(str(one["id"]), str(one["workflow_id"]))
            for one in found
            if str(one["id"]) not in but
        )
