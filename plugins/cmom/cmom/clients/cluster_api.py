"""The cluster API of generation 4 (premium; 4.3 - 4.6): ``/cluster`` and ``/cluster/nodes``.

`cloudify_rest_client` 7.0 has no class for it any more, so the requests are made here. How the calls belong
together is `cmom.services.cluster`'s knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from cmom.clients.manager import ManagerClient
from cmom.errors import ManagerUnreachable, UnexpectedAnswer
from cmom.models import Member

CHECKS = ("consul", "services", "database", "heartbeat")
_SET_ACTIVE_SECONDS = 15.0


@dataclass(frozen=True)
class LogLine:
    """A line of the log that a manager keeps of its way into a cluster.

    Attributes:
        cursor: Tells lines apart; grows.
    """

    message: str
    timestamp: str = ""
    cursor: str = ""


@dataclass(frozen=True)
class ClusterState:
    """What ``GET /cluster`` says of one manager.

    Attributes:
        initialized: It leads a cluster. (A replica does not answer this call but ``not_cluster_master``.)
        error: Why starting or joining failed; empty when it did not.
        logs: What it has done so far, in order; empty when it was never told to start or join.
    """

    initialized: bool
    error: str = ""
    logs: tuple[LogLine, ...] = ()

    @property
    def in_progress(self) -> bool:
        """Whether it was told to start or join and has neither done so nor failed."""
        return not self.initialized and not self.error and bool(self.logs)


@dataclass(frozen=True)
class JoinCredentials:
    """What the leader gives a manager that is to join. Its content is secret; `repr` does not show it.

    Attributes:
        credentials: Keys and passwords of the cluster.
        required: What the joining manager must agree with (versions, certificates).
    """

    credentials: Any = field(repr=False)
    required: Any = field(repr=False)

    def __bool__(self) -> bool:
        return bool(self.credentials)


@dataclass(frozen=True)
class ListedNode:
    """A node of the leader's list: the member, and what it needs to join should it not have joined yet."""

    member: Member
    join: JoinCredentials


class ClusterApi(ManagerClient):
    """The cluster API of one manager. All methods raise what `rest_errors` raises."""

    def get_cluster(self) -> ClusterState:
        """Ask whether it leads a cluster, or how far it is on its way into one."""
        doing = "asking for the state of the cluster"
        return _state(self.request("GET", "/cluster", doing), self.address)

    def start(self, host_ip: str, node_name: str, options: Mapping[str, Any] | None = None) -> ClusterState:
        """Tell it to start a cluster with itself as the only member; returns before that is done."""
        body = {"host_ip": host_ip, "node_name": node_name, "options": dict(options or {})}
        return _state(self.request("PUT", "/cluster", "starting the cluster", body=body), self.address)

    def join(
        self,
        host_ip: str,
        node_name: str,
        join_credentials: JoinCredentials,
        join_addresses: Sequence[str],
        options: Mapping[str, Any] | None = None,
    ) -> ClusterState:
        """Tell it to join a cluster; returns before that is done.

        Args:
            host_ip: Its private address.
            node_name: As it was announced to the leader with `add_node`.
            join_credentials: From the leader.
            join_addresses: The private address of every member; what makes it a join and not a start.
            options: Of the node.
        """
        body = {
            "host_ip": host_ip,
            "node_name": node_name,
            "credentials": join_credentials.credentials,
            "required": join_credentials.required,
            "join_addrs": list(join_addresses),
            "options": dict(options or {}),
        }
        return _state(self.request("PUT", "/cluster", "joining the cluster", body=body), self.address)

    def list_nodes(self) -> tuple[ListedNode, ...]:
        """List the nodes of the cluster that it leads."""
        answer = self.request("GET", "/cluster/nodes", "listing the members of the cluster")
        listed = answer.get("items") if isinstance(answer, dict) else answer
        if not isinstance(listed, list):
            raise UnexpectedAnswer(f"Manager {self.address} listed its cluster in an unexpected shape.")
        return tuple(_node(told, self.address) for told in listed)

    def list_members(self) -> tuple[Member, ...]:
        """List the members of the cluster that it leads, without what is secret."""
        return tuple(node.member for node in self.list_nodes())

    def add_node(self, host_ip: str, node_name: str) -> JoinCredentials:
        """Announce a manager to the leader, which must happen before that manager is told to join."""
        answer = self.request(
            "PUT",
            f"/cluster/nodes/{quote(node_name, safe='')}",
            f"announcing {host_ip} to the cluster",
            body={"host_ip": host_ip, "node_name": node_name},
        )
        found = _join_credentials(answer) if isinstance(answer, dict) else None
        if not found:
            raise UnexpectedAnswer(f"Manager {self.address} gave no credentials for {host_ip} to join.")
        return found

    def remove_node(self, node_name: str) -> None:
        """Take a node out of the cluster."""
        path = f"/cluster/nodes/{quote(node_name, safe='')}"
        self.request("DELETE", path, f"removing {node_name} from the cluster")

    def set_active(self, node_name: str) -> None:
        """Tell the leader to let another node lead.

        No answer in time is normal: the service that would give it is being moved. Who leads is to be asked
        afterwards.
        """
        try:
            self.request(
                "PATCH",
                "/cluster",
                f"making {node_name} the leader",
                body={"master": node_name},
                total_seconds=_SET_ACTIVE_SECONDS,
            )
        except ManagerUnreachable:
            return


def _state(answer: Any, address: str) -> ClusterState:
    if not isinstance(answer, dict):
        raise UnexpectedAnswer(f"Manager {address} told the state of its cluster in an unexpected shape.")
    logs = tuple(
        LogLine(
            str(line.get("message") or ""), str(line.get("timestamp") or ""), str(line.get("cursor") or "")
        )
        for line in answer.get("logs") or ()
        if isinstance(line, dict)
    )
    return ClusterState(answer.get("initialized") is True, str(answer.get("error") or ""), logs)


def _node(told: Any, address: str) -> ListedNode:
    if not isinstance(told, dict) or not told.get("name") or not told.get("host_ip"):
        raise UnexpectedAnswer(f"Manager {address} listed a member in an unexpected shape.")
    checks = told.get("checks")
    member = Member(
        name=str(told["name"]),
        host_ip=str(told["host_ip"]),
        public_ip=str(told.get("public_ip") or ""),
        online=told.get("online") is True,
        leader=told.get("master") is True,
        initialized=told.get("initialized") is True,
        checks={
            name: checks.get(name) is True for name in CHECKS if isinstance(checks, dict) and name in checks
        },
    )
    return ListedNode(member, _join_credentials(told))


def _join_credentials(told: Mapping[str, Any]) -> JoinCredentials:
    return JoinCredentials(told.get("credentials"), told.get("required"))
