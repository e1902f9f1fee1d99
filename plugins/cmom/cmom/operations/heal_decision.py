"""Whether a member may be healed now: looked around, decided, and remembered with what was seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from cloudify.manager import get_rest_client

from cmom import runtime
from cmom.clients.tier2_executions import running_executions
from cmom.errors import ActionRequired, TryAgainLater
from cmom.models import Host, Version
from cmom.operations.connections import cluster_of, hosts_of, member_records
from cmom.operations.glue import (
    UNOBTRUSIVE_WORKFLOWS,
    deployment_folder,
    operation,
    runs_in_local_profile,
)
from cmom.operations.heal_journal import change_record, installed_manager, manager_relationships, utc_now
from cmom.runtime import ManagerRecord
from cmom.services import activity
from cmom.services.generations import generation_of
from cmom.services.healing import HEAL_WORKFLOW, evidence, record
from cmom.services.healing.journal import Journal
from cmom.services.healing.plan import may_heal, parse_steps
from cmom.services.healing.provisions import why_unfit
from cmom.services.healing.situation import (
    Decision,
    HealStep,
    Phase,
    Reason,
    Renewal,
    Situation,
    Verdict,
)

# All members are asked once; the operation as a whole is repeated.
_LOOK_SECONDS = 0.0


@dataclass(frozen=True)
class _Target:
    """The member in question.

    Attributes:
        host: Its machine, as it is or was; the new one, once a heal has logged in to it.
        properties: Of the manager's node.
        journal: Of an earlier heal of it.
        is_new: Whether `host` is the machine that the earlier heal has made anew, or taken for it.
    """

    instance_id: str
    host: Host
    properties: Mapping[str, Any]
    journal: Journal | None
    is_new: bool = False

    @property
    def starts_over(self) -> bool:
        """Whether the new machine is what is healed now."""
        return self.is_new and self.journal is not None and self.journal.phase is Phase.FOUND

    def died_again(self, signs: evidence.Signs, testimony: evidence.Testimony) -> bool:
        """Tell whether the new machine has died before its heal had ended, by our word and its peers'."""
        if not self.is_new or signs.alive or testimony.members is None:
            return False
        return not any(one.online for one in testimony.members if one.host_ip == self.host.ip)


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
    with _tried_again(ctx):
        target = _target(ctx, node_instance_id)
        signs, testimony = _look_around(ctx, target)
        if target.journal is not None and target.died_again(signs, testimony):
            ctx.logger.warning(
                "%s, on which a heal of %s was to go on, has died: it is healed from the beginning.",
                record.name_of(target.host),
                target.journal.name,
            )
            target = replace(target, journal=target.journal.started_over(target.host))
        situation = _situation(ctx, target, signs, testimony, Renewal(renewal), can_reboot, other_heal)
        verdict = may_heal(situation)
        seen = evidence.as_plain_data(signs, testimony)
        ctx.logger.info("%s: SSH %s, REST %s, members %s", situation.target_name, *seen.values())
        if verdict.decision in (Decision.WAIT, Decision.REFUSE):
            _note_refusal(ctx, target, verdict, diagnose_value, seen)
            raise _as_error(verdict)
        _begin(ctx, target, situation, verdict, diagnose_value)


@contextmanager
def _tried_again(ctx: Any) -> Iterator[None]:
    """Let the engine repeat it as often as the blueprint says; the engine itself would do so for ever."""
    try:
        yield
    except ActionRequired:
        raise
    except Exception as error:
        known = isinstance(error, TryAgainLater)
        text = str(error) if known else f"Deciding on the heal failed: {type(error).__name__}: {error}"
        properties, done = ctx.node.properties, int(ctx.operation.retry_number or 0)
        if done >= int(properties["heal_retries"]):
            raise ActionRequired(f"{text} (Given up after {done} retries.)") from error
        raise TryAgainLater(text, float(properties["heal_retry_interval_seconds"])) from error


