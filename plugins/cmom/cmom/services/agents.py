"""Moving the agents of all deployments to the managers that a snapshot was restored on.

``install_new_agents`` connects to each agent by way of its old manager's records, and makes it work for the
new one. Each deployment is on its own: what fails for one keeps no other from being moved.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cmom.clients.node_instances import NodeInstance, list_node_instances
from cmom.errors import CmomError
from cmom.models import Version
from cmom.services.agent_report import AgentOutcome, AgentRow, short
from cmom.services.execution_request import ExecutionRequest
from cmom.services.executions import WorkflowRunner
from cmom.services.relay import Relay
from cmom.services.tier1 import Tier1
from cmom.services.waiting import Clock, SystemClock

WORKFLOW = "install_new_agents"

# 4.3 wants all of a deployment to be started, and its workflow takes no parameters (`cfy agents install`).
_MACHINES_ONLY_SINCE = (4, 4)
_INSTALL_AGENT_SECONDS = 300
_POLL_SECONDS = 5.0


@dataclass(frozen=True)
class AgentTimes:
    """How agents are moved.

    Attributes:
        workers: How many deployments at the same time.
        deployment_seconds: How long one may take.
        poll_seconds: Between two looks at one.
    """

    workers: int = 8
    deployment_seconds: float = 3600.0
    poll_seconds: float = _POLL_SECONDS


def reason_to_skip(instances: Sequence[NodeInstance], version: Version) -> str | None:
    """Say why the agents of a deployment cannot be moved; None when they can.

    As each generation decides it: what is not started has no agent that answers.

    Args:
        instances: Of the deployment.
        version: Of the manager.
    """
    machines_only = version.numbers >= _MACHINES_ONLY_SINCE
    for instance in instances:
        if (instance.is_machine or not machines_only) and not instance.started:
            return f"node instance {instance.id} is {instance.state or 'in no known state'}, not started"
    return None


class AgentMover:
    """Moves the agents of all deployments of a cluster.

    Args:
        tier1: The cluster.
        relay: Gets the progress, from all threads.
        remember: Is told what became of each deployment as soon as that is known, in the caller's thread.
        times: See `AgentTimes`.
        clock: For tests.
    """

    def __init__(
        self,
        tier1: Tier1,
        relay: Relay,
        *,
        remember: Callable[[Sequence[AgentRow]], None],
        times: AgentTimes | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._tier1 = tier1
        self._relay = relay
        self._remember = remember
        self._times = times or AgentTimes()
        self._clock = clock or SystemClock()

    def move(self, before: Iterable[AgentRow] = ()) -> tuple[AgentRow, ...]:
        """Move the agents of all deployments that can be moved.

        Args:
            before: What `remember` was told last: those that were transferred are not again.

        Returns:
            A row for each deployment, in their order.

        Raises:
            CmomError: It cannot even be found out what deployments there are.
        """
        rows = {(row.tenant, row.deployment_id): row for row in before}
        moved = {key for key, row in rows.items() if row.outcome is AgentOutcome.TRANSFERRED}
        waiting: list[tuple[str, str]] = []
        for key, reason in self._deployments():
            if key in moved:
                continue
            if reason is None:
                waiting.append(key)
                continue
            rows[key] = AgentRow(*key, AgentOutcome.SKIPPED, reason)
            self._relay.info("Agents of deployment %s (tenant %s): skipped, %s", key[1], key[0], reason)
        tasks = [partial(self._attempt, *key) for key in waiting]
        if tasks:
            self._relay.info("Moving the agents of %d deployments.", len(tasks))
        self._tell(rows)
        for count, (_, row) in enumerate(self._relay.run(tasks, workers=self._times.workers), 1):
            rows[row.tenant, row.deployment_id] = row
            self._say(row, count, len(tasks))
            self._tell(rows)
        return tuple(rows[key] for key in sorted(rows))

    def _deployments(self) -> list[tuple[tuple[str, str], str | None]]:
        """Return all deployments of all tenants, each with why its agents cannot be moved, if so."""
        found = []
        for tenant in sorted(self._tier1.call(lambda api: api.list_tenants(), "listing the tenants")):
            deployments, instances = self._tier1.call(
                lambda api, tenant=tenant: (  # type: ignore[misc]
                    api.list_deployments(tenant),
                    list_node_instances(api, tenant),
                ),
                f"listing the deployments of tenant {tenant}",
            )
            of: dict[str, list[NodeInstance]] = {}
            for instance in instances:
                of.setdefault(instance.deployment_id, []).append(instance)
            for name, deployment in sorted(deployments.items()):
                if deployment.tenant in ("", tenant):
                    found.append(((tenant, name), reason_to_skip(of.get(name, ()), self._tier1.version)))
        return found

    def _attempt(self, tenant: str, deployment_id: str) -> AgentRow:
        began = self._clock.monotonic()
        outcome, reason = self._outcome(tenant, deployment_id)
        seconds = self._clock.monotonic() - began
        return AgentRow(tenant, deployment_id, outcome, short(reason), seconds)

    def _outcome(self, tenant: str, deployment_id: str) -> tuple[AgentOutcome, str]:
        modern = self._tier1.version.numbers >= _MACHINES_ONLY_SINCE
        request = ExecutionRequest(
            deployment_id=deployment_id,
            workflow_id=WORKFLOW,
            tenant=tenant,
            parameters={"install_agent_timeout": _INSTALL_AGENT_SECONDS} if modern else {},
            allow_custom_parameters=modern,
            timeout_seconds=self._times.deployment_seconds,
            include_logs=False,
        )
        runner = WorkflowRunner(
            self._tier1,
            _Prefixed(self._relay, {"prefix": f"{deployment_id}: "}),
            remember=lambda execution: None,
            clock=self._clock,
            poll_seconds=self._times.poll_seconds,
        )
        try:
            # One that runs was started by a former try, which was killed.
            running = [
                execution.id
                for execution in self._tier1.call(
                    lambda api: api.list_executions(tenant, deployment_id, WORKFLOW),
                    f"looking at deployment {deployment_id}",
                )
                if not execution.ended
            ]
            runner.run(request, running[-1] if running else None)
        except CmomError as error:
            return AgentOutcome.FAILED, str(error)
        except Exception as error:
            # A mistake of ours must not cost the other deployments.
            place = "".join(traceback.format_tb(error.__traceback__))
            self._relay.error("%s: unexpected %s\n%s", deployment_id, type(error).__name__, place)
            return AgentOutcome.FAILED, f"unexpected {type(error).__name__}; see the log"
        return AgentOutcome.TRANSFERRED, ""

    def _say(self, row: AgentRow, count: int, total: int) -> None:
        level = logging.INFO if row.outcome is AgentOutcome.TRANSFERRED else logging.WARNING
        why = f": {row.reason}" if row.reason else ""
        self._relay.log(
            level,
            "Agents of deployment %s (tenant %s): %s%s (%d of %d)",
            row.deployment_id,
            row.tenant,
            row.outcome.value,
            why,
            count,
            total,
        )

    def _tell(self, rows: MutableMapping[tuple[str, str], AgentRow]) -> None:
        self._remember([rows[key] for key in sorted(rows)])


class _Prefixed(logging.LoggerAdapter):  # type: ignore[type-arg]
    """Puts the deployment before each line: those of several come at the same time."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        prefix = (self.extra or {}).get("prefix", "")
        return f"{prefix}{msg}", kwargs
