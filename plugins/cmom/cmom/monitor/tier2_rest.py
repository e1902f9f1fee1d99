"""A Tier 2 that is a manager, through its REST service."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any, TypeVar

from cmom.clients.manager import ManagerClient
from cmom.clients.tenant_api import TenantApi
from cmom.clients.tier2 import Deployments, Instance, Node, RestDeployments
from cmom.clients.tier2_executions import running_executions
from cmom.errors import ActionRequired, ManagerRefused
from cmom.models import Version
from cmom.monitor.config import ManagerTier2
from cmom.monitor.tier2 import (
    ClusterKey,
    Deployment,
    Execution,
    Inventory,
    Order,
    Outcome,
    Running,
    StartRefused,
    Ticket,
)
from cmom.services.deployed import CLUSTER_TYPE, MANAGER_TYPE

Answer = TypeVar("Answer")

_LATEST = 100
_EXISTING_RUNNING = "existing_running_execution_error"
_ENDED = {
    "terminated": Outcome.SUCCEEDED,
    "completed": Outcome.SUCCEEDED,
    "failed": Outcome.FAILED,
    "cancelled": Outcome.CANCELLED,
}


class RestTier2:
    """The deployments of a manager, in some of its tenants.

    What can be asked for all deployments in one request is asked so, for the manager lets a client ask ten
    times a second only.

    Args:
        settings: Which manager.
        version: Of it; decides how fast it may be asked.
    """

    def __init__(self, settings: ManagerTier2, version: Version | None = None) -> None:
        self._tenants = settings.tenants
        self._client = ManagerClient(settings.address, settings.access, tenant=settings.tenants[0])
        self._api = TenantApi(self._client, version or Version.parse("7.0"))

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def read(self) -> Inventory:
        """See `Tier2.read`. A cluster or manager of a type that was derived from ours is not found."""
        return Inventory(tuple(deployment for tenant in self._tenants for deployment in self._read(tenant)))

    def _read(self, tenant: str) -> Iterable[Deployment]:
        doing = f"reading the deployments of tenant {tenant} of Tier 2"
        nodes: dict[str, list[Node]] = {}
        for item in self._api.pages(
            tenant,
            "nodes",
            doing,
            ["id", "deployment_id", "type_hierarchy", "properties"],
            type=[CLUSTER_TYPE, MANAGER_TYPE],
        ):
            with self._api.reading(doing):
                types = tuple(str(kind) for kind in item.get("type_hierarchy") or ())
                node = Node(str(item["id"]), types, dict(item.get("properties") or {}))
                nodes.setdefault(str(item["deployment_id"]), []).append(node)
        nodes = {name: found for name, found in nodes.items() if _has_cluster(found)}
        if not nodes:
            return
        instances = self._instances(
            tenant, doing, sorted({one.id for found in nodes.values() for one in found})
        )
        for item in self._api.pages(tenant, "deployments", doing, ["id", "groups", "inputs"]):
            name = str(item["id"])
            if name in nodes:
                with self._api.reading(doing):
                    groups, inputs = dict(item.get("groups") or {}), dict(item.get("inputs") or {})
                yield Deployment(
                    ClusterKey(tenant, name),
                    groups,
                    tuple(nodes[name]),
                    tuple(instances.get(name, ())),
                    inputs,
                )

    def _instances(self, tenant: str, doing: str, node_ids: list[str]) -> dict[str, list[Instance]]:
        found: dict[str, list[Instance]] = {}
        fields = ["id", "node_id", "deployment_id", "state", "runtime_properties"]
        for item in self._api.pages(tenant, "node_instances", doing, fields, node_id=node_ids):
            with self._api.reading(doing):
                instance = Instance(
                    str(item["id"]),
                    str(item.get("node_id") or ""),
                    str(item.get("state") or "uninitialized"),
                    dict(item.get("runtime_properties") or {}),
                )
                found.setdefault(str(item["deployment_id"]), []).append(instance)
        return found

    def deployments(self, tenant: str) -> Deployments:
        """See `Tier2.deployments`."""
        return RestDeployments(self._api.in_tenant(tenant).rest)

    def executions(self, key: ClusterKey) -> tuple[Execution, ...]:
        """See `Tier2.executions`."""
        doing = f"listing the executions of deployment {key}"
        found = self._ask(
            key,
            lambda rest: rest.executions.list(
                deployment_id=key.deployment_id,
                _sort="-created_at",
                _size=_LATEST,
                _include=["id", "workflow_id", "parameters", "created_at"],
            ),
            doing,
        )
        with self._api.reading(doing):
            return tuple(
                Execution(
                    str(item["id"]),
                    str(item.get("workflow_id") or ""),
                    dict(item.get("parameters") or {}),
                    parse_time(item.get("created_at")),
                )
                for item in found
            )

    def running(self, key: ClusterKey, workflow_id: str) -> Running:
        """See `Tier2.running`."""
        client = self._api.in_tenant(key.tenant).rest
        running = self._api.pacer.run(lambda: running_executions(client, key.deployment_id))
        heals = [str(one) for one in running if one.workflow_id == workflow_id]
        others = [str(one) for one in running if one.workflow_id != workflow_id]
        return Running(", ".join(heals), ", ".join(others))

    def start(self, key: ClusterKey, order: Order) -> Ticket:
        """See `Tier2.start`. That only one runs at a time is Tier 2's own rule."""
        doing = f"starting {order.workflow_id} on deployment {key}"
        try:
            started = self._ask(
                key,
                lambda rest: rest.executions.start(
                    key.deployment_id,
                    order.workflow_id,
                    parameters=dict(order.parameters),
                    force=order.force,
                    allow_custom_parameters=order.allow_custom_parameters,
                ),
                doing,
            )
        except ManagerRefused as error:
            if error.error_code == _EXISTING_RUNNING:
                raise StartRefused("another_execution", str(error)) from error
            raise
        with self._api.reading(doing):
            return Ticket(key, str(started["id"]), f"execution {started['id']} of Tier 2")

    def outcome(self, ticket: Ticket) -> Outcome | None:
        """See `Tier2.outcome`. An execution that is gone has failed as far as anybody can tell."""
        try:
            found = self._ask(
                ticket.key,
                lambda rest: rest.executions.get(ticket.id, _include=["id", "status"]),
                f"asking how {ticket.place} is",
            )
        except ActionRequired:
            return Outcome.FAILED
        return _ENDED.get(str(found.get("status") or ""))

    def _ask(self, key: ClusterKey, question: Callable[[Any], Answer], doing: str) -> Answer:
        return self._api.ask(key.tenant, question, doing)


def parse_time(text: object) -> datetime | None:
    """Read a time as Tier 2 writes it, which is UTC; None for what is none."""
    try:
        found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)


def _has_cluster(nodes: Iterable[Node]) -> bool:
    return any(CLUSTER_TYPE in node.types for node in nodes)
