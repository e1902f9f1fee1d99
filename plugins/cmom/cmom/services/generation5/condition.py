"""In what condition a cluster of generation 5 is: decided by quorum, not by one word. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cmom.clients.active_api import NodeState
from cmom.services.condition import Answer, Condition, Stand, Verdict, sentences
from cmom.services.generation5.survey import KIND_OF, Word, merged_nodes

# How services of one kind are called in a sentence.
_PLURAL = {"db": "databases", "broker": "brokers", "manager": "managers"}
_SINGULAR = {"db": "database", "broker": "broker", "manager": "manager"}


def judge(expected: Sequence[str], answers: Mapping[str, Answer], words: Sequence[Word]) -> Verdict:
    """Decide in what condition a cluster is.

    Args:
        expected: The private addresses of those that are to be members.
        answers: Where each of them stands that does not tell how the cluster is; by the same addresses.
        words: What the others say.
    """
    if not expected:
        return Verdict(Condition.UNKNOWN, "No manager is installed.")
    if not words:
        return _judge_silence(expected, answers)
    settled = [word for word in words if word.settled]
    if not settled:
        started = ", ".join(word.ip for word in words)
        return Verdict(
            Condition.DEGRADED,
            f"{started} answers and does not see the cluster yet, as for 10 to 15 s after a start.",
        )
    nodes = merged_nodes(settled)
    lost = [text for kind in KIND_OF.values() if (text := _lost(kind, nodes))]
    problems = [
        *lost,
        *_missing(expected, settled, nodes),
        *(_problem(node) for node in nodes if not node.ok),
    ]
    well = {node.private_ip for node in nodes if node.ok and node.kind == "manager"}
    seen = [
        f"{ip} {answer.stand.value}, though the other members see it well."
        for ip, answer in answers.items()
        if ip in well
    ]
    if lost:
        return Verdict(Condition.DOWN, " ".join(problems + seen))
    return Verdict(Condition.DEGRADED if problems else Condition.READY, " ".join(problems + seen))


def _judge_silence(expected: Sequence[str], answers: Mapping[str, Answer]) -> Verdict:
    heard = {ip: answers.get(ip, Answer(Stand.SILENT)) for ip in expected}
    stands = {answer.stand for answer in heard.values()}
    if stands == {Stand.SILENT}:
        return Verdict(Condition.DOWN, sentences("No member answers.", heard))
    if stands <= {Stand.NO_ROUTE, Stand.SILENT}:
        return Verdict(Condition.UNKNOWN, sentences("The network of this machine is in doubt.", heard))
    return Verdict(Condition.UNKNOWN, sentences("No member tells how the cluster is.", heard))


def _lost(kind: str, nodes: Sequence[NodeState]) -> str:
    """Say that services of a kind have lost what they need to go on; empty when they have not."""
    rows = [node for node in nodes if node.kind == kind]
    well = sum(node.ok for node in rows)
    needed = 1 if kind == "manager" else len(rows) // 2 + 1
    if not rows or well >= needed:
        return ""
    if kind == "manager":
        return "No manager is well."
    return f"The {_PLURAL[kind]} have no majority: {well} of {len(rows)} are well, and {needed} are needed."


def _missing(expected: Sequence[str], words: Sequence[Word], nodes: Sequence[NodeState]) -> list[str]:
    """Say who is no member, and whose broker or database the managers were never told of."""
    listed = {manager.private_ip for word in words for manager in word.managers}
    known = {(node.kind, node.private_ip) for node in nodes}
    # Of a kind that lies elsewhere, no member has one.
    within = [kind for kind in KIND_OF.values() if any((kind, ip) in known for ip in expected)]
    return [f"{ip} is not a member." for ip in expected if ip not in listed] + [
        f"The managers do not know the {_SINGULAR[kind]} of {ip}."
        for ip in expected
        if ip in listed
        for kind in within
        if (kind, ip) not in known
    ]


def _problem(node: NodeState) -> str:
    why = f" ({'; '.join(failure.rstrip('.') for failure in node.failures)})" if node.failures else ""
    return f"The {_SINGULAR[node.kind]} of {node.private_ip or node.name} fails{why}."