def _target(ctx: Any, instance_id: str) -> _Target:
    relationship = manager_relationships(ctx).get(instance_id)
    if relationship is None:
        known = ", ".join(sorted(manager_relationships(ctx)))
        raise ActionRequired(f"{instance_id} is no manager of this cluster. Its managers are: {known}.")
    journal = record.journal_of(ctx.instance.runtime_properties, instance_id)
    installed = installed_manager(ctx, instance_id)
    properties = relationship.target.node.properties
    if installed is not None and (journal is None or _is_new(journal, installed)):
        return _Target(instance_id, installed.host, properties, journal, is_new=journal is not None)
    if journal is None:
        raise ActionRequired(f"{instance_id} is not installed, so there is nothing to heal.")
    return _Target(instance_id, journal.host, properties, journal)


def _is_new(journal: Journal, installed: ManagerRecord) -> bool:
    """Tell whether a heal was logged in to the machine that it makes the manager on; before, it may boot."""
    made = journal.phase in (Phase.UNINSTALLED, Phase.REINSTALLED, Phase.REJOINED)
    return made and bool(installed.ssh_host_key)


def _look_around(ctx: Any, target: _Target) -> tuple[evidence.Signs, evidence.Testimony]:
    ssh_port, rest_port = int(target.properties["ssh_port"]), int(ctx.node.properties["rest_port"])
    signs = evidence.signs_of_life(target.host, ssh_port, rest_port)
    if not member_records(ctx.instance):
        return signs, evidence.Testimony(silence="No manager of the cluster is installed.")
    with cluster_of(ctx, ctx, leader_seconds=_LOOK_SECONDS) as cluster:
        testimony = evidence.ask_cluster(cluster)
        if testimony.silence and target.journal is not None and cluster.mend():
            testimony = evidence.ask_cluster(cluster)
        return signs, testimony


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
    now = utc_now()
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
        unfit=why_unfit(target.properties),
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
    change_record(
        ctx,
        lambda stored: record.refuse(
            stored,
            target.host,
            target.instance_id,
            verdict,
            utc_now(),
            diagnosis=diagnosis,
            evidence=seen,
        ),
    )


def _as_error(verdict: Verdict) -> ActionRequired | TryAgainLater:
    if verdict.decision is Decision.REFUSE:
        return ActionRequired(f"The heal is refused. {verdict.text}")
    # The message that people know comes first.
    silent = verdict.findings[0].reason is Reason.NO_LEADER
    return TryAgainLater(verdict.text if silent else f"The heal has to wait. {verdict.text}")


def _begin(ctx: Any, target: _Target, situation: Situation, verdict: Verdict, diagnosis: str) -> None:
    now = utc_now()
    join_goes_on = situation.ssh_answers and _goes_on_joining(ctx, target)

    def open_journal(stored: runtime.Properties) -> Journal:
        if target.journal is not None and target.starts_over:
            record.take_up(stored, target.journal)
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
        begun = record.begin(stored, wanted, now, join_goes_on=join_goes_on)
        if verdict.decision is Decision.DONE and begun.phase is not Phase.REINSTALLED:
            return record.advance(stored, target.instance_id, now, phase=Phase.REJOINED)
        return begun

    journal = change_record(ctx, open_journal)
    known = target.journal
    if known is not None and not target.starts_over:
        how = "failed" if known.failed else "was interrupted"
        ctx.logger.info("A heal of %s %s after it was %s; going on.", journal.name, how, known.phase.value)
    else:
        ctx.logger.info("Healing %s. Diagnosis: %s", journal.name, diagnosis)


def _goes_on_joining(ctx: Any, target: _Target) -> bool:
    """Tell whether managers like the one that was installed anew go on joining after a failure."""
    made = installed_manager(ctx, target.instance_id)
    return made is not None and generation_of(Version.parse(made.manager_version)).join_goes_on
