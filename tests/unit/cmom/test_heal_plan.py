"""May this member be healed now, and why: every situation by name, and what holds in all of them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmom.models import Member
from cmom.services.healing.plan import (
    MAX_TRIES,
    NO_LEADER_MESSAGE,
    WAITED_FOR,
    Decision,
    HealStep,
    Phase,
    Reason,
    Renewal,
    Situation,
    Step,
    may_heal,
    next_step,
    parse_steps,
    phase_to_repeat_from,
)

TARGET = "10.0.0.3"
GOOD = {"consul": True, "services": True, "database": True, "heartbeat": True}
BAD = dict.fromkeys(GOOD, False)


def member(number: int, *, online: bool = True, leader: bool = False, checks: Any = None) -> Member:
    """A member of the leader's list."""
    ip = f"10.0.0.{number}"
    return Member(f"m{number}", ip, ip, online, leader, True, dict(checks or (GOOD if online else BAD)))


DEAD = member(3, online=False)
TWO_LIVE = (member(1, leader=True), member(2))
THREE = (*TWO_LIVE, DEAD)


def situation(**changes: Any) -> Situation:
    """A replica of three that is dead, and nothing against its heal; then the changes."""
    usual = Situation(
        target_ip=TARGET,
        target_name="m3 (10.0.0.3)",
        expected=("10.0.0.1", "10.0.0.2", TARGET),
        members=THREE,
        renewal=Renewal.REBUILD_COMMAND,
    )
    return replace(usual, **changes)


def reasons(found: Situation) -> list[Reason]:
    return [finding.reason for finding in may_heal(found).findings]


def test_a_dead_replica_of_a_working_cluster_is_healed() -> None:
    verdict = may_heal(situation())

    assert verdict.decision is Decision.GO
    assert verdict.findings == ()
    assert verdict.steps == (HealStep.REBUILD,)


@pytest.mark.parametrize(
    ("changes", "decision", "expected"),
    [
        pytest.param({"members": None}, Decision.WAIT, [Reason.NO_LEADER], id="nobody leads"),
        pytest.param(
            {"members": None, "refused_by_cluster": "401"},
            Decision.REFUSE,
            [Reason.REFUSED_BY_CLUSTER],
            id="the living refuse our password",
        ),
        pytest.param(
            {"other_execution": "backup (1)"},
            Decision.WAIT,
            [Reason.ANOTHER_EXECUTION],
            id="a backup runs",
        ),
        pytest.param(
            {"other_heal": "heal (1)"}, Decision.REFUSE, [Reason.ANOTHER_HEAL], id="another heal runs"
        ),
        pytest.param({"paused": "until then"}, Decision.REFUSE, [Reason.PAUSED], id="paused"),
        pytest.param({"ssh_answers": True}, Decision.REFUSE, [Reason.TARGET_ALIVE], id="SSH greets"),
        pytest.param({"rest_answers": True}, Decision.REFUSE, [Reason.TARGET_ALIVE], id="REST answers"),
        pytest.param(
            {"members": (*TWO_LIVE, member(3))},
            Decision.REFUSE,
            [Reason.SEEN_BY_PEERS],
            id="only we cannot reach it",
        ),
        pytest.param(
            {"members": (member(1), member(2), replace(DEAD, leader=True))},
            Decision.WAIT,
            [Reason.TARGET_LEADS],
            id="nobody was elected in its place yet",
        ),
        pytest.param(
            {"members": (member(1, leader=True), member(2, online=False), DEAD)},
            Decision.REFUSE,
            [Reason.NO_MAJORITY],
            id="two of three are dead",
        ),
        pytest.param(
            {"renewal": Renewal.NONE}, Decision.REFUSE, [Reason.NO_MACHINE], id="nothing to replace it with"
        ),
        pytest.param(
            {"expected": (TARGET,), "members": None},
            Decision.REFUSE,
            [Reason.SINGLE_MEMBER, Reason.NO_LEADER],
            id="the only member",
        ),
        pytest.param({"wait_seconds": 7.0}, Decision.REFUSE, [Reason.TOO_SOON], id="failed a moment ago"),
        pytest.param(
            {"tries": MAX_TRIES}, Decision.REFUSE, [Reason.TOO_MANY_TRIES], id="failed again and again"
        ),
        pytest.param(
            {"steps": (HealStep.RESTART_SERVICES,)},
            Decision.REFUSE,
            [Reason.NO_STEP],
            id="no step for a silent machine",
        ),
        pytest.param(
            {"paused": "until then", "members": None},
            Decision.REFUSE,
            [Reason.PAUSED, Reason.NO_LEADER],
            id="what time does not mend outweighs what it may",
        ),
    ],
)
def test_what_speaks_against_a_heal(
    changes: dict[str, Any], decision: Decision, expected: list[Reason]
) -> None:
    found = situation(**changes)

    assert may_heal(found).decision is decision
    assert reasons(found) == expected
    assert may_heal(found).steps == ()


