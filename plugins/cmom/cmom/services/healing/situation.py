"""What a decision on a heal is made of, and what it is: plain data, in words that do not change."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from cmom.models import Member


class Phase(str, enum.Enum):
    """How far a heal has come: what was done last."""

    FOUND = "found"
    REMOVED = "removed"
    BACKED_UP = "backed_up"
    UNINSTALLED = "uninstalled"
    REINSTALLED = "reinstalled"
    REJOINED = "rejoined"


class HealStep(str, enum.Enum):
    """What may be tried to get a member back, in the words of the input ``heal_steps``."""

    WAIT = "wait"
    RESTART_SERVICES = "restart_services"
    REBOOT = "reboot"
    REBUILD = "rebuild"


class Renewal(str, enum.Enum):
    """How a dead machine is replaced."""

    CLOUD = "cloud"
    REBUILD_COMMAND = "rebuild_command"
    SPARE = "spare"
    NONE = "none"


class Decision(str, enum.Enum):
    """What is decided.

    GO: Heal it. WAIT: not now, time may help. REFUSE: not now, and a person may have to act. DONE: it is
    whole, and whatever is left of an interrupted heal is to be closed.
    """

    GO = "go"
    WAIT = "wait"
    REFUSE = "refuse"
    DONE = "done"


class Reason(str, enum.Enum):
    """Why not, in one word that does not change (metrics carry it)."""

    NO_LEADER = "no_leader"
    REFUSED_BY_CLUSTER = "refused_by_cluster"
    ANOTHER_EXECUTION = "another_execution"
    TARGET_LEADS = "target_leads"
    ANOTHER_HEAL = "another_heal"
    PAUSED = "paused"
    SINGLE_MEMBER = "single_member"
    TARGET_ALIVE = "target_alive"
    SEEN_BY_PEERS = "seen_by_peers"
    NO_MAJORITY = "no_majority"
    NO_MACHINE = "no_machine"
    CANNOT_INSTALL = "cannot_install"
    NO_STEP = "no_step"
    TOO_SOON = "too_soon"
    TOO_MANY_TRIES = "too_many_tries"


@dataclass(frozen=True)
class Situation:
    """Everything that the decision depends on.

    Attributes:
        target_ip: The private address of the member in question.
        target_name: How it is called in messages.
        expected: The private addresses of all managers of the deployment, the target's among them.
        members: The leader's list; None when no member leads.
        silence: Why none leads, in words.
        refused_by_cluster: What the living members say when they refuse us (credentials, certificates).
        ssh_answers: Whether the machine greets us over SSH. A TCP connection alone is no greeting.
        rest_answers: Whether its REST service answers, whatever it says.
        phase: How far an earlier heal of it has come; None when there was none.
        failed: Whether that heal failed, and was not just interrupted.
        other_heal: Which other heal of the deployment runs; empty for none.
        other_execution: Which other execution of the deployment runs; empty for none.
        paused: Until when and why healing is paused; empty when it is not.
        renewal: How its machine would be replaced.
        unfit: Why no manager could be installed on it then, in words: what that takes is gone from Tier 2.
        steps: What may be tried, in this order.
        can_reboot: Whether its machine can be rebooted without logging in to it.
        tries: How many heals of it were in vain, in a row.
        wait_seconds: How long it must still be waited after the last of them.
    """

    target_ip: str
    target_name: str
    expected: tuple[str, ...]
    members: tuple[Member, ...] | None
    silence: str = ""
    refused_by_cluster: str = ""
    ssh_answers: bool = False
    rest_answers: bool = False
    phase: Phase | None = None
    failed: bool = False
    other_heal: str = ""
    other_execution: str = ""
    paused: str = ""
    renewal: Renewal = Renewal.CLOUD
    unfit: str = ""
    steps: tuple[HealStep, ...] = (HealStep.REBUILD,)
    can_reboot: bool = False
    tries: int = 0
    wait_seconds: float = 0.0

    @property
    def target(self) -> Member | None:
        """The target as the leader lists it; None when it does not."""
        return next((one for one in self.members or () if one.host_ip == self.target_ip), None)

    @property
    def target_online(self) -> bool:
        """Whether the other members see anything of it."""
        return self.target is not None and self.target.online

    @property
    def alive(self) -> bool:
        """Whether its machine shows any sign of life to us."""
        return self.ssh_answers or self.rest_answers

    @property
    def removed(self) -> bool:
        """Whether an earlier heal has removed it from the cluster: from then on it can only be remade."""
        return self.phase is not None and self.phase is not Phase.FOUND

    @property
    def interrupted(self) -> bool:
        """Whether an earlier heal was cut off, and is to go on where it was."""
        return self.phase is not None and not self.failed


@dataclass(frozen=True)
class Finding:
    """One thing that speaks against healing."""

    reason: Reason
    text: str


@dataclass(frozen=True)
class Verdict:
    """What is decided, and why.

    Attributes:
        findings: What speaks against it; empty for GO and DONE.
        steps: For GO: what is to be tried, in this order.
    """

    decision: Decision
    findings: tuple[Finding, ...] = ()
    steps: tuple[HealStep, ...] = field(default=())

    @property
    def text(self) -> str:
        """All findings, for people."""
        return " ".join(finding.text for finding in self.findings)
