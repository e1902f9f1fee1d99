"""What speaks against starting a heal."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cmom.clients.tier2 import Instance
from cmom.models import Host, Member
from cmom.monitor import gates
from cmom.monitor.fleet import Fleet, WatchedCluster, WatchedMember
from cmom.monitor.gates import Circumstances
from cmom.monitor.policies import Policy, parse_policies
from cmom.monitor.pulse import Pulse, Times
from cmom.monitor.tier2 import ClusterKey, Execution, Inventory, Running
from cmom.monitor.verdict import State, Verdict, Witness, Word
from cmom.services.healing import evidence, record
from cmom.services.healing.plan import Decision, HealStep, Phase, may_heal
from tests.unit.cmom.monitor.given_fleet import deployment, groups, instance, inventory

NOW = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
CALM = Circumstances(breaker="", heals=0, heals_at_once=4, reading_age_seconds=5.0, refresh_seconds=15.0)
MANAGER_1 = Host("10.0.0.21", "10.0.0.21", "m1")


def watched(**changes: Any) -> tuple[WatchedCluster, WatchedMember]:
    fleet = Fleet(Times())
    fleet.update(inventory(deployment(**changes)), 0.0)
    cluster = fleet.clusters[ClusterKey("default_tenant", "one")]
    return cluster, cluster.members["manager_1"]


def reasons(**changes: Any) -> list[str]:
    circumstances = changes.pop("circumstances", CALM)
    unfinished = changes.pop("unfinished", False)
    cluster, member = watched(**changes)
    found = gates.of_circumstances(cluster, member, circumstances, unfinished=unfinished)
    return [refusal.reason for refusal in found]


def test_nothing_speaks_against_a_started_member_with_a_policy() -> None:
    assert reasons() == []


def test_a_member_that_no_policy_is_about_is_only_watched() -> None:
    assert reasons(declared={}) == ["no_policy"]
    assert reasons(declared=groups(members=["host"])) == ["no_policy"]
    assert reasons(declared=groups(interval_between_workflows="soon")) == ["bad_policy"]


def test_an_instance_that_is_not_started_is_left_alone_unless_the_policy_says_otherwise() -> None:
    members = [instance("manager_1", 1, "deleted"), instance("manager_2", 2)]
    assert reasons(members=members) == ["not_started"]
    assert reasons(members=members, declared=groups(is_node_started_before_workflow=False)) == []


def test_an_unfinished_heal_goes_on_though_its_instance_is_not_started() -> None:
    members = [instance("manager_1", 1, "deleted"), instance("manager_2", 2)]
    assert reasons(members=members, unfinished=True) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"breaker": "All is silent."}, "breaker"),
        ({"heals": 4}, "heals_at_once"),
        ({"reading_age_seconds": 121.0}, "tier2_silent"),
    ],
)
def test_what_holds_the_whole_fleet(changes: dict[str, Any], reason: str) -> None:
    circumstances = Circumstances(**{**vars(CALM), **changes})
    assert reasons(circumstances=circumstances) == [reason]
    assert reasons(circumstances=circumstances, unfinished=True) == [reason]


def test_nothing_is_begun_on_a_deployment_that_cannot_be_read() -> None:
    fleet = Fleet(Times())
    fleet.update(inventory(deployment()), 0.0)
    key = ClusterKey("default_tenant", "one")
    fleet.update(Inventory((), {key: "It is half-written."}), 1.0)
    cluster = fleet.clusters[key]
    (found,) = gates.of_circumstances(cluster, cluster.members["manager_1"], CALM, unfinished=False)
    assert (found.reason, found.text) == ("tier2_silent", "It is half-written.")


@pytest.mark.parametrize(
    ("word", "breaker", "reason"),
    [
        (Word.ONLINE, "", "seen_by_peers"),
        (Word.NOTHING, "", "no_witness"),
        (None, "", "no_witness"),
        (Word.ONLINE, "All is silent.", "breaker"),
        (None, "All is silent.", "breaker"),
    ],
)
def test_a_silence_that_is_no_failure_has_a_reason(word: Word | None, breaker: str, reason: str) -> None:
    _, member = watched()
    member.verdict = Verdict(State.UNKNOWN, "Silent.")
    witness = None if word is None else Witness(word, 0.0, "They say.")
    (found,) = gates.of_verdict(member, witness, breaker)
    assert (found.reason, found.text) == (reason, "Silent.")


def test_a_failure_has_no_reason_against_it_and_being_blind_is_one() -> None:
    _, member = watched()
    member.verdict = Verdict(State.FAILED)
    assert gates.of_verdict(member, None, "") == ()
    member.verdict = Verdict(State.UNKNOWN, "Blind.")
    member.pulse = Pulse(0.0, blind="too many open files")
    assert gates.of_verdict(member, None, "")[0].reason == "cannot_look"


def policy(**properties: Any) -> Policy:
    return parse_policies(groups(**properties), {})[0][0]


def heal_of(instance_id: str, seconds_ago: float, workflow: str = "heal_tier1_manager") -> Execution:
    created = NOW - timedelta(seconds=seconds_ago)
    return Execution("e", workflow, {"node_instance_id": instance_id, "diagnose_value": "x"}, created)


NOTHING = Running()


def held(executions: list[Execution], running: Running = NOTHING, **properties: Any) -> list[str]:
    about = policy(**properties)
    since = gates.seconds_since_last(about, "manager_1", executions, NOW)
    found = [*gates.of_running(running), *gates.of_interval(about, [] if since is None else [since])]
    return [refusal.reason for refusal in found]


def test_the_interval_between_heals_of_one_instance_is_honoured() -> None:
    assert held([]) == []
    assert held([heal_of("manager_1", 599)]) == ["interval"]
    assert held([heal_of("manager_1", 600)]) == []
    assert held([heal_of("manager_1", 5000), heal_of("manager_1", 10)]) == ["interval"]
    assert held([heal_of("manager_2", 10)]) == []
    assert held([heal_of("manager_1", 10, workflow="get_status")]) == []


def test_the_interval_may_be_that_of_the_whole_group() -> None:
    assert held([heal_of("manager_2", 10)], policy_operates_on_group=True) == ["interval"]
    assert held([heal_of("manager_2", 601)], policy_operates_on_group=True) == []


@pytest.mark.parametrize("interval", [-1, -600, 0])
def test_a_negative_interval_is_no_limit(interval: int) -> None:
    assert held([heal_of("manager_1", 0)], interval_between_workflows=interval) == []


def test_a_clock_that_was_put_back_does_not_let_a_heal_through() -> None:
    assert held([heal_of("manager_1", -3600)]) == ["interval"]


def test_what_this_monitor_has_started_counts_also_when_tier_2_does_not_show_it() -> None:
    started = {"manager_1": 100.0, "manager_2": 500.0}
    assert gates.seconds_since_own(policy(), "manager_1", started, 700.0) == 600.0
    assert gates.seconds_since_own(policy(), "manager_3", started, 700.0) is None
    on_group = policy(policy_operates_on_group=True)
    assert gates.seconds_since_own(on_group, "manager_3", started, 700.0) == 200.0
    assert gates.seconds_since_own(on_group, "manager_3", {}, 700.0) is None


def test_an_execution_without_a_time_says_nothing_of_when() -> None:
    assert held([Execution("e", "heal_tier1_manager", {"node_instance_id": "manager_1"}, None)]) == []


def test_what_runs_holds_a_heal() -> None:
    assert held([], Running(heal="heal_tier1_manager (1)")) == ["another_heal"]
    assert held([], Running(other="backup (2)")) == ["another_execution"]
    both = held([heal_of("manager_1", 1)], Running("a", "b"))
    assert both == ["another_heal", "another_execution", "interval"]


OFFLINE = (
    Member("m1", "10.0.0.21"),
    Member("m2", "10.0.0.22", online=True, leader=True),
    Member("m3", "10.0.0.23", online=True),
)


def decision(cluster: WatchedCluster, member: WatchedMember, **settings: Any) -> Any:
    testimony = evidence.Testimony(OFFLINE)
    found = gates.situation_of(
        cluster, member, settings, testimony, ssh_answers=False, rest_answers=False, now=NOW
    )
    return may_heal(found)


def test_a_dead_member_that_its_peers_miss_may_be_healed() -> None:
    verdict = decision(*watched())
    assert verdict.decision is Decision.GO
    assert verdict.steps == (HealStep.REBUILD,)


def test_a_pause_and_the_growing_delay_are_read_off_the_cluster() -> None:
    properties: dict[str, Any] = {}
    record.pause(properties, 60, "a change of the network", NOW)
    found = decision(*watched(properties=properties))
    assert [finding.reason.value for finding in found.findings] == ["paused"]
    failed = failed_heal()
    found = decision(*watched(properties=failed), heal_retry_delay_seconds=300.0)
    assert [finding.reason.value for finding in found.findings] == ["too_soon"]
    assert decision(*watched(properties=failed), heal_retry_delay_seconds=1.0).decision is Decision.GO


def failed_heal(phase: Phase = Phase.FOUND) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    journal = record.Journal(
        instance_id="manager_1",
        hostname=MANAGER_1.hostname,
        ip=MANAGER_1.ip,
        public_ip=MANAGER_1.public_ip,
        diagnosis="x",
        started_at="2026-05-01T11:00:00Z",
        execution_id="e",
    )
    record.begin(properties, journal, NOW - timedelta(seconds=3600))
    if phase is not Phase.FOUND:
        record.advance(properties, "manager_1", NOW - timedelta(seconds=1800), phase=phase)
    record.fail(properties, "manager_1", "it broke", NOW - timedelta(seconds=60))
    return properties


def test_a_member_that_is_gone_from_tier_2_is_known_by_its_journal() -> None:
    gone = Instance("manager_1", "manager", "deleted", {})
    cluster, member = watched(
        members=[gone, instance("manager_2", 2), instance("manager_3", 3)],
        properties=failed_heal(Phase.UNINSTALLED),
    )
    assert [journal.instance_id for journal in cluster.unfinished()] == ["manager_1"]
    found = gates.situation_of(
        cluster, member, {}, evidence.Testimony(OFFLINE[1:]), ssh_answers=False, rest_answers=False, now=NOW
    )
    assert (found.target_ip, found.removed, len(found.expected)) == ("10.0.0.21", True, 3)


def test_a_heal_that_has_taken_nothing_yet_is_not_gone_on_with_by_itself() -> None:
    cluster, _ = watched(properties=failed_heal(Phase.FOUND))
    assert cluster.unfinished() == ()