def test_a_cluster_without_a_leader_is_told_in_the_words_that_people_know() -> None:
    verdict = may_heal(situation(members=None, silence="10.0.0.1 is silent."))

    assert verdict.text == f"{NO_LEADER_MESSAGE} 10.0.0.1 is silent."


@pytest.mark.parametrize(
    ("members", "healed"),
    [
        pytest.param((member(1, leader=True), DEAD), True, id="one of two dead"),
        pytest.param(THREE, True, id="one of three dead"),
        pytest.param((*TWO_LIVE, member(4, online=False), DEAD), True, id="two of four dead"),
        pytest.param((*TWO_LIVE, member(4), member(5, online=False), DEAD), True, id="two of five dead"),
        pytest.param(
            (*TWO_LIVE, member(4, online=False), member(5, online=False), DEAD),
            False,
            id="three of five dead",
        ),
        pytest.param((member(1, leader=True), member(2, online=False), DEAD), False, id="two of three dead"),
        pytest.param((member(1, leader=True), member(2, online=False)), True, id="removed by hand before"),
    ],
)
def test_what_is_left_after_the_removal_must_have_a_living_majority(
    members: tuple[Member, ...], healed: bool
) -> None:
    expected = tuple({one.host_ip for one in members} | {TARGET})
    verdict = may_heal(situation(members=members, expected=expected))

    assert (verdict.decision is Decision.GO) is healed, verdict


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.FOUND])
def test_once_it_is_removed_a_heal_goes_on_also_when_the_machine_answers(phase: Phase) -> None:
    verdict = may_heal(
        situation(members=TWO_LIVE, phase=phase, ssh_answers=True, rest_answers=True, tries=MAX_TRIES)
    )

    assert verdict.decision is Decision.GO
    assert verdict.steps == (HealStep.REBUILD,)


def test_a_member_that_could_not_be_installed_again_is_not_removed() -> None:
    found = situation(unfit="ca_key: there is no file ca_key.pem")

    assert reasons(found) == [Reason.CANNOT_INSTALL]
    assert may_heal(found).decision is Decision.REFUSE
    assert "ca_key: there is no file" in may_heal(found).text
    # One that was removed before waits for the files, too; one that is installed already needs them no more.
    assert reasons(replace(found, phase=Phase.REMOVED, members=TWO_LIVE)) == [Reason.CANNOT_INSTALL]
    assert reasons(replace(found, phase=Phase.REINSTALLED, members=TWO_LIVE)) == []


def test_what_installing_takes_is_nothing_to_ask_for_where_nothing_is_installed() -> None:
    found = situation(unfit="gone", ssh_answers=True, steps=(HealStep.RESTART_SERVICES, HealStep.REBUILD))

    assert may_heal(found).steps == (HealStep.RESTART_SERVICES,)


def test_a_heal_that_was_cut_off_before_the_removal_decides_anew() -> None:
    assert reasons(situation(phase=Phase.FOUND, ssh_answers=True)) == [Reason.TARGET_ALIVE]


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.FOUND])
def test_what_is_whole_again_is_only_closed(phase: Phase) -> None:
    found = situation(members=(*TWO_LIVE, member(3)), phase=phase, paused="until then", rest_answers=True)

    assert may_heal(found).decision is Decision.DONE


