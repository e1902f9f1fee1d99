"""In what condition a cluster is: a decision made of what its members answered. No I/O, no clock."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cmom.models import Member


class Condition(str, enum.Enum):
    """One word for a cluster.

    READY: it answers (generation 4: its leader does), and all expected members are well by its own word.
    DEGRADED: it answers, but something is missing.
    UNKNOWN: we cannot tell, because of credentials, certificates, our own network, or an election.
    DOWN: no member answers; or, in generation 5, the databases or brokers have lost their majority.
    """

    READY = "ready"
    DEGRADED = "degraded"
    UNKNOWN = "unknown"
    DOWN = "down"


class Stand(enum.Enum):
    """What a manager's answer says about it."""

    LEADER = "leads a cluster"
    REPLICA = "is a replica"
    REMOVED = "was removed from its cluster"
    ALONE = "is in no cluster"
    REFUSES_US = "refuses our credentials"
    UNTRUSTED = "shows a certificate that is not trusted"
    ODD = "answers in an unexpected way"
    NO_ROUTE = "cannot be reached from here"
    SILENT = "does not answer"


@dataclass(frozen=True)
class Answer:
    """What asking one manager gave.

    Attributes:
        detail: The error's message; empty when it led or was a replica.
    """

    stand: Stand
    detail: str = ""


@dataclass(frozen=True)
class Verdict:
    """A condition and why, for people; the reason of a flawless cluster is empty."""

    condition: Condition
    reason: str = ""


def judge(
    expected: Sequence[str], answers: Mapping[str, Answer], members: Sequence[Member] | None
) -> Verdict:
    """Decide in what condition a cluster is.

    The leader's word on its members counts, not whether they answer us: a replica that only we cannot reach
    works. It is mentioned in the reason all the same.

    Args:
        expected: The private addresses of those that are to be members.
        answers: What each of them answered, by the same addresses; one that is missing was silent.
        members: The leader's list; None when no leader answered, or its list could not be read.
    """
    if not expected:
        return Verdict(Condition.UNKNOWN, "No manager is installed.")
    heard = {ip: answers.get(ip, Answer(Stand.SILENT)) for ip in expected}
    leaders = [ip for ip, answer in heard.items() if answer.stand is Stand.LEADER]
    if leaders:
        return _judge_led(expected, heard, leaders, members)
    if all(answer.stand is Stand.SILENT for answer in heard.values()):
        return Verdict(Condition.DOWN, sentences("No member answers.", heard))
    stands = {answer.stand for answer in heard.values()}
    if {Stand.REPLICA, Stand.REFUSES_US} <= stands:
        # A replica says what it is without looking at credentials.
        head = "The member that seems to lead refuses our credentials."
    elif Stand.REPLICA in stands:
        head = "Replicas answer, but none of the members leads: an election, or a leader out of our reach."
    elif stands <= {Stand.NO_ROUTE, Stand.SILENT}:
        head = "The network of this machine is in doubt."
    else:
        head = "No member tells how the cluster is."
    return Verdict(Condition.UNKNOWN, sentences(head, heard))


def _judge_led(
    expected: Sequence[str],
    heard: Mapping[str, Answer],
    leaders: Sequence[str],
    members: Sequence[Member] | None,
) -> Verdict:
    if members is None:
        head = f"The leader {leaders[0]} answers, but not when it is asked for its members."
        return Verdict(Condition.UNKNOWN, sentences(head, heard))
    problems = []
    if len(leaders) > 1:
        problems.append(f"{' and '.join(leaders)} each say that they lead.")
    listed = {member.host_ip: member for member in members}
    problems += [text for ip in expected if (text := _problem_of(ip, listed.get(ip)))]
    condition = Condition.DEGRADED if problems else Condition.READY
    # What only we see is said too, but a cluster is not the worse for it.
    seen = [
        f"{ip} {answer.stand.value}, though the leader lists it as online."
        for ip, answer in heard.items()
        if answer.stand not in (Stand.LEADER, Stand.REPLICA) and ip in listed and listed[ip].online
    ]
    return Verdict(condition, " ".join(problems + seen))


def _problem_of(ip: str, member: Member | None) -> str:
    if member is None:
        return f"{ip} is not a member."
    if not member.online:
        return f"{ip} is offline."
    if not member.checks:
        return f"{ip} is online, but its checks are unknown."
    failing = [name for name, passes in member.checks.items() if not passes]
    return f"{ip} fails its checks: {', '.join(failing)}." if failing else ""


def sentences(head: str, heard: Mapping[str, Answer]) -> str:
    """Say something of a cluster, and then of each of its members where it stands."""
    return " ".join([head, *_one_by_one(heard.items())])


def _one_by_one(heard: Iterable[tuple[str, Answer]]) -> list[str]:
    return [answer.detail or f"{ip} {answer.stand.value}." for ip, answer in heard]
