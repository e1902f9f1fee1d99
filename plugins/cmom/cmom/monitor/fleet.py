"""All clusters as they are known now: what Tier 2 says of them, and what was heard of their members."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from cmom.clients.heartbeats import Beat
from cmom.clients.tier2 import Instance, Node
from cmom.models import DEFAULT_REST_PORT, DEFAULT_SSH_PORT, Host
from cmom.monitor.breaker import Silence
from cmom.monitor.policies import Policy, parse_policies
from cmom.monitor.pulse import Pulse, Times
from cmom.monitor.tier2 import ClusterKey, Deployment, Inventory, Ticket
from cmom.monitor.verdict import State, Verdict
from cmom.runtime import load_host
from cmom.services.deployed import CLUSTER_TYPE, MANAGER_TYPE
from cmom.services.healing.evidence import Testimony
from cmom.services.healing.record import Journal, journals, name_of, status_output

STARTED = "started"
# More than any port or interval is.
_MOST = 1e9
_ODD_SHAPE = (
    LookupError,
    TypeError,
    AttributeError,
    ValueError,
    ArithmeticError,
    RecursionError,
    StopIteration,
)


@dataclass(frozen=True)
class MemberKey:
    """Which member."""

    cluster: ClusterKey
    instance_id: str


@dataclass(frozen=True)
class Refusal:
    """Why a heal is not started.

    Attributes:
        reason: One word that does not change; metrics carry it.
        text: For people.
    """

    reason: str
    text: str


@dataclass(frozen=True)
class Refused:
    """A decision not to heal, kept to be shown.

    Attributes:
        at: Seconds since the epoch.
    """

    member: str
    refusals: tuple[Refusal, ...]
    at: float


@dataclass(eq=False)
class WatchedMember:
    """A member, and what is known of it.

    Attributes:
        instance_state: Of the manager's node instance, in Tier 2's words.
        host: Where it is; None when it is not installed.
        pulse: What was heard; None when nobody listens.
        rest: What its REST service said last; None when it was not asked yet.
        rest_due: When it is to be asked again.
        listening: Whether somebody listens just now.
        refused: Why it was not healed the last time; empty when nothing was to be done.
        refused_at: When that was said, on the monotonic clock.
        consider_at: When a heal may be considered again.
        refusals_in_a_row: How often it was refused for the same reasons.
    """

    key: MemberKey
    node_id: str
    instance_state: str
    host: Host | None
    ssh_port: int
    rest_port: int
    pulse: Pulse | None = None
    rest: Beat | None = None
    rest_due: float = 0.0
    listening: bool = False
    verdict: Verdict = field(default_factory=lambda: Verdict(State.ABSENT))
    refused: tuple[Refusal, ...] = ()
    refused_at: float = 0.0
    consider_at: float = 0.0
    refusals_in_a_row: int = 0

    @property
    def name(self) -> str:
        """How it is called in messages."""
        return self.key.instance_id if self.host is None else name_of(self.host)

    @property
    def address(self) -> str:
        """By which Tier 2 reaches it; empty when it is not installed."""
        return "" if self.host is None else self.host.public_ip


@dataclass(eq=False)
class WatchedCluster:
    """A cluster, and what is known of it.

    Attributes:
        times: With the deployment's own heartbeat interval.
        settings: The properties of its node, intrinsic functions left as they are.
        properties: The runtime properties of its node instance.
        faults: What is wrong with its policies.
        unread: Why Tier 2's knowledge of it cannot be read just now; empty when it can.
        testimony: What its members said last of each other, and when.
        asking: Whether they are being asked just now.
        considering: Whether a heal is just being decided on.
        ticket: The heal that this monitor has started and that has not ended.
        in_heal: The instance of the member that it is about.
        started: When this monitor last started a heal of a member, by its instance; Tier 2 may not show it.
        refusals: The last decisions not to heal, the newest last.
    """

    key: ClusterKey
    times: Times
    settings: Mapping[str, Any]
    properties: Mapping[str, Any]
    policies: tuple[Policy, ...]
    faults: tuple[str, ...]
    unread: str = ""
    members: dict[str, WatchedMember] = field(default_factory=dict)
    testimony: Testimony | None = None
    testified_at: float = 0.0
    asking: bool = False
    considering: bool = False
    ticket: Ticket | None = None
    in_heal: str = ""
    started: dict[str, float] = field(default_factory=dict)
    refusals: list[Refused] = field(default_factory=list)

    @property
    def silence(self) -> Silence:
        """How much of it is silent."""
        heard_of = [one for one in self.members.values() if one.pulse is not None]
        silent = sum(
            one.verdict.state in (State.SUSPECT, State.FAILED, State.UNKNOWN)
            and one.pulse is not None
            and one.pulse.silent
            for one in heard_of
        )
        return Silence(len(heard_of), silent)

    def policy_of(self, member: WatchedMember) -> Policy | None:
        """Return the first policy that is about a member."""
        return next((policy for policy in self.policies if member.node_id in policy.node_ids), None)

    def unfinished(self) -> tuple[Journal, ...]:
        """Return the heals that have taken something from the cluster and were not ended well."""
        return tuple(journal for journal in journals(self.properties) if journal.phase.value != "found")


class Fleet:
    """All clusters.

    Args:
        times: What counts where a deployment does not say its own heartbeat interval.
    """

    def __init__(self, times: Times) -> None:
        self._times = times
        self.clusters: dict[ClusterKey, WatchedCluster] = {}

    def members(self) -> Iterator[WatchedMember]:
        """Yield all members of all clusters."""
        for cluster in self.clusters.values():
            yield from cluster.members.values()

    def member(self, key: MemberKey) -> WatchedMember | None:
        """Find a member."""
        cluster = self.clusters.get(key.cluster)
        return None if cluster is None else cluster.members.get(key.instance_id)

    def update(self, inventory: Inventory, now: float) -> None:
        """Take over what Tier 2 says; what was heard of members that are still the same is kept.

        Args:
            inventory: All deployments that carry a cluster.
            now: On the monotonic clock.
        """
        before, self.clusters = self.clusters, {}
        for deployment in inventory.deployments:
            known = before.get(deployment.key)
            try:
                cluster = self._cluster(deployment, known, now)
            except _ODD_SHAPE as error:
                # Anybody may write runtime properties. What nobody can read costs this cluster its heals, and
                # the others nothing.
                cluster = known or WatchedCluster(deployment.key, self._times, {}, {}, (), ())
                cluster.unread = f"what Tier 2 holds of it has an unexpected shape ({type(error).__name__})"
            self.clusters[deployment.key] = cluster
        for key, why in inventory.unread.items():
            if key in before:
                before[key].unread = why
                self.clusters[key] = before[key]

    def _cluster(self, deployment: Deployment, before: WatchedCluster | None, now: float) -> WatchedCluster:
        node = next(node for node in deployment.nodes if CLUSTER_TYPE in node.types)
        instance = next((one for one in deployment.instances if one.node_id == node.id), None)
        policies, faults = parse_policies(deployment.groups, deployment.inputs)
        interval = number(node.properties.get("heartbeat_interval"), self._times.interval_seconds)
        times = replace(self._times, interval_seconds=interval)
        properties = {} if instance is None else instance.runtime_properties
        status_output(properties, datetime.now(timezone.utc))  # raises where the record of healing is damaged
        cluster = before or WatchedCluster(deployment.key, times, {}, {}, (), ())
        cluster.times, cluster.settings, cluster.properties = times, node.properties, properties
        cluster.policies, cluster.faults, cluster.unread = policies, faults, ""
        managers = {one.id: one for one in deployment.nodes if MANAGER_TYPE in one.types}
        known, cluster.members = cluster.members, {}
        for one in deployment.instances:
            if one.node_id in managers:
                member = _member(
                    deployment.key, one, managers[one.node_id], number(node.properties.get("rest_port"), 0)
                )
                cluster.members[one.id] = self._kept(member, known.get(one.id), cluster, now)
        return cluster

    @staticmethod
    def _kept(
        member: WatchedMember, before: WatchedMember | None, cluster: WatchedCluster, now: float
    ) -> WatchedMember:
        policy = cluster.policy_of(member)
        started_only = policy is None or policy.started_only
        watched = member.host is not None and (member.instance_state == STARTED or not started_only)
        if before is None:
            before = member
        same = before.host == member.host and before.pulse is not None
        before.instance_state, before.host = member.instance_state, member.host
        before.ssh_port, before.rest_port = member.ssh_port, member.rest_port
        if not watched:
            before.pulse, before.rest, before.verdict = None, None, Verdict(State.ABSENT)
        elif not same:
            # Just installed, or made again: it is given time to begin.
            before.pulse, before.rest, before.verdict = (
                Pulse(watched_since=now),
                None,
                Verdict(State.STARTING),
            )
        return before


def _member(key: ClusterKey, instance: Instance, node: Node, cluster_port: float) -> WatchedMember:
    properties = node.properties
    port = number(properties.get("rest_port"), cluster_port or DEFAULT_REST_PORT)
    return WatchedMember(
        key=MemberKey(key, instance.id),
        node_id=instance.node_id,
        instance_state=instance.state,
        host=load_host(instance.runtime_properties),
        ssh_port=int(number(properties.get("ssh_port"), DEFAULT_SSH_PORT)),
        rest_port=int(port),
    )


def number(value: object, default: float) -> float:
    """Return a property that is to be a positive number; the default for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < _MOST:
        return float(value)
    return default