@pytest.mark.parametrize(
    ("phase", "decision"),
    [
        (Phase.REMOVED, Decision.REFUSE),
        (Phase.BACKED_UP, Decision.REFUSE),
        (Phase.UNINSTALLED, Decision.REFUSE),
        (Phase.REINSTALLED, Decision.GO),
        (Phase.REJOINED, Decision.GO),
    ],
)
def test_a_member_that_somebody_else_is_bringing_back_is_left_alone(phase: Phase, decision: Decision) -> None:
    half = replace(member(3), checks={**GOOD, "database": False})

    assert may_heal(situation(members=(*TWO_LIVE, half), phase=phase)).decision is decision


def test_a_failed_heal_waits_for_its_turn_and_an_interrupted_one_does_not() -> None:
    interrupted = situation(members=TWO_LIVE, phase=Phase.REMOVED, wait_seconds=5.0)

    assert may_heal(interrupted).decision is Decision.GO
    assert reasons(replace(interrupted, failed=True)) == [Reason.TOO_SOON]


@pytest.mark.parametrize(
    ("signs", "can_reboot", "possible"),
    [
        ((False, False), False, (HealStep.WAIT, HealStep.REBUILD)),
        ((False, False), True, (HealStep.WAIT, HealStep.REBOOT, HealStep.REBUILD)),
        ((True, False), False, (HealStep.WAIT, HealStep.RESTART_SERVICES, HealStep.REBOOT)),
        ((True, True), True, ()),
        ((False, True), True, ()),
    ],
)
def test_which_steps_are_possible_depends_on_the_signs_of_life(
    signs: tuple[bool, bool], can_reboot: bool, possible: tuple[HealStep, ...]
) -> None:
    verdict = may_heal(
        situation(ssh_answers=signs[0], rest_answers=signs[1], can_reboot=can_reboot, steps=tuple(HealStep))
    )

    assert verdict.steps == possible


def test_what_is_gentler_than_a_rebuild_needs_no_other_machine() -> None:
    assert may_heal(situation(steps=(HealStep.WAIT,), renewal=Renewal.NONE)).decision is Decision.GO


def test_the_words_of_heal_steps_are_read_in_order_and_once() -> None:
    assert parse_steps(["reboot", "rebuild", "reboot"]) == (HealStep.REBOOT, HealStep.REBUILD)
    with pytest.raises(ValueError, match="pray"):
        parse_steps(["rebuild", "pray"])


def test_each_phase_leads_to_the_next_step_and_nothing_is_left_out() -> None:
    assert [next_step(phase) for phase in Phase] == list(Step)


def test_after_a_failure_the_machine_is_replaced_once_more() -> None:
    assert {phase: phase_to_repeat_from(phase) for phase in Phase} == {
        Phase.FOUND: Phase.FOUND,
        Phase.REMOVED: Phase.REMOVED,
        Phase.BACKED_UP: Phase.BACKED_UP,
        Phase.UNINSTALLED: Phase.BACKED_UP,
        Phase.REINSTALLED: Phase.BACKED_UP,
        Phase.REJOINED: Phase.BACKED_UP,
    }


def test_a_join_that_goes_on_is_the_only_thing_that_is_not_made_anew() -> None:
    changed = {
        phase
        for phase in Phase
        if phase_to_repeat_from(phase, join_goes_on=True) is not phase_to_repeat_from(phase)
    }

    assert changed == {Phase.REINSTALLED}
    assert phase_to_repeat_from(Phase.REINSTALLED, join_goes_on=True) is Phase.REINSTALLED


# Every combination of what a member may be for the leader and for us, and of how far a heal has come.
LISTED = {
    "dead": DEAD,
    "seen": member(3),
    "half": replace(member(3), checks={**GOOD, "database": False}),
    "leads": replace(DEAD, leader=True),
    "gone": None,
}
OTHERS = {
    "both": TWO_LIVE,
    "one": (member(1, leader=True), member(2, online=False)),
    "none": None,
}


