"""Executions of workflows on a Tier 1 manager, and the events they leave. Both generations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cmom.clients.tenant_api import TenantApi, possible_secrets, quoted
from cmom.models import Version

END_STATES = frozenset({"terminated", "failed", "cancelled"})
ENVIRONMENT_WORKFLOW = "create_deployment_environment"
_QUEUE_SINCE = (4, 5)


@dataclass(frozen=True)
class Execution:
    """A workflow that runs, ran, or waits for its turn.

    Attributes:
        status: In the words of the wire: ``pending``, ``started``, ``queued``, ``cancelling``,
            ``force_cancelling``, ``kill_cancelling``, ``scheduled``, ``terminated`` (where people say
            completed), ``failed``, ``cancelled``. Generation 4.3 has no other field that tells it.
        error: Of a failed one; may be a traceback.
    """

    id: str
    deployment_id: str
    workflow_id: str
    status: str
    error: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in END_STATES


@dataclass(frozen=True)
class Event:
    """One event or log line of an execution.

    Attributes:
        timestamp: As the manager wrote it.
        text: What happened.
        level: Of a log line: ``debug``, ``info``, ...; empty for an event.
        node_instance_id: Where; empty when it is about the workflow.
        operation: Its full name; empty when it is about none.
    """

    timestamp: str
    text: str
    level: str = ""
    node_instance_id: str = ""
    operation: str = ""


def can_queue(version: Version) -> bool:
    """Tell whether managers of a version know `queue`; those that do not take no notice of it."""
    return version.numbers >= _QUEUE_SINCE


class ExecutionApi(TenantApi):
    """The executions of one manager. All methods raise what `rest_errors` raises."""

    def start_execution(
        self,
        tenant: str,
        deployment_id: str,
        workflow_id: str,
        parameters: Mapping[str, Any],
        *,
        allow_custom_parameters: bool = False,
        force: bool = False,
        queue: bool = False,
    ) -> Execution:
        """Start a workflow; returns as soon as the manager has taken note of it."""
        doing = f"starting workflow {workflow_id} of deployment {deployment_id}"
        answer = self.ask(
            tenant,
            lambda rest: rest.executions.start(
                deployment_id,
                workflow_id,
                parameters=dict(parameters),
                allow_custom_parameters=allow_custom_parameters,
                force=force,
                queue=queue,
            ),
            doing,
            secrets=possible_secrets(parameters),
        )
        with self.reading(doing):
            return _execution(answer)

    def get_execution(self, tenant: str, execution_id: str) -> Execution:
        """Look at an execution."""
        doing = f"looking at execution {execution_id}"
        answer = self.ask(tenant, lambda rest: rest.executions.get(quoted(execution_id)), doing)
        with self.reading(doing):
            return _execution(answer)

    def list_executions(
        self, tenant: str, deployment_id: str, workflow_id: str, *, system: bool = False
    ) -> tuple[Execution, ...]:
        """List what ran of a workflow on a deployment.

        Args:
            tenant: Whose the deployment is.
            deployment_id: Of which deployment.
            workflow_id: Of which workflow.
            system: Whether it is a workflow of the manager's own.
        """
        fields = ["id", "deployment_id", "workflow_id", "status", "error"]
        doing = f"listing the executions of {workflow_id} on deployment {deployment_id}"
        items = self.pages(
            tenant,
            "executions",
            doing,
            fields,
            deployment_id=deployment_id,
            workflow_id=workflow_id,
            include_system_workflows=system,
        )
        with self.reading(doing):
            return tuple(_execution(item) for item in items)

    def cancel_execution(self, tenant: str, execution_id: str) -> Execution:
        """Ask an execution to stop; it goes on until its workflow heeds that."""
        doing = f"cancelling execution {execution_id}"
        answer = self.ask(tenant, lambda rest: rest.executions.cancel(quoted(execution_id)), doing)
        with self.reading(doing):
            return _execution(answer)

    def list_events(
        self, tenant: str, execution_id: str, *, offset: int, size: int, include_logs: bool
    ) -> tuple[Event, ...]:
        """Read events in the order in which the manager got them.

        Args:
            tenant: Whose the execution is.
            execution_id: Of which execution.
            offset: How many to leave out.
            size: How many at most.
            include_logs: Whether log lines are wanted among them.
        """
        doing = f"reading the events of execution {execution_id}"
        answer = self.ask(
            tenant,
            lambda rest: rest.events.list(
                execution_id=execution_id,
                include_logs=include_logs,
                sort="reported_timestamp",
                _offset=offset,
                _size=size,
            ),
            doing,
        )
        with self.reading(doing):
            return tuple(_event(item) for item in answer.items)


def _execution(item: Mapping[str, Any]) -> Execution:
    return Execution(
        id=str(item["id"]),
        deployment_id=str(item.get("deployment_id") or ""),
        workflow_id=str(item.get("workflow_id") or ""),
        status=str(item.get("status") or ""),
        error=str(item.get("error") or ""),
    )


def _event(item: Mapping[str, Any]) -> Event:
    return Event(
        timestamp=str(item.get("reported_timestamp") or item.get("timestamp") or ""),
        text=str(item.get("message") or ""),
        level=str(item.get("level") or "") if item.get("type") == "cloudify_log" else "",
        node_instance_id=str(item.get("node_instance_id") or ""),
        operation=str(item.get("operation") or ""),
    )
