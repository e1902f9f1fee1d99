"""In what condition a cluster is: the whole table."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from cmom.models import Member
from cmom.services.condition import Answer, Condition, Stand, judge

IPS = ("10.0.0.21", "10.0.0.22", "10.0.0.23")
PASSING = {"consul": True, "services": True, "database": True, "heartbeat": True}

Stands = tuple[Stand, Stand, Stand]


def member(ip: str, **changes: object) -> Member:
    healthy = Member(name=ip, host_ip=ip, online=True, initialized=True, leader=ip == IPS[0], checks=PASSING)
    return replace(healthy, **changes)  # type: ignore[arg-type]


HEALTHY = tuple(member(ip) for ip in IPS)
LISTS: dict[str, tuple[Member, ...] | None] = {
    "all healthy": HEALTHY,
    "one offline": (*HEALTHY[:2], member(IPS[2], online=False)),
    "one fails a check": (*HEALTHY[:2], member(IPS[2], checks={**PASSING, "database": False})),
    "one without checks": (*HEALTHY[:2], member(IPS[2], checks={})),
    "one not listed": HEALTHY[:2],
    "a stranger offline": (*HEALTHY, member("10.0.0.99", online=False)),
    "unreadable": None,
}
FLAWLESS = {"all healthy", "a stranger offline"}


def conditions(stands: Stands, listed: str) -> Condition:
    answers = {ip: Answer(stand) for ip, stand in zip(IPS, stands, strict=True)}
    return judge(IPS, answers, LISTS[listed]).condition


EVERYTHING = [
    (stands, listed)
    for stands in itertools.product(Stand, repeat=3)
    for listed in (LISTS if Stand.LEADER in stands else ["unreadable"])
]


def test_ready_is_one_leader_that_lists_all_expected_members_as_healthy_and_nothing_else() -> None:
    for stands, listed in EVERYTHING:
        ready = stands.count(Stand.LEADER) == 1 and listed in FLAWLESS
        assert (conditions(stands, listed) is Condition.READY) == ready, (stands, listed)


def test_degraded_is_a_leader_whose_list_can_be_read_and_is_not_flawless() -> None:
    for stands, listed in EVERYTHING:
        leaders = stands.count(Stand.LEADER)
        degraded = listed != "unreadable" and (leaders > 1 or (leaders == 1 and listed not in FLAWLESS))
        assert (conditions(stands, listed) is Condition.DEGRADED) == degraded, (stands, listed)


def test_down_is_that_nobody_answers_and_nothing_else() -> None:
    for stands, listed in EVERYTHING:
        assert (conditions(stands, listed) is Condition.DOWN) == (set(stands) == {Stand.SILENT}), stands


def test_everything_else_is_unknown() -> None:
    for stands, listed in EVERYTHING:
        led = Stand.LEADER in stands and listed != "unreadable"
        unknown = not led and set(stands) != {Stand.SILENT}
        assert (conditions(stands, listed) is Condition.UNKNOWN) == unknown, (stands, listed)


@pytest.mark.parametrize("stand", [Stand.REFUSES_US, Stand.UNTRUSTED, Stand.NO_ROUTE, Stand.ODD])
def test_trouble_of_ours_never_makes_a_cluster_look_dead(stand: Stand) -> None:
    for others in itertools.product(Stand, repeat=2):
        assert conditions((stand, *others), "unreadable") is not Condition.DOWN


def test_whatever_is_not_ready_has_a_reason() -> None:
    for stands, listed in EVERYTHING:
        answers = {ip: Answer(stand) for ip, stand in zip(IPS, stands, strict=True)}
        verdict = judge(IPS, answers, LISTS[listed])
        assert verdict.reason or verdict.condition is Condition.READY, (stands, listed)


def test_who_did_not_answer_in_time_is_silent() -> None:
    assert judge(IPS, {}, None).condition is Condition.DOWN


def test_without_managers_nobody_can_tell() -> None:
    assert judge((), {}, None).condition is Condition.UNKNOWN


def test_who_looks_at_credentials_beside_replicas_is_the_leader() -> None:
    answers = {
        IPS[0]: Answer(Stand.REFUSES_US, "10.0.0.1 refused."),
        IPS[1]: Answer(Stand.REPLICA),
        IPS[2]: Answer(Stand.SILENT),
    }

    verdict = judge(IPS[:3], answers, None)

    assert verdict.condition is Condition.UNKNOWN
    assert verdict.reason.startswith(
        "The member that seems to lead refuses our credentials. 10.0.0.1 refused."
    )


def test_a_leader_of_one_is_ready() -> None:
    verdict = judge(IPS[:1], {IPS[0]: Answer(Stand.LEADER)}, HEALTHY[:1])
    assert (verdict.condition, verdict.reason) == (Condition.READY, "")


def test_a_replica_that_only_we_cannot_reach_is_mentioned_and_the_cluster_is_ready() -> None:
    answers = {IPS[0]: Answer(Stand.LEADER), IPS[1]: Answer(Stand.REPLICA), IPS[2]: Answer(Stand.SILENT)}
    verdict = judge(IPS, answers, HEALTHY)
    assert verdict.condition is Condition.READY
    assert verdict.reason == f"{IPS[2]} does not answer, though the leader lists it as online."


def test_every_problem_is_named_with_its_member() -> None:
    members = (
        member(IPS[0], checks={**PASSING, "consul": False, "database": False}),
        member(IPS[1], online=False),
    )
    reason = judge(IPS, {IPS[0]: Answer(Stand.LEADER)}, members).reason
    assert f"{IPS[0]} fails its checks: consul, database." in reason
    assert f"{IPS[1]} is offline." in reason
    assert f"{IPS[2]} is not a member." in reason


def test_a_dead_cluster_tells_what_each_member_said() -> None:
    answers = {IPS[0]: Answer(Stand.SILENT, "Manager 10.0.0.21 gave no answer (connection refused).")}
    reason = judge(IPS[:2], answers, None).reason
    assert "gave no answer (connection refused)" in reason
    assert "10.0.0.22 does not answer." in reason
