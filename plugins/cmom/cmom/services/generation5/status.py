"""The status of a cluster of generation 5, in the shapes that users of the outputs know.

There is a row for each manager, broker and database; ``Master`` is the first manager that is well, for all of
them are active. The manager's own summary stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from cmom.clients.active_api import NodeState
from cmom.errors import CmomError
from cmom.models import Host
from cmom.services.condition import Answer, Stand
from cmom.services.generation5.condition import judge
from cmom.services.generation5.survey import KIND_OF, Word, merged_nodes
from cmom.services.status import ClusterStatus, Previous, answer_for, last_transition

_SERVICE_OF = {kind: service.value for service, kind in KIND_OF.items()}


def summarise(
    hosts: Sequence[Host],
    told: Mapping[str, Word | Exception],
    previous: Previous,
    observed_at: datetime,
) -> ClusterStatus:
    """Make a status of what the managers told. No I/O, no clock.

    Args:
        hosts: Those that are to be members.
        told: By private address; nothing of those that were too slow.
        previous: Of the last time.
        observed_at: Now.
    """
    spoken = [word for host in hosts if isinstance(word := told.get(host.ip), Word)]
    answers = {
        host.ip: _answer(host, told.get(host.ip)) for host in hosts if not isinstance(told.get(host.ip), Word)
    }
    verdict = judge([host.ip for host in hosts], answers, spoken)
    settled = [word for word in spoken if word.settled]
    speaker = next(iter(settled or spoken), None)
    nodes = merged_nodes(settled or spoken)
    leader_ip, replica_ips = _addresses(hosts, nodes, previous)
    return ClusterStatus(
        condition=verdict.condition,
        reason=verdict.reason,
        error="" if settled else verdict.reason,
        observed_at=observed_at,
        last_transition=last_transition(previous.status, verdict.condition, observed_at),
        services=() if speaker is None else speaker.services,
        rows=tuple(_row(node) for node in nodes) if speaker else _rows_of_silence(hosts, answers),
        leader_ip=leader_ip,
        replica_ips=replica_ips,
        summary=None if speaker is None else speaker.report.summary(),
    )


def _answer(host: Host, told: Word | Exception | None) -> Answer:
    if told is None or isinstance(told, Word):
        return Answer(Stand.SILENT)
    if isinstance(told, CmomError):
        return answer_for(told)
    # A fault of ours must not cost the operator the answer of the others; it is told, not hidden.
    return Answer(Stand.ODD, f"Asking {host.ip} failed: {type(told).__name__}: {told}")


def _addresses(
    hosts: Sequence[Host], nodes: Sequence[NodeState], previous: Previous
) -> tuple[str, tuple[str, ...]]:
    """Return the first manager that is well, and the others; those of the last time when none is known."""
    well = {node.private_ip for node in nodes if node.kind == "manager" and node.ok}
    first = next((host.public_ip for host in hosts if host.ip in well), "")
    if not first:
        slaves = previous.addresses.get("Slaves") or ()
        return str(previous.addresses.get("Master") or ""), tuple(str(ip) for ip in slaves)
    return first, tuple(host.public_ip for host in hosts if host.public_ip != first)


def _row(node: NodeState) -> dict[str, str]:
    """Map a node to the row that a member has: the checks are ours, ``status`` is the manager's word."""
    heard = bool(node.metrics) and any(healthy for _, healthy in node.metrics)
    active = bool(node.services) and all(word == "Active" for _, word in node.services)
    row = {
        "name": node.name,
        "host_ip": node.private_ip,
        "service": _SERVICE_OF[node.kind],
        "state": "active" if node.ok else "offline" if not heard else "failing",
        "status": node.status,
        "heartbeat": "OK" if heard else "FAIL",
        "cloudify services": "OK" if active else "FAIL",
    }
    if node.failures:
        row["failures"] = "; ".join(failure.rstrip(".") for failure in node.failures)
    return row


def _rows_of_silence(hosts: Sequence[Host], answers: Mapping[str, Answer]) -> tuple[dict[str, str], ...]:
    """Show what we see ourselves: who is silent; nothing of those that we cannot tell."""
    return tuple(
        {
            "name": host.hostname or host.ip,
            "host_ip": host.ip,
            "service": "manager",
            "state": "offline",
            "status": "",
            "heartbeat": "FAIL",
            "cloudify services": "FAIL",
        }
        for host in hosts
        if answers[host.ip].stand is Stand.SILENT
    )