@pytest.mark.parametrize("phase", [None, *Phase])
@pytest.mark.parametrize("listed", LISTED)
@pytest.mark.parametrize("others", OTHERS)
def test_nothing_that_could_be_alive_is_ever_rebuilt(phase: Phase | None, listed: str, others: str) -> None:
    known = OTHERS[others]
    target = LISTED[listed]
    members = None if known is None else (*known, *(() if target is None else (target,)))
    for ssh, rest, failed, steps in itertools.product(
        (False, True), (False, True), (False, True), ((HealStep.REBUILD,), tuple(HealStep))
    ):
        found = situation(
            members=members, phase=phase, ssh_answers=ssh, rest_answers=rest, failed=failed, steps=steps
        )
        verdict = may_heal(found)
        if verdict.decision is not Decision.GO or HealStep.REBUILD not in verdict.steps:
            continue
        # Somebody leads and says so.
        assert members is not None
        if phase in (None, Phase.FOUND):
            # Neither we nor the other members see it, and those that are left are enough.
            assert not ssh
            assert not rest
            assert listed in ("dead", "gone")
            assert others == "both" or listed == "gone"
        elif phase not in (Phase.REINSTALLED, Phase.REJOINED):
            assert listed not in ("seen", "half")


def situations() -> st.SearchStrategy[Situation]:
    members = st.lists(
        st.builds(
            member,
            st.integers(1, 6),
            online=st.booleans(),
            leader=st.booleans(),
            checks=st.sampled_from([GOOD, BAD, {}]),
        ),
        unique_by=lambda one: one.host_ip,
        max_size=6,
    ).map(tuple)
    words = st.sampled_from(["", "something"])
    return st.builds(
        Situation,
        target_ip=st.just(TARGET),
        target_name=st.just("m3"),
        expected=st.sampled_from([(TARGET,), ("10.0.0.1", TARGET), ("10.0.0.1", "10.0.0.2", TARGET)]),
        members=st.none() | members,
        silence=words,
        refused_by_cluster=words,
        ssh_answers=st.booleans(),
        rest_answers=st.booleans(),
        phase=st.none() | st.sampled_from(Phase),
        failed=st.booleans(),
        other_heal=words,
        other_execution=words,
        paused=words,
        renewal=st.sampled_from(Renewal),
        unfit=words,
        steps=st.lists(st.sampled_from(HealStep), unique=True).map(tuple),
        can_reboot=st.booleans(),
        tries=st.integers(0, MAX_TRIES + 1),
        wait_seconds=st.sampled_from([0.0, 5.0]),
    )


@given(situations())
def test_whatever_the_situation_the_verdict_agrees_with_itself(found: Situation) -> None:
    verdict = may_heal(found)

    if verdict.decision is Decision.DONE:
        assert found.removed
        assert found.target is not None
        assert found.target.healthy
    elif verdict.decision is Decision.GO:
        assert verdict.findings == ()
        assert verdict.steps
        assert not found.paused
        assert not found.other_heal
        assert not found.other_execution
        assert found.members is not None
        assert set(verdict.steps) <= {*found.steps, HealStep.REBUILD}
    else:
        waits = {finding.reason for finding in verdict.findings} <= WAITED_FOR
        assert (verdict.decision is Decision.WAIT) is waits
        assert verdict.findings
        assert all(finding.text.strip() for finding in verdict.findings)


@given(situations())
def test_more_trouble_never_turns_a_refusal_into_a_heal(found: Situation) -> None:
    if may_heal(found).decision in (Decision.GO, Decision.DONE):
        return
    for change in ({"paused": "x"}, {"other_heal": "x"}, {"other_execution": "x"}, {"members": None}):
        worse = may_heal(replace(found, **change))  # type: ignore[arg-type]
        assert worse.decision in (Decision.WAIT, Decision.REFUSE)


def five(*online: int) -> tuple[Member, ...]:
    """A cluster of five, of which the target and perhaps others are dead."""
    return tuple(member(number, online=number in online, leader=number == 1) for number in range(1, 6))


@pytest.mark.parametrize(
    ("online", "expected"),
    [((1, 2, 4, 5), []), ((1, 2, 4), []), ((1, 2), [Reason.NO_MAJORITY])],
    ids=["all the others", "just a majority", "one too few"],
)
def test_more_than_a_majority_is_one_too(online: tuple[int, ...], expected: list[Reason]) -> None:
    addresses = tuple(f"10.0.0.{number}" for number in range(1, 6))
    assert reasons(situation(expected=addresses, members=five(*online))) == expected


def test_whoever_is_missing_for_a_majority_is_named_and_nobody_else() -> None:
    text = may_heal(situation(members=(member(1, leader=True), member(2, online=False), DEAD))).text
    assert "(m2 (10.0.0.2) not)" in text


