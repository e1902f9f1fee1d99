"""Deciding on a heal, and starting it.

Everything that can be known is looked at once more right before: the member itself, its peers, and what
runs on Tier 2. The workflow looks again before it destroys anything.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from cmom.clients.heartbeats import Beat
from cmom.errors import CmomError
from cmom.monitor import gates
from cmom.monitor.fleet import Refusal, Refused, WatchedCluster, WatchedMember
from cmom.monitor.gates import Circumstances, Hold
from cmom.monitor.journal_lines import Lines
from cmom.monitor.listening import Listener, Sign
from cmom.monitor.metrics import Metrics
from cmom.monitor.policies import DIAGNOSIS, Policy, PolicyFault, subject_of
from cmom.monitor.threads import in_thread
from cmom.monitor.tier2 import Execution, Order, Outcome, Running, StartRefused, Tier2
from cmom.monitor.witness import inquire
from cmom.services.healing.evidence import Testimony
from cmom.services.healing.plan import Decision, may_heal

INTERRUPTED = "interrupted-heal"
_REFUSALS_KEPT = 20
# One that stays the same is said again so rarely.
_REMIND_SECONDS = 600.0
# Between two decisions that had the same outcome.
_LONGEST_PAUSE_SECONDS = 60.0
_ROW = 16


@dataclass(frozen=True)
class _Knowledge:
    """What was looked at right before."""

    sign: Sign
    testimony: Testimony
    executions: tuple[Execution, ...]
    running: Running
    settings: Mapping[str, Any]
    properties: Mapping[str, Any]


class Healer:
    """Starts heals, or says why not.

    Args:
        tier2: Where they are started.
        listener: To look at a member once more.
        metrics: Where it is counted.
        logger: Is told every decision.
        clock: Monotonic seconds.
        dry_run: Whether to only say what would be started.
    """

    def __init__(
        self,
        tier2: Tier2,
        listener: Listener,
        metrics: Metrics,
        logger: logging.Logger,
        clock: Callable[[], float],
        *,
        dry_run: bool = False,
    ) -> None:
        self._tier2 = tier2
        self._listener = listener
        self._metrics = metrics
        self._logger = logger
        self._lines = Lines(logger)
        self._clock = clock
        self._dry_run = dry_run

    async def consider(
        self,
        cluster: WatchedCluster,
        member: WatchedMember,
        circumstances: Circumstances,
        *,
        unfinished: bool = False,
    ) -> None:
        """Start the heal of a member that has failed, unless something speaks against it.

        Args:
            cluster: The member's.
            member: Which.
            circumstances: Of the fleet.
            unfinished: Whether an earlier heal of it was interrupted or failed; then it is gone on with,
                whatever the member answers by now.
        """
        cluster.considering = True
        try:
            if unfinished and await self._runs(cluster, member):
                return
            refusals = gates.of_circumstances(cluster, member, circumstances, unfinished=unfinished)
            policy = cluster.policy_of(member)
            if refusals or policy is None:
                self.refuse(cluster, member, refusals)
                return
            try:
                await self._decide(cluster, member, policy, unfinished=unfinished)
            except StartRefused as refused:
                self.refuse(cluster, member, (Refusal(refused.reason, str(refused)),))
            except PolicyFault as fault:
                self.refuse(
                    cluster, member, (Refusal(Hold.BAD_POLICY, f"The policy {policy.name}: {fault}."),)
                )
            except CmomError as error:
                self.refuse(cluster, member, (Refusal(Hold.TIER2_SILENT, str(error)),))
        finally:
            cluster.considering = False
            pause = min(cluster.times.interval_seconds * 2**member.refusals_in_a_row, _LONGEST_PAUSE_SECONDS)
            member.consider_at = self._clock() + pause

    async def _runs(self, cluster: WatchedCluster, member: WatchedMember) -> bool:
        """Tell whether the heal that seems unfinished is just running, whoever has started it."""
        policy = cluster.policy_of(member)
        if policy is None:
            return True
        try:
            running = await in_thread(
                lambda: self._tier2.running(cluster.key, policy.triggers[0].workflow_id)
            )
        except CmomError:
            return True
        return bool(running.heal)

    async def _decide(
        self, cluster: WatchedCluster, member: WatchedMember, policy: Policy, *, unfinished: bool
    ) -> None:
        known = await self._look_again(cluster, member, policy)
        instance_id, now = member.key.instance_id, datetime.now(timezone.utc)
        since = gates.seconds_since_last(policy, instance_id, known.executions, now)
        own = gates.seconds_since_own(policy, instance_id, cluster.started, self._clock())
        refusals = list(gates.of_running(known.running))
        refusals += gates.of_interval(policy, [one for one in (since, own) if one is not None])
        if known.sign.heard is None and not unfinished:
            refusals.append(Refusal(Hold.CANNOT_LOOK, f"This machine cannot look ({known.sign.detail})."))
        cluster.properties = known.properties
        situation = gates.situation_of(
            cluster,
            member,
            known.settings,
            known.testimony,
            ssh_answers=bool(known.sign.ssh.heard),
            rest_answers=known.sign.rest is not None and bool(known.sign.rest.heard),
        )
        verdict = may_heal(situation)
        if verdict.decision in (Decision.WAIT, Decision.REFUSE):
            refusals += [Refusal(finding.reason.value, finding.text) for finding in verdict.findings]
        order = self._order(member, policy, unfinished=unfinished)
        if self._dry_run and not refusals:
            refusals.append(
                Refusal(Hold.DRY_RUN, f"This is a dry run: {order.workflow_id} would be started.")
            )
        if refusals:
            self.refuse(cluster, member, tuple(refusals))
            return
        await self._start(cluster, member, order)

    async def _look_again(self, cluster: WatchedCluster, member: WatchedMember, policy: Policy) -> _Knowledge:
        """Look at everything at the same time, for the time until the heal starts counts."""
        key, workflow = cluster.key, policy.triggers[0].workflow_id
        silent = silent_addresses(cluster)
        deployments = self._tier2.deployments(key.tenant)
        sign, testimony, executions, running, (settings, properties) = await asyncio.gather(
            self._sign_of(member),
            in_thread(lambda: inquire(deployments, key.deployment_id, silent)),
            in_thread(lambda: self._tier2.executions(key)),
            in_thread(lambda: self._tier2.running(key, workflow)),
            in_thread(lambda: gates.read_cluster(deployments, key.deployment_id)),
        )
        return _Knowledge(sign, testimony, executions, running, settings, properties)

    async def _sign_of(self, member: WatchedMember) -> Sign:
        if member.host is None:
            return Sign(Beat(None, 0.0, "it is not installed"), None)
        return await self._listener.look(member, thoroughly=True)

    @staticmethod
    def _order(member: WatchedMember, policy: Policy, *, unfinished: bool) -> Order:
        subject = subject_of(
            member.key.instance_id,
            member.node_id,
            member.key.cluster.deployment_id,
            member.address,
            INTERRUPTED if unfinished else DIAGNOSIS,
        )
        return policy.triggers[0].order(subject)

    async def _start(self, cluster: WatchedCluster, member: WatchedMember, order: Order) -> None:
        ticket = await in_thread(lambda: self._tier2.start(cluster.key, order))
        cluster.ticket, cluster.in_heal = ticket, member.key.instance_id
        cluster.started[member.key.instance_id] = self._clock()
        member.refused, member.refusals_in_a_row = (), 0
        self._metrics.started()
        self._logger.warning(
            "%s: %s: started %s (%s).", cluster.key, member.name, order.workflow_id, ticket.place
        )

    def refuse(self, cluster: WatchedCluster, member: WatchedMember, refusals: tuple[Refusal, ...]) -> None:
        """Note why a member is not healed; said, counted and kept when it is another reason than before."""
        reasons, now = [one.reason for one in refusals], self._clock()
        same = reasons == [one.reason for one in member.refused]
        member.refused = refusals
        member.refusals_in_a_row = min(member.refusals_in_a_row + 1, _ROW) if same else 0
        if same and now - member.refused_at < _REMIND_SECONDS:
            if cluster.refusals and cluster.refusals[-1].member == member.name:
                cluster.refusals[-1] = Refused(member.name, refusals, cluster.refusals[-1].at)
            return
        member.refused_at = now
        self._lines.refused(member, refusals)
        if not same:
            self._metrics.refused(refusals)
            cluster.refusals.append(Refused(member.name, refusals, time.time()))
            del cluster.refusals[:-_REFUSALS_KEPT]

    async def follow(self, cluster: WatchedCluster) -> None:
        """Look how the heal that was started is getting on; say so when it has ended, and why it failed."""
        ticket = cluster.ticket
        if ticket is None:
            return
        try:
            outcome = await in_thread(lambda: self._tier2.outcome(ticket))
        except CmomError as error:
            self._logger.info("%s: how the heal is cannot be asked: %s", cluster.key, error)
            return
        if outcome is None:
            return
        cluster.ticket = None
        self._metrics.ended(outcome)
        if outcome is not Outcome.SUCCEEDED:
            # What it has left behind since Tier 2 was read tells why.
            deployments, name = self._tier2.deployments(cluster.key.tenant), cluster.key.deployment_id
            with suppress(CmomError):
                _, cluster.properties = await in_thread(lambda: gates.read_cluster(deployments, name))
        self._lines.ended(cluster, outcome, ticket)


def silent_addresses(cluster: WatchedCluster) -> frozenset[str]:
    """Return the private addresses of the members that are not heard."""
    return frozenset(
        member.host.ip
        for member in cluster.members.values()
        if member.host is not None and member.pulse is not None and member.pulse.silent
    )
