"""Whether a heal may be started: the monitor's own reasons against it. Pure, but for `read_cluster`.

`healing.plan` has the last word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from cmom.clients.tier2 import Deployments
from cmom.errors import ActionRequired
from cmom.models import Host
from cmom.monitor.fleet import STARTED, Refusal, WatchedCluster, WatchedMember, number
from cmom.monitor.policies import Policy
from cmom.monitor.tier2 import Execution, Running
from cmom.monitor.verdict import State, Witness, Word
from cmom.services.deployed import CLUSTER_TYPE
from cmom.services.healing import record
from cmom.services.healing.evidence import Testimony
from cmom.services.healing.plan import HealStep, Reason, Renewal, Situation, parse_steps
from cmom.services.healing.record import Journal

# Tier 2 is read often; when what is known is older than so many readings, nothing is begun on it.
STALE_READINGS = 8


class Hold:
    """The monitor's own reasons, beside those of `healing.plan.Reason`: words that do not change."""

    NO_POLICY = "no_policy"
    BAD_POLICY = "bad_policy"
    NOT_STARTED = "not_started"
    NO_WITNESS = "no_witness"
    CANNOT_LOOK = "cannot_look"
    BREAKER = "breaker"
    INTERVAL = "interval"
    HEALS_AT_ONCE = "heals_at_once"
    TIER2_SILENT = "tier2_silent"
    DRY_RUN = "dry_run"


@dataclass(frozen=True)
class Circumstances:
    """What counts for the whole fleet.

    Attributes:
        breaker: Why the breaker is open; empty when it is not.
        heals: How many heals this monitor has running.
        heals_at_once: How many it may.
        reading_age_seconds: How old what is known of Tier 2 is.
        refresh_seconds: How often it is read.
    """

    breaker: str
    heals: int
    heals_at_once: int
    reading_age_seconds: float
    refresh_seconds: float


def of_verdict(member: WatchedMember, witness: Witness | None, breaker: str) -> tuple[Refusal, ...]:
    """Return why a member that is silent for long has not failed; nothing when it has."""
    verdict = member.verdict
    if verdict.state is State.FAILED:
        return ()
    if breaker:
        return (Refusal(Hold.BREAKER, verdict.reason),)
    if member.pulse is not None and member.pulse.blind:
        return (Refusal(Hold.CANNOT_LOOK, verdict.reason),)
    if witness is not None and witness.word is Word.ONLINE:
        return (Refusal(Reason.SEEN_BY_PEERS.value, verdict.reason),)
    return (Refusal(Hold.NO_WITNESS, verdict.reason),)


def of_circumstances(
    cluster: WatchedCluster, member: WatchedMember, circumstances: Circumstances, *, unfinished: bool
) -> tuple[Refusal, ...]:
    """Return what speaks against a heal before anybody was asked anything.

    Args:
        cluster: The member's.
        member: Which.
        circumstances: Of the fleet.
        unfinished: Whether an earlier heal of it was interrupted or failed; it then was started before.
    """
    return tuple(_of_circumstances(cluster, member, circumstances, unfinished))


def _of_circumstances(
    cluster: WatchedCluster, member: WatchedMember, fleet: Circumstances, unfinished: bool
) -> Iterator[Refusal]:
    policy = cluster.policy_of(member)
    if policy is None and cluster.faults:
        yield Refusal(Hold.BAD_POLICY, " ".join(cluster.faults))
    elif policy is None:
        yield Refusal(Hold.NO_POLICY, f"No host_failure policy of deployment {cluster.key} is about it.")
    elif policy.started_only and member.instance_state != STARTED and not unfinished:
        yield Refusal(
            Hold.NOT_STARTED,
            f"Its node instance is {member.instance_state}, and the policy {policy.name} is only about "
            "started ones.",
        )
    if fleet.breaker:
        yield Refusal(Hold.BREAKER, fleet.breaker)
    if fleet.heals >= fleet.heals_at_once:
        yield Refusal(
            Hold.HEALS_AT_ONCE, f"{fleet.heals} heals run already; heals_at_once is {fleet.heals_at_once}."
        )
    if cluster.unread:
        yield Refusal(Hold.TIER2_SILENT, cluster.unread)
    if fleet.reading_age_seconds > STALE_READINGS * fleet.refresh_seconds:
        yield Refusal(
            Hold.TIER2_SILENT,
            f"Tier 2 could not be read for {fleet.reading_age_seconds:.0f} s, so nobody knows what runs.",
        )


def of_running(running: Running) -> Iterator[Refusal]:
    """Yield what speaks against a heal by what runs on Tier 2."""
    if running.heal:
        yield Refusal(Reason.ANOTHER_HEAL.value, f"A heal of the deployment runs: {running.heal}.")
    if running.other:
        yield Refusal(
            Reason.ANOTHER_EXECUTION.value,
            f"Another execution of the deployment runs, {running.other}; a heal waits for its end.",
        )


