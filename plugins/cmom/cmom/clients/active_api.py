"""What generation 5 tells of its cluster, and is told: managers, brokers, databases, and how they are.

`cloudify_rest_client` has classes for most of it; the plain requests have one deadline and one set of errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cmom.clients.manager import ManagerClient
from cmom.clients.rest_errors import NOT_FOUND
from cmom.errors import ManagerRefused, UnexpectedAnswer

OK, DEGRADED, FAIL = "OK", "Degraded", "Fail"
KINDS = ("db", "broker", "manager")
_CONFLICT = "conflict_error"


@dataclass(frozen=True)
class NodeState:
    """One node of one service, as ``GET /cluster-status`` tells it.

    Attributes:
        kind: Of `KINDS`.
        name: The same for all services of one machine: its manager's, where that is listed.
        status: ``OK`` or ``Fail``.
        failures: Why, in the manager's own words.
        services: Name -> ``Active`` or another word.
        metrics: Name -> whether it is healthy; what Prometheus sees.
    """

    kind: str
    name: str
    private_ip: str
    public_ip: str
    status: str
    failures: tuple[str, ...] = ()
    services: tuple[tuple[str, str], ...] = ()
    metrics: tuple[tuple[str, bool], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it is well."""
        return self.status == OK


@dataclass(frozen=True)
class ClusterReport:
    """What ``GET /cluster-status`` says.

    Attributes:
        status: ``OK``, ``Degraded`` or ``Fail``.
        kinds: Kind -> its status, and whether it exists elsewhere.
        nodes: Of all kinds.
    """

    status: str
    kinds: tuple[tuple[str, str, bool], ...]
    nodes: tuple[NodeState, ...]

    def of(self, kind: str) -> tuple[NodeState, ...]:
        """The nodes of one kind."""
        return tuple(node for node in self.nodes if node.kind == kind)

    def summary(self) -> dict[str, Any]:
        """The manager's own words, for people."""
        kinds = {
            kind: {
                "status": status,
                "is_external": external,
                "nodes": {node.name: node.status for node in self.of(kind)},
            }
            for kind, status, external in self.kinds
        }
        return {"status": self.status, "services": kinds}


@dataclass(frozen=True)
class ListedManager:
    """A manager that is in the cluster, as ``GET /managers`` lists it."""

    hostname: str
    private_ip: str
    public_ip: str


class ActiveApi(ManagerClient):
    """A manager of generation 5, asked and told about its cluster."""

    def cluster_status(self) -> ClusterReport:
        """Ask how the cluster is.

        Raises:
            CmomError: See `rest_errors`.
        """
        answer = self.request("GET", "/cluster-status", "asking for the status of the cluster")
        try:
            return _report(answer)
        except (AttributeError, KeyError, TypeError) as error:
            raise UnexpectedAnswer(
                f"Manager {self.address} told the status of the cluster in an unexpected shape."
            ) from error

    def list_managers(self) -> tuple[ListedManager, ...]:
        """List the managers of the cluster."""
        items = self._items("/managers", "listing the managers of the cluster")
        return tuple(
            ListedManager(
                str(item.get("hostname") or ""),
                str(item.get("private_ip") or ""),
                str(item.get("public_ip") or ""),
            )
            for item in items
        )

    def remove_manager(self, hostname: str) -> bool:
        """Take a manager off the list; tell whether it was on it."""
        return self._delete(f"/managers/{quote(hostname, safe='')}", f"removing the manager {hostname}")

    def list_brokers(self) -> dict[str, str]:
        """List the brokers that managers know, with their addresses."""
        items = self._items("/brokers", "listing the brokers of the cluster")
        return {str(item.get("name") or ""): str(item.get("host") or "") for item in items}

    def add_broker(self, name: str, address: str) -> bool:
        """Put a broker onto the list; tell whether it was not on it."""
        try:
            body = {"name": name, "address": address}
            self.request("POST", "/brokers", f"registering the broker {name}", body=body)
        except ManagerRefused as error:
            if error.error_code != _CONFLICT:
                raise
            return False
        return True

    def remove_broker(self, name: str) -> bool:
        """Take a broker off the list; tell whether it was on it."""
        return self._delete(f"/brokers/{quote(name, safe='')}", f"unregistering the broker {name}")

    def _items(self, path: str, doing: str) -> list[dict[str, Any]]:
        answer = self.request("GET", path, doing)
        items = answer.get("items") if isinstance(answer, dict) else None
        if not isinstance(items, list):
            raise UnexpectedAnswer(f"Manager {self.address} answered in an unexpected shape, {doing}.")
        return [item for item in items if isinstance(item, dict)]

    def _delete(self, path: str, doing: str) -> bool:
        try:
            self.request("DELETE", path, doing)
        except ManagerRefused as error:
            if error.error_code != NOT_FOUND:
                raise
            return False
        return True


def _report(answer: Any) -> ClusterReport:
    told = answer["services"]
    kinds = tuple(
        (kind, str(told[kind].get("status") or ""), bool(told[kind].get("is_external")))
        for kind in KINDS
        if kind in told
    )
    nodes = tuple(
        _node(kind, name, node)
        for kind, _, _ in kinds
        for name, node in (told[kind].get("nodes") or {}).items()
    )
    return ClusterReport(str(answer["status"]), kinds, nodes)


def _node(kind: str, name: str, node: dict[str, Any]) -> NodeState:
    services = (node.get("services") or {}).items()
    metrics = node.get("metrics") or ()
    return NodeState(
        kind=kind,
        name=str(name),
        private_ip=str(node.get("private_ip") or ""),
        public_ip=str(node.get("public_ip") or ""),
        status=str(node.get("status") or ""),
        failures=tuple(str(failure) for failure in node.get("failures") or ()),
        services=tuple((str(service), str((one or {}).get("status") or "")) for service, one in services),
        metrics=tuple((str(one.get("metric_name") or ""), bool(one.get("healthy"))) for one in metrics),
    )