def test_only_who_is_rebuilt_is_taken_from_the_majority() -> None:
    left = (member(1, leader=True), member(2, online=False), DEAD)
    assert reasons(situation(members=left, steps=(HealStep.WAIT,))) == []
    # Removed already: what the leader still lists of it takes nothing away any more.
    assert reasons(situation(members=left, phase=Phase.REMOVED)) == []


@pytest.mark.parametrize(
    ("tries", "expected"), [(4, []), (5, [Reason.TOO_MANY_TRIES]), (6, [Reason.TOO_MANY_TRIES])]
)
def test_after_five_heals_in_vain_a_person_looks(tries: int, expected: list[Reason]) -> None:
    assert reasons(situation(tries=tries)) == expected


def test_less_than_a_second_is_waited_for_too() -> None:
    assert reasons(situation(wait_seconds=0.5)) == [Reason.TOO_SOON]
    assert reasons(situation(wait_seconds=0.0)) == []


@pytest.mark.parametrize("renewal", list(Renewal))
@pytest.mark.parametrize("phase", [None, Phase.REMOVED])
def test_a_machine_that_can_be_had_in_any_way_is_one(renewal: Renewal, phase: Phase | None) -> None:
    members = THREE if phase is None else TWO_LIVE
    expected = [Reason.NO_MACHINE] if renewal is Renewal.NONE else []
    assert reasons(situation(renewal=renewal, phase=phase, members=members)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ssh_answers": True}, [Reason.TARGET_ALIVE]),
        (
            {"ssh_answers": True, "steps": (HealStep.RESTART_SERVICES,)},
            [Reason.SEEN_BY_PEERS],
        ),
        ({"steps": (HealStep.RESTART_SERVICES,)}, [Reason.NO_STEP, Reason.SEEN_BY_PEERS]),
    ],
    ids=["alive, and nothing to try", "alive, and something to try", "silent, and nothing to try"],
)
def test_what_the_peers_see_counts_where_something_is_tried_or_it_is_silent(
    changes: dict[str, Any], expected: list[Reason]
) -> None:
    assert reasons(situation(members=(*TWO_LIVE, member(3)), **changes)) == expected


def test_what_might_have_been_tried_is_named() -> None:
    text = may_heal(situation(steps=(HealStep.RESTART_SERVICES,))).text
    assert f"(heal_steps: {HealStep.RESTART_SERVICES.value})" in text
    assert "(heal_steps: nothing)" in may_heal(situation(steps=())).text


# Generation 5: its database and its broker are members of clusters of their own.
MANAGER_DOWN = {"database": True, "broker": True, "manager": False}
GENTLE = (HealStep.RESTART_SERVICES, HealStep.REBOOT)


@pytest.mark.parametrize(
    ("checks", "ssh_answers", "expected"),
    [
        (MANAGER_DOWN, True, []),
        (dict.fromkeys(MANAGER_DOWN, True), True, [Reason.SEEN_BY_PEERS]),
        # Its machine lives, and it is only we that cannot reach it.
        (MANAGER_DOWN, False, [Reason.NO_STEP, Reason.SEEN_BY_PEERS]),
    ],
    ids=["only its manager is down", "the others see all of it", "we see nothing of it"],
)
def test_a_manager_that_is_down_is_restarted_beside_a_database_that_lives(
    checks: dict[str, bool], ssh_answers: bool, expected: list[Reason]
) -> None:
    members = (*TWO_LIVE, member(3, checks=checks))
    steps = (HealStep.RESTART_SERVICES,)
    assert reasons(situation(members=members, ssh_answers=ssh_answers, steps=steps)) == expected


@pytest.mark.parametrize(
    ("steps", "target", "expected"),
    [
        (GENTLE, member(3, checks=MANAGER_DOWN), [Reason.NO_MAJORITY]),
        (GENTLE[:1], member(3, checks=MANAGER_DOWN), []),
        (GENTLE, DEAD, []),
    ],
    ids=["its database is lost", "its database goes on", "nothing is lost"],
)
def test_a_reboot_that_would_cost_the_majority_is_refused(
    steps: tuple[HealStep, ...], target: Member, expected: list[Reason]
) -> None:
    members = (member(1), member(2, online=False), target)
    assert reasons(situation(members=members, ssh_answers=True, steps=steps)) == expected