def of_interval(policy: Policy, ages: Iterable[float]) -> Iterator[Refusal]:
    """Yield what speaks against a heal so soon after the last one.

    Args:
        policy: Which.
        ages: How long ago heals that count were started, in seconds.
    """
    since = min(ages, default=None)
    if since is not None and policy.interval_seconds >= 0 and since < policy.interval_seconds:
        whose = "a member of its group" if policy.on_group else "it"
        yield Refusal(
            Hold.INTERVAL,
            f"The last heal of {whose} was started {since:.0f} s ago; interval_between_workflows is "
            f"{policy.interval_seconds:.0f} s.",
        )


def seconds_since_own(
    policy: Policy, instance_id: str, started: Mapping[str, float], now: float
) -> float | None:
    """Return how long ago this monitor last started a heal that counts; None when it never did.

    Args:
        policy: Which.
        instance_id: Of the manager.
        started: When it did, by instance, on the monotonic clock.
        now: On the same.
    """
    times = (
        list(started.values())
        if policy.on_group
        else [started[instance_id]]
        if instance_id in started
        else []
    )
    return max(0.0, now - max(times)) if times else None


def seconds_since_last(
    policy: Policy, instance_id: str, executions: Iterable[Execution], now: datetime
) -> float | None:
    """Return how long ago the policy's workflow was last started; None when it never was.

    Never less than nothing, also when the clock was put back.
    """
    workflows = {trigger.workflow_id for trigger in policy.triggers}
    started = [
        one.created_at
        for one in executions
        if one.workflow_id in workflows
        and one.created_at is not None
        and (policy.on_group or instance_id in one.parameters.values())
    ]
    return max(0.0, (now - max(started)).total_seconds()) if started else None


def read_cluster(deployments: Deployments, deployment_id: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Read what Tier 2 has of a deployment's cluster right now.

    Returns:
        The properties of its node, and the runtime properties of its instance: journals, tries, a pause.

    Raises:
        ActionRequired: The deployment is gone, or cannot be read.
        TryAgainLater: Tier 2 does not answer.
    """
    nodes = {node.id: node for node in deployments.list_nodes(deployment_id) if CLUSTER_TYPE in node.types}
    for instance in deployments.list_instances(deployment_id) if nodes else ():
        if instance.node_id in nodes:
            return nodes[instance.node_id].properties, instance.runtime_properties
    raise ActionRequired(f"Deployment {deployment_id} has no cluster any more.")


def situation_of(
    cluster: WatchedCluster,
    member: WatchedMember,
    settings: Mapping[str, Any],
    testimony: Testimony,
    *,
    ssh_answers: bool,
    rest_answers: bool,
    now: datetime | None = None,
) -> Situation:
    """Describe a member to `healing.plan.may_heal`; what only the workflow can know is left to it.

    Args:
        cluster: The member's.
        member: Which.
        settings: The properties of the cluster's node.
        testimony: What the cluster says of itself.
        ssh_answers: Whether the machine greets us.
        rest_answers: Whether its REST service answers.
        now: For tests.

    Raises:
        ActionRequired: ``heal_steps`` names what cannot be done.
    """
    now = now or datetime.now(timezone.utc)
    instance_id, properties = member.key.instance_id, cluster.properties
    journal = record.journal_of(properties, instance_id)
    host = _host(member, journal)
    expected = {one.host.ip for one in cluster.members.values() if one.host is not None} | {host.ip}
    delay = number(settings.get("heal_retry_delay_seconds"), record.DEFAULT_DELAY_SECONDS)
    return Situation(
        target_ip=host.ip,
        target_name=record.name_of(host),
        expected=tuple(sorted(expected)),
        members=testimony.members,
        silence=testimony.silence,
        refused_by_cluster=testimony.refusal,
        ssh_answers=ssh_answers,
        rest_answers=rest_answers,
        phase=None if journal is None else journal.phase,
        failed=journal is not None and bool(journal.failed),
        paused=record.paused_in_words(properties, now),
        renewal=Renewal.CLOUD,
        steps=_steps(settings),
        can_reboot=True,
        tries=record.tries(properties, instance_id),
        wait_seconds=record.seconds_to_wait(properties, instance_id, now, delay),
    )


def _host(member: WatchedMember, journal: Journal | None) -> Host:
    if journal is not None:
        return journal.host
    if member.host is None:
        raise ActionRequired(f"{member.name} is not installed, so there is nothing to heal.")
    return member.host


def _steps(settings: Mapping[str, Any]) -> tuple[HealStep, ...]:
    given = settings.get("heal_steps")
    if not isinstance(given, list) or not given:
        return (HealStep.REBUILD,)
    try:
        return parse_steps(given)
    except ValueError as error:
        raise ActionRequired(f"heal_steps names what cannot be done: {error}.") from error
