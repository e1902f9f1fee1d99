"""May this member be healed now, and why; and what comes next. Decisions only: no I/O, no clock.

The worst that healing can do is to destroy what is alive. So nothing is done to a machine unless the
surviving members say by themselves that they are a working cluster and that this member is gone, and we do
not hear it either.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

from cmom.models import Member
from cmom.services.healing.situation import (
    Decision,
    Finding,
    HealStep,
    Phase,
    Reason,
    Renewal,
    Situation,
    Verdict,
)

__all__ = [
    "MAX_TRIES",
    "NO_LEADER_MESSAGE",
    "WAITED_FOR",
    "Decision",
    "Finding",
    "HealStep",
    "Phase",
    "Reason",
    "Renewal",
    "Situation",
    "Step",
    "Verdict",
    "may_heal",
    "next_step",
    "parse_steps",
    "phase_to_repeat_from",
]

NO_LEADER_MESSAGE = (
    "Could not find a profile with a cluster configured. "
    "This might mean that the whole network is unreachable."
)
MAX_TRIES = 5


class Step(str, enum.Enum):
    """What a heal does next."""

    REMOVE = "remove"
    BACK_UP = "back_up"
    UNINSTALL = "uninstall"
    REINSTALL = "reinstall"
    REJOIN = "rejoin"
    FINISH = "finish"


# Time may help with these; with all others a person may have to act, or it is tried again from the beginning.
WAITED_FOR = frozenset({Reason.NO_LEADER, Reason.ANOTHER_EXECUTION, Reason.TARGET_LEADS})

_ORDER = tuple(Phase)
_NEXT = {
    Phase.FOUND: Step.REMOVE,
    Phase.REMOVED: Step.BACK_UP,
    Phase.BACKED_UP: Step.UNINSTALL,
    Phase.UNINSTALLED: Step.REINSTALL,
    Phase.REINSTALLED: Step.REJOIN,
    Phase.REJOINED: Step.FINISH,
}
# From then on it is online because this heal has brought it back.
_OURS_AGAIN = (Phase.REINSTALLED, Phase.REJOINED)


def may_heal(situation: Situation) -> Verdict:
    """Decide whether the member may be healed now.

    All that speaks against it is told at once. A finding that time does not mend outweighs those that it may.
    """
    if situation.removed and _is_whole(situation.target):
        return Verdict(Decision.DONE)
    steps = _possible_steps(situation)
    findings = (*_general(situation), *_of_cluster(situation, steps), *_of_target(situation, steps))
    if not findings:
        return Verdict(Decision.GO, steps=steps)
    waits = all(finding.reason in WAITED_FOR for finding in findings)
    return Verdict(Decision.WAIT if waits else Decision.REFUSE, findings)


def next_step(phase: Phase) -> Step:
    """Return what comes after a phase."""
    return _NEXT[phase]


def phase_to_repeat_from(phase: Phase, *, join_goes_on: bool = False) -> Phase:
    """Return where the next try begins after a failure.

    A machine on which an installation or a join failed is replaced once more: a manager that failed to join
    must be installed anew, and one that is half installed is better made anew than mended.

    Args:
        phase: What was done last.
        join_goes_on: Whether the new machine lives, and what has joined on it is a member already that may be
            needed for a majority: that is not made anew, the join goes on.
    """
    if join_goes_on and phase is Phase.REINSTALLED:
        return phase
    return Phase.BACKED_UP if _ORDER.index(phase) > _ORDER.index(Phase.BACKED_UP) else phase


def parse_steps(words: Iterable[object]) -> tuple[HealStep, ...]:
    """Read the input ``heal_steps``.

    Raises:
        ValueError: With the words that are none.
    """
    given = list(words)
    known = {step.value: step for step in HealStep}
    unknown = [str(word) for word in given if word not in known]
    if unknown:
        raise ValueError(", ".join(unknown))
    return tuple(dict.fromkeys(known[str(word)] for word in given))


def _is_whole(member: Member | None) -> bool:
    return member is not None and member.healthy


def _possible_steps(situation: Situation) -> tuple[HealStep, ...]:
    """Leave out what cannot be done, or may not be done to a machine that answers."""
    if situation.removed:
        return (HealStep.REBUILD,)
    possible = {
        HealStep.WAIT: not situation.rest_answers,
        HealStep.RESTART_SERVICES: situation.ssh_answers and not situation.rest_answers,
        HealStep.REBOOT: not situation.rest_answers and (situation.ssh_answers or situation.can_reboot),
        HealStep.REBUILD: not situation.alive,
    }
    return tuple(step for step in situation.steps if possible[step])


def _general(situation: Situation) -> Iterable[Finding]:
    if situation.paused:
        yield Finding(Reason.PAUSED, f"Healing of this deployment is paused {situation.paused}.")
    if situation.other_heal:
        yield Finding(Reason.ANOTHER_HEAL, f"Another heal of this deployment runs: {situation.other_heal}.")
    if situation.other_execution:
        yield Finding(
            Reason.ANOTHER_EXECUTION,
            f"Another execution of this deployment runs, {situation.other_execution}; a heal waits for its "
            "end.",
        )
    if len(situation.expected) < 2:
        yield Finding(
            Reason.SINGLE_MEMBER,
            f"{situation.target_name} is the only manager of this deployment, and what it holds is nowhere "
            "else: it "
            "cannot be healed. Bring the machine back, or install anew and restore a snapshot.",
        )
    if situation.interrupted:
        return
    if situation.tries >= MAX_TRIES:
        yield Finding(
            Reason.TOO_MANY_TRIES,
            f"{situation.tries} heals of {situation.target_name} in a row were in vain. Find out why; then "
            "the "
            "workflow resume_healing lets it be tried again.",
        )
    elif situation.wait_seconds > 0:
        yield Finding(
            Reason.TOO_SOON,
            f"The last heal of {situation.target_name} failed; the next one may begin in "
            f"{situation.wait_seconds:.0f} s (resume_healing lets it begin at once).",
        )


def _of_cluster(situation: Situation, steps: tuple[HealStep, ...]) -> Iterable[Finding]:
    if situation.refused_by_cluster:
        yield Finding(
            Reason.REFUSED_BY_CLUSTER,
            "The living members refuse to tell how the cluster is, so nobody knows whether "
            f"{situation.target_name} is dead: {situation.refused_by_cluster}",
        )
        return
    if situation.members is None:
        yield Finding(Reason.NO_LEADER, f"{NO_LEADER_MESSAGE} {situation.silence}".strip())
        return
    # A reboot takes what still runs on the machine, such as its database.
    taking = {HealStep.REBUILD, HealStep.REBOOT} if situation.target_online else {HealStep.REBUILD}
    if not situation.removed and taking & set(steps):
        yield from _of_majority(situation, situation.members)


def _of_majority(situation: Situation, members: Sequence[Member]) -> Iterable[Finding]:
    """Project the cluster after the removal: what is left must have a majority that is alive.

    The leader's word on two dead of three could also be the word of one that was cut off from the other two.
    """
    if situation.target is None:
        return  # it is gone already, and so nothing is taken from the cluster
    others = [member for member in members if member.host_ip != situation.target_ip]
    online = [member for member in others if member.online]
    needed = len(others) // 2 + 1
    if others and len(online) < needed:
        gone = ", ".join(f"{member.name} ({member.host_ip})" for member in others if not member.online)
        yield Finding(
            Reason.NO_MAJORITY,
            f"Without {situation.target_name} only {len(online)} of the {len(others)} other members would be "
            f"online ({gone} not), which is no majority. Bring one of them back; or, when you know that it "
            "is dead "
            "for good, remove it from the cluster (runbook: Healing) and heal again.",
        )


def _of_target(situation: Situation, steps: tuple[HealStep, ...]) -> Iterable[Finding]:
    if situation.removed:
        if situation.phase not in _OURS_AGAIN:
            yield from _of_listing(situation)
            yield from _of_replacing(situation)
        return
    if not steps:
        yield _no_step(situation)
    if steps or not situation.alive:
        yield from _of_listing(situation)
    if HealStep.REBUILD in steps:
        yield from _of_replacing(situation)


def _of_listing(situation: Situation) -> Iterable[Finding]:
    """Say what the other members know of it that speaks against its being dead."""
    name, target = situation.target_name, situation.target
    if target is None or situation.refused_by_cluster:
        return
    if target.leader:
        yield Finding(
            Reason.TARGET_LEADS,
            f"{name} is still listed as the leader: the other members have not elected another one yet.",
        )
    elif target.online and (target.serves or not situation.alive):
        yield Finding(
            Reason.SEEN_BY_PEERS,
            f"The other members see {name} online: only we cannot reach it. (One that died a moment ago is "
            "seen for some seconds more; then start the heal again.)",
        )


def _no_step(situation: Situation) -> Finding:
    name = situation.target_name
    if situation.alive:
        signs = (("SSH", situation.ssh_answers), ("REST", situation.rest_answers))
        how = " and ".join(word for word, answers in signs if answers)
        return Finding(
            Reason.TARGET_ALIVE,
            f"{name} is alive: it answers over {how}. Only a member that is out of reach is healed; what is "
            "wrong with the software of one that answers is for the cluster's own failover, or for you.",
        )
    given = ", ".join(step.value for step in situation.steps) or "nothing"
    return Finding(
        Reason.NO_STEP,
        f"{name} does not answer, and nothing of what may be tried (heal_steps: {given}) is possible with a "
        "machine that does not answer.",
    )


def _of_replacing(situation: Situation) -> Iterable[Finding]:
    """Say why the member could not come back once it is removed."""
    if situation.renewal is Renewal.NONE:
        yield Finding(
            Reason.NO_MACHINE,
            f"There is nothing to replace the machine of {situation.target_name} with: no rebuild_command is "
            "given, hosts has no spare, and no machine that was replaced before answers again. Add one of "
            "them, or repair one and heal again.",
        )
    if situation.unfit:
        yield Finding(
            Reason.CANNOT_INSTALL,
            f"No manager could be installed in the place of {situation.target_name}: {situation.unfit}",
        )
