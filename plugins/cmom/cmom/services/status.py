"""The status of a cluster of generation 4: asked within a bounded time, whatever is alive, never raising.

The shapes are those that users of the outputs know: ``leader_status``, ``cluster_status`` and ``error``, and
beside them ``condition``, ``reason``, ``observed_at`` and ``last_transition``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from cmom.clients.cluster_api import CHECKS, ClusterApi
from cmom.clients.limits import Timeouts, time_limit
from cmom.clients.manager_status import ServiceState
from cmom.errors import (
    AccessRefused,
    CmomError,
    ManagerUnreachable,
    NoRoute,
    NotClusterMaster,
    RemovedFromCluster,
    UntrustedCertificate,
)
from cmom.models import Host, Member
from cmom.services.condition import Answer, Condition, Stand, judge
from cmom.services.parallel import ask_in_parallel

DEFAULT_WAIT_SECONDS = 6.0
_ONE_MEMBERS_SHARE = 0.9
_SHOWN_AS = {"services": "cloudify services"}
"""What a check is called for people, where that differs from the wire."""


@dataclass(frozen=True)
class ClusterStatus:
    """What was seen of a cluster at one moment.

    Attributes:
        condition: One word.
        reason: Why, for people; empty for a flawless cluster.
        error: Why the status could not be read, or not in full; empty when it could.
        observed_at: When, UTC.
        last_transition: Since when the condition is what it is.
        services: Of the leader.
        rows: One per member.
        leader_ip: The public address of the leader. When nobody leads, that of the last time: the condition
            tells what it is worth.
        replica_ips: Those of the other members, likewise.
        summary: The generation's own words, where they are others than those of the rows.
    """

    condition: Condition
    reason: str
    error: str
    observed_at: datetime
    last_transition: datetime
    services: tuple[ServiceState, ...] = ()
    rows: tuple[Mapping[str, str], ...] = ()
    leader_ip: str = ""
    replica_ips: tuple[str, ...] = ()
    summary: Mapping[str, Any] | None = None

    def status_output(self) -> dict[str, Any]:
        """Return what lies in the runtime property ``status`` and is the output ``cluster_status``."""
        summary = {} if self.summary is None else {"summary": dict(self.summary)}
        return {
            **summary,
            "leader_status": [{"service": one.name, "status": one.status} for one in self.services],
            "cluster_status": [dict(row) for row in self.rows],
            "error": self.error,
            "condition": self.condition.value,
            "reason": self.reason,
            "observed_at": _iso(self.observed_at),
            "last_transition": _iso(self.last_transition),
        }

    def addresses_output(self) -> dict[str, Any]:
        """Return what is the output ``cluster_ips``."""
        return {"Master": self.leader_ip, "Slaves": list(self.replica_ips)}


@dataclass(frozen=True)
class Previous:
    """What the last look left behind, as it lies in the runtime properties; either may be empty."""

    status: Mapping[str, Any] = field(default_factory=dict)
    addresses: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Told:
    """What one manager told."""

    answer: Answer
    members: tuple[Member, ...] | None = None
    services: tuple[ServiceState, ...] = ()
    trouble: str = ""


def request_timeouts(wait_seconds: float = DEFAULT_WAIT_SECONDS) -> Timeouts:
    """Return timeouts for the clients that `collect` uses."""
    return Timeouts(
        connect_seconds=min(3.0, wait_seconds / 2), read_seconds=wait_seconds, total_seconds=wait_seconds
    )


def collect(
    hosts: Sequence[Host],
    connect: Callable[[str], ClusterApi],
    *,
    previous: Previous | None = None,
    wait_seconds: float = DEFAULT_WAIT_SECONDS,
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
) -> ClusterStatus:
    """Ask all members at the same time, and make a status of what they tell.

    Args:
        hosts: Those that are to be members.
        connect: Makes the client of one public address; see `request_timeouts`.
        previous: Of the last time.
        wait_seconds: It returns within this time.
        now: For tests.

    Returns:
        Always something: dead members, refused credentials and odd answers are findings, not errors.
    """

    def question(host: Host) -> Callable[[], Told]:
        return lambda: _ask(host, connect, wait_seconds * _ONE_MEMBERS_SHARE)

    told = ask_in_parallel({host.ip: question(host) for host in hosts}, wait_seconds=wait_seconds)
    found = {ip: _as_told(ip, answer) for ip, answer in told.items()}
    return summarise(hosts, found, previous or Previous(), now())


def _ask(host: Host, connect: Callable[[str], ClusterApi], total_seconds: float) -> Told:
    with connect(host.public_ip) as manager, time_limit(total_seconds):
        try:
            if not manager.get_cluster().initialized:
                return Told(Answer(Stand.ALONE))
        except CmomError as error:
            return Told(answer_for(error))
        answer = Answer(Stand.LEADER)
        try:
            members = manager.list_members()
        except CmomError as error:
            return Told(Answer(Stand.LEADER, str(error)), trouble=str(error))
        try:
            services = manager.status().services
        except CmomError as error:
            return Told(answer, members, trouble=str(error))
        return Told(answer, members, services)


def answer_for(error: CmomError) -> Answer:
    """Say where a manager stands that answered with an error, or not at all."""
    for kind, stand in (
        (NotClusterMaster, Stand.REPLICA),
        (RemovedFromCluster, Stand.REMOVED),
        (AccessRefused, Stand.REFUSES_US),
        (UntrustedCertificate, Stand.UNTRUSTED),
        (NoRoute, Stand.NO_ROUTE),
        (ManagerUnreachable, Stand.SILENT),
    ):
        if isinstance(error, kind):
            return Answer(stand, "" if stand is Stand.REPLICA else str(error))
    return Answer(Stand.ODD, str(error))


def _as_told(ip: str, told: Told | Exception) -> Told:
    if isinstance(told, Told):
        return told
    if isinstance(told, CmomError):
        return Told(answer_for(told))
    # A fault of ours must not cost the operator the answer of the others; it is told, not hidden.
    return Told(Answer(Stand.ODD, f"Asking {ip} failed: {type(told).__name__}: {told}"))


def summarise(
    hosts: Sequence[Host], told: Mapping[str, Told], previous: Previous, observed_at: datetime
) -> ClusterStatus:
    """Make a status of what was told. No I/O, no clock."""
    answers = {ip: one.answer for ip, one in told.items()}
    leading = [one for one in told.values() if one.answer.stand is Stand.LEADER]
    lead = next((one for one in leading if one.members is not None), leading[0] if leading else None)
    members = None if lead is None else lead.members
    verdict = judge([host.ip for host in hosts], answers, members)
    if members is None:
        error = verdict.reason
        rows = _rows_without_leader(hosts, answers)
        leader_ip = str(previous.addresses.get("Master") or "")
        replica_ips = tuple(str(ip) for ip in previous.addresses.get("Slaves") or ())
    else:
        error = "" if lead is None else lead.trouble
        rows = tuple(_row(member) for member in members)
        public = {host.ip: host.public_ip for host in hosts}
        addresses = [(public.get(one.host_ip) or one.public_ip or one.host_ip, one) for one in members]
        leader_ip = next((ip for ip, one in addresses if one.leader), "")
        replica_ips = tuple(ip for ip, one in addresses if not one.leader)
    return ClusterStatus(
        condition=verdict.condition,
        reason=verdict.reason,
        error=error,
        observed_at=observed_at,
        last_transition=last_transition(previous.status, verdict.condition, observed_at),
        services=() if lead is None else lead.services,
        rows=rows,
        leader_ip=leader_ip,
        replica_ips=replica_ips,
    )


def _row(member: Member) -> dict[str, str]:
    row = {"name": member.name, "host_ip": member.host_ip, "state": member.state}
    for check in CHECKS:
        row[_SHOWN_AS.get(check, check)] = "OK" if member.checks.get(check) else "FAIL"
    return row


def _rows_without_leader(hosts: Sequence[Host], answers: Mapping[str, Answer]) -> tuple[dict[str, str], ...]:
    """Show what we see ourselves: who is silent, who is a replica; nothing of those that we cannot tell."""
    rows = []
    for host in hosts:
        stand = answers.get(host.ip, Answer(Stand.SILENT)).stand
        if stand in (Stand.SILENT, Stand.REPLICA):
            online = stand is Stand.REPLICA
            rows.append(_row(Member(host.hostname or host.ip, host.ip, host.public_ip, online)))
    return tuple(rows)


def last_transition(previous: Mapping[str, Any], condition: Condition, observed_at: datetime) -> datetime:
    """Return since when the condition is what it is."""
    if previous.get("condition") == condition.value:
        try:
            return datetime.fromisoformat(str(previous.get("last_transition")).replace("Z", "+00:00"))
        except ValueError:
            pass
    return observed_at


def _iso(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
