"""The heal of a member, as far as the cluster has to do with it: found, removed, backed up, rejoined, told.

Each step is journaled on the cluster's node instance, and can be run again from any point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from cloudify.manager import get_rest_client

from cmom import runtime
from cmom.clients.tier2_executions import running_executions
from cmom.errors import ActionRequired, TryAgainLater
from cmom.models import Host
from cmom.operations.cluster import look
from cmom.operations.connections import (
    LEADER_SECONDS,
    MEMBER_RELATIONSHIP,
    cluster_of,
    common_version,
    hosts_of,
    manager_access,
    member_records,
)
from cmom.operations.glue import (
    UNOBTRUSIVE_WORKFLOWS,
    change_properties,
    deployment_folder,
    operation,
    runs_in_local_profile,
)
from cmom.operations.snapshots import store_of
from cmom.runtime import BackupRecord, ManagerRecord
from cmom.services import activity
from cmom.services.healing import HEAL_WORKFLOW, evidence, notes, record
from cmom.services.healing.backup import PrecautionSettings, RunningOutClock, take_precaution
from cmom.services.healing.plan import (
    Decision,
    HealStep,
    Phase,
    Reason,
    Renewal,
    Situation,
    Verdict,
    may_heal,
    parse_steps,
)
from cmom.services.healing.record import Journal
from cmom.services.tier1 import Tier1, connect
from cmom.services.waiting import wait_for

# Each look at a cluster without a leader; the operation as a whole is repeated.
_LOOK_SECONDS = 10.0


@dataclass(frozen=True)
class _Target:
    """The member in question.

    Attributes:
        host: Its machine, as it is or was.
        ssh_port: Of its machine.
        journal: Of an earlier heal of it.
    """

    instance_id: str
    host: Host
    ssh_port: int
    journal: Journal | None


@operation
def find(
    ctx: Any,
    node_instance_id: str,
    diagnose_value: str,
    renewal: str,
    can_reboot: bool,
    other_heal: str = "",
    **_: Any,
) -> None:
    """Find a living manager of the cluster, and decide whether the member may be healed.

    Args:
        ctx: The context.
        node_instance_id: Of the manager.
        diagnose_value: Why the heal was started.
        renewal: How its machine would be replaced; see `Renewal`.
        can_reboot: See `Situation`.
        other_heal: What other heal runs, if the workflow knows of one.
    """
    target = _target(ctx, node_instance_id)
    signs, testimony = _look_around(ctx, target)
    situation = _situation(ctx, target, signs, testimony, Renewal(renewal), can_reboot, other_heal)
    verdict = may_heal(situation)
    seen = evidence.as_plain_data(signs, testimony)
    ctx.logger.info("%s: SSH %s, REST %s, members %s", situation.target_name, *seen.values())
    if verdict.decision in (Decision.WAIT, Decision.REFUSE):
        _note_refusal(ctx, target, verdict, diagnose_value, seen)
        raise _as_error(ctx, verdict)
    _begin(ctx, target, verdict, diagnose_value)


@operation
def remove(ctx: Any, node_instance_id: str, **_: Any) -> None:
    """Take the member out of the cluster, so that it can join it again."""
    journal = _journal(ctx, node_instance_id)
    with cluster_of(ctx, ctx, leader_seconds=LEADER_SECONDS) as cluster:
        if cluster.ensure_left(journal.host, hand_over=False):
            ctx.logger.info("%s is removed from the cluster.", journal.name)
    _advance(ctx, node_instance_id, phase=Phase.REMOVED)


@operation
def backup(ctx: Any, node_instance_id: str, **_: Any) -> None:
    """Take a snapshot as a precaution; the heal goes on without one."""
    properties = ctx.node.properties

    def connect_to_survivors(clock: RunningOutClock) -> Tier1:
        records = member_records(ctx.instance)
        dead = _journal(ctx, node_instance_id).public_ip
        addresses = [host.public_ip for host in hosts_of(records) if host.public_ip != dead]
        return connect(
            addresses, manager_access(properties), common_version(records), ctx.logger, clock=clock
        )

    def remember(under_way: BackupRecord | None) -> None:
        change_properties(ctx.instance, lambda stored: BackupRecord.store(stored, under_way))

    outcome = take_precaution(
        connect_to_survivors,
        store_of(ctx, ctx),
        ctx.logger,
        execution_id=ctx.execution_id,
        remember=remember,
        before=BackupRecord.load(ctx.instance.runtime_properties),
        settings=PrecautionSettings(
            timeout_seconds=float(properties["heal_backup_timeout_seconds"]),
            poll_seconds=float(properties["poll_interval_seconds"]),
            keep_snapshots=int(properties["keep_snapshots"]),
            keep_on_tier1=bool(properties["keep_on_tier1"]),
        ),
        now=_now(),
    )
    _advance(ctx, node_instance_id, phase=Phase.BACKED_UP, backup=outcome)


@operation
def note(ctx: Any, node_instance_id: str, changes: Mapping[str, Any], **_: Any) -> None:
    """Note in the journal what the workflow has done.

    Args:
        ctx: The context.
        node_instance_id: Of the manager.
        changes: Fields of the `Journal`.
    """
    known = dict(changes)
    if "phase" in known:
        known["phase"] = Phase(known["phase"])
    _advance(ctx, node_instance_id, **known)


@operation
def settle(ctx: Any, node_instance_id: str, step: str, **_: Any) -> None:
    """Wait for some time whether something gentler than a rebuild has brought the member back."""
    journal = _journal(ctx, node_instance_id)
    interval_seconds = float(ctx.node.properties["poll_interval_seconds"])
    with cluster_of(ctx, ctx, leader_seconds=_LOOK_SECONDS) as cluster:

        def is_whole() -> bool:
            return any(member.healthy for member in cluster.members() if member.host_ip == journal.ip)

        try:
            wait_for(
                is_whole,
                f"{journal.name} to be back",
                wait_seconds=float(ctx.node.properties["heal_wait_seconds"]),
                interval_seconds=interval_seconds,
            )
        except TryAgainLater as error:
            ctx.logger.info("After %s: %s", step, error)
            _advance(ctx, node_instance_id, tried=(*journal.tried, step))
            return
    _advance(ctx, node_instance_id, phase=Phase.REJOINED, machine=f"came back after {step}")


@operation
def rejoin(ctx: Any, node_instance_id: str, **_: Any) -> None:
    """Make the new manager a member of the cluster."""
    found = _member_record(ctx, node_instance_id)
    if found is None:
        raise ActionRequired(f"{node_instance_id} is not installed and cannot join the cluster.")
    with cluster_of(ctx, ctx) as cluster:
        if cluster.ensure_joined(found.host):
            ctx.logger.info("%s has joined the cluster again.", record.name_of(found.host))
    _advance(ctx, node_instance_id, phase=Phase.REJOINED)


@operation
def finish(ctx: Any, node_instance_id: str, **_: Any) -> None:
    """Close the journal, look at the cluster once more, and say what is left for people to do."""
    journal = _journal(ctx, node_instance_id)
    outcome = "healed" if journal.machine_ip or Phase.REINSTALLED.value in journal.reached else "recovered"
    seen = look(ctx, ctx)
    _change(ctx, lambda stored: record.end_well(stored, node_instance_id, _now(), outcome))
    for line in notes.after_heal(journal, seen.leader_ip, outcome):
        ctx.logger.info("%s", line)


@operation
def fail(ctx: Any, node_instance_id: str, error: str, **_: Any) -> None:
    """Note that the heal failed; the next one goes on from what it has done."""
    if record.journal_of(ctx.instance.runtime_properties, node_instance_id) is None:
        return
    journal = _change(ctx, lambda stored: record.fail(stored, node_instance_id, error, _now()))
    ctx.logger.error("The heal of %s failed after it was %s: %s", journal.name, journal.phase.value, error)


@operation
def pause(ctx: Any, duration_seconds: int, reason: str = "", **_: Any) -> None:
    """Hold all heals of this deployment for some time."""
    now = _now()
    _change(ctx, lambda stored: record.pause(stored, duration_seconds, reason, now))
    ctx.logger.info("Healing is paused %s", record.paused_in_words(ctx.instance.runtime_properties, now))


@operation
def resume(ctx: Any, **_: Any) -> None:
    """Let this deployment be healed again, also those members whose heals were in vain."""
    was_paused = _change(ctx, record.resume)
    ctx.logger.info("Healing is %s.", "resumed" if was_paused else "not paused")


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _change(ctx: Any, change: Any) -> Any:
    """Change what is known of healing, and what the status says of it with it."""

    def both(stored: runtime.Properties) -> Any:
        outcome = change(stored)
        status = stored.get(runtime.STATUS)
        if isinstance(status, Mapping):
            stored[runtime.STATUS] = {**status, **record.status_output(stored, _now())}
        return outcome

    return change_properties(ctx.instance, both)


def _advance(ctx: Any, instance_id: str, **changes: Any) -> None:
    _change(ctx, lambda stored: record.advance(stored, instance_id, _now(), **changes))


def _journal(ctx: Any, instance_id: str) -> Journal:
    found = record.journal_of(ctx.instance.runtime_properties, instance_id)
    if found is None:
        raise ActionRequired(
            f"The journal of the heal of {instance_id} is gone: somebody else has ended it. Start the heal "
            "again."
        )
    return found


def _managers(ctx: Any) -> dict[str, Any]:
    """Return the relationships to the managers, by the IDs of their instances."""
    return {
        relationship.target.instance.id: relationship
        for relationship in ctx.instance.relationships
        if MEMBER_RELATIONSHIP in relationship.type_hierarchy
    }


def _member_record(ctx: Any, instance_id: str) -> ManagerRecord | None:
    relationship = _managers(ctx).get(instance_id)
    if relationship is None:
        return None
    return ManagerRecord.load(relationship.target.instance.runtime_properties)


def _target(ctx: Any, instance_id: str) -> _Target:
    relationship = _managers(ctx).get(instance_id)
    if relationship is None:
        known = ", ".join(sorted(_managers(ctx)))
        raise ActionRequired(f"{instance_id} is no manager of this cluster. Its managers are: {known}.")
    journal = record.journal_of(ctx.instance.runtime_properties, instance_id)
    installed = _member_record(ctx, instance_id)
    if journal is not None:
        host = journal.host
    elif installed is not None:
        host = installed.host
    else:
        raise ActionRequired(f"{instance_id} is not installed, so there is nothing to heal.")
    return _Target(instance_id, host, int(relationship.target.node.properties["ssh_port"]), journal)


def _look_around(ctx: Any, target: _Target) -> tuple[evidence.Signs, evidence.Testimony]:
    signs = evidence.signs_of_life(target.host, target.ssh_port, int(ctx.node.properties["rest_port"]))
    if not member_records(ctx.instance):
        return signs, evidence.Testimony(silence="No manager of the cluster is installed.")
    with cluster_of(ctx, ctx, leader_seconds=_LOOK_SECONDS) as cluster:
        return signs, evidence.ask_cluster(cluster)


def _situation(
    ctx: Any,
    target: _Target,
    signs: evidence.Signs,
    testimony: evidence.Testimony,
    renewal: Renewal,
    can_reboot: bool,
    other_heal: str,
) -> Situation:
    properties, stored, journal = ctx.node.properties, ctx.instance.runtime_properties, target.journal
    expected = {host.ip for host in hosts_of(member_records(ctx.instance))} | {target.host.ip}
    heals, others = _running(ctx)
    now = _now()
    delay_seconds = float(properties["heal_retry_delay_seconds"])
    return Situation(
        target_ip=target.host.ip,
        target_name=record.name_of(target.host),
        expected=tuple(sorted(expected)),
        members=testimony.members,
        silence=testimony.silence,
        refused_by_cluster=testimony.refusal,
        ssh_answers=bool(signs.ssh),
        rest_answers=signs.rest is not None,
        phase=None if journal is None else journal.phase,
        failed=journal is not None and bool(journal.failed),
        other_heal=other_heal or heals,
        other_execution=others,
        paused=record.paused_in_words(stored, now),
        renewal=Renewal.SPARE if journal is not None and journal.spare_ip else renewal,
        steps=_steps(properties),
        can_reboot=can_reboot,
        tries=record.tries(stored, target.instance_id),
        wait_seconds=record.seconds_to_wait(stored, target.instance_id, now, delay_seconds),
    )


def _steps(properties: Mapping[str, Any]) -> tuple[HealStep, ...]:
    try:
        return parse_steps(properties["heal_steps"])
    except ValueError as error:
        known = ", ".join(step.value for step in HealStep)
        raise ActionRequired(
            f"heal_steps names what cannot be done: {error}. It may name {known}."
        ) from error


def _running(ctx: Any) -> tuple[str, str]:
    """Return in words which other heal, and which other execution, of this deployment runs."""
    if runs_in_local_profile(ctx):
        folder = deployment_folder(ctx)
        others = "in another process" if activity.is_executing(folder) else ""
        return "", others
    running = running_executions(get_rest_client(), ctx.deployment.id, but=(ctx.execution_id,))
    heals = [str(one) for one in running if one.workflow_id == HEAL_WORKFLOW]
    others_running = [str(one) for one in running if one.workflow_id not in UNOBTRUSIVE_WORKFLOWS]
    return ", ".join(heals), ", ".join(others_running)


def _note_refusal(
    ctx: Any, target: _Target, verdict: Verdict, diagnosis: str, seen: Mapping[str, Any]
) -> None:
    _change(
        ctx,
        lambda stored: record.refuse(
            stored,
            target.host,
            target.instance_id,
            verdict,
            _now(),
            diagnosis=diagnosis,
            evidence=seen,
        ),
    )


def _as_error(ctx: Any, verdict: Verdict) -> ActionRequired | TryAgainLater:
    """Return what the operation ends with: it is repeated as often as heal_retries says, then given up."""
    if verdict.decision is Decision.REFUSE:
        return ActionRequired(f"The heal is refused. {verdict.text}")
    # The message that people know comes first.
    silent = verdict.findings[0].reason is Reason.NO_LEADER
    text = verdict.text if silent else f"The heal has to wait. {verdict.text}"
    retries = int(ctx.node.properties["heal_retries"])
    done = int(ctx.operation.retry_number or 0)
    if done >= retries:
        return ActionRequired(f"{text} (Given up after {done} retries.)")
    return TryAgainLater(text, float(ctx.node.properties["heal_retry_interval_seconds"]))


def _begin(ctx: Any, target: _Target, verdict: Verdict, diagnosis: str) -> None:
    now = _now()

    def open_journal(stored: runtime.Properties) -> Journal:
        leader = str((stored.get(runtime.CLUSTER_IPS) or {}).get("Master") or "")
        wanted = Journal(
            instance_id=target.instance_id,
            hostname=target.host.hostname,
            ip=target.host.ip,
            public_ip=target.host.public_ip,
            diagnosis=diagnosis,
            started_at=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            execution_id=ctx.execution_id,
            was_leader=leader == target.host.public_ip,
            steps=tuple(step.value for step in verdict.steps),
        )
        begun = record.begin(stored, wanted, now)
        if verdict.decision is Decision.DONE:
            return record.advance(stored, target.instance_id, now, phase=Phase.REJOINED)
        return begun

    journal = _change(ctx, open_journal)
    known = target.journal
    if known is not None:
        how = "failed" if known.failed else "was interrupted"
        ctx.logger.info("A heal of %s %s after it was %s; going on.", journal.name, how, known.phase.value)
    else:
        ctx.logger.info("Healing %s. Diagnosis: %s", journal.name, diagnosis)
