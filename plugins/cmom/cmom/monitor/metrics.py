"""What Prometheus gets: names, units and kinds by its conventions.

What is counted is counted as it happens; what is a state is read off the fleet when it is asked for. Labels
are few: a fleet of thousands of members makes as many series as it has clusters, not as it has members.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cmom.clients.heartbeats import Beat
from cmom.monitor.fleet import Fleet, Refusal
from cmom.monitor.tier2 import Outcome
from cmom.monitor.verdict import State
from cmom.runtime import BACKUPS, LAST_BACKUP, STATUS
from cmom.version import __version__

_LATENCY_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_LATENESS_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Gauges:
    """What is read when somebody asks.

    Attributes:
        breaker_open: Whether the breaker is.
        reading_age_seconds: How old what is known of Tier 2 is; None before the first reading.
    """

    breaker_open: Callable[[], bool]
    reading_age_seconds: Callable[[], float | None]


class Metrics:
    """The monitor's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._latency = Histogram(
            "cmom_monitor_heartbeat_seconds",
            "How long members took to give a sign of life.",
            ["probe"],
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self._beats = Counter(
            "cmom_monitor_heartbeats",
            "Looks at members, by what they gave: heard, missed, or blind when this machine could not look.",
            ["probe", "result"],
            registry=self.registry,
        )
        self._lateness = Histogram(
            "cmom_monitor_heartbeat_lateness_seconds",
            "How much later than planned members were looked at.",
            buckets=_LATENESS_BUCKETS,
            registry=self.registry,
        )
        self._started = Counter(
            "cmom_monitor_heals_started", "Heals that this monitor has started.", registry=self.registry
        )
        self._heals = Counter(
            "cmom_monitor_heals",
            "Heals that this monitor has started and that have ended, by how.",
            ["outcome"],
            registry=self.registry,
        )
        self._refusals = Counter(
            "cmom_monitor_refusals",
            "Decisions not to heal a member that does not answer, by reason; one that stays is counted once.",
            ["reason"],
            registry=self.registry,
        )
        self._readings = Counter(
            "cmom_monitor_tier2_readings",
            "Readings of Tier 2, by result.",
            ["result"],
            registry=self.registry,
        )
        Gauge("cmom_monitor_info", "Which monitor this is.", ["version"], registry=self.registry).labels(
            __version__
        ).set(1)
        for outcome in Outcome:
            self._heals.labels(outcome.value)

    def show(self, fleet: Fleet, gauges: Gauges) -> None:
        """Have the states read off a fleet from now on."""
        self.registry.register(_States(fleet, gauges))

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return bytes(generate_latest(self.registry))

    def beat(self, probe: str, beat: Beat) -> None:
        """Count a look at a member."""
        result = "blind" if beat.heard is None else "heard" if beat.heard else "missed"
        self._beats.labels(probe, result).inc()
        if beat.heard:
            self._latency.labels(probe).observe(beat.seconds)

    def late(self, seconds: float) -> None:
        """Note how late a member was looked at."""
        self._lateness.observe(seconds)

    def reading(self, *, good: bool) -> None:
        """Count a reading of Tier 2."""
        self._readings.labels("good" if good else "failed").inc()

    def started(self) -> None:
        """Count a heal that was started."""
        self._started.inc()

    def ended(self, outcome: Outcome) -> None:
        """Count a heal that has ended."""
        self._heals.labels(outcome.value).inc()

    def refused(self, refusals: Iterable[Refusal]) -> None:
        """Count a decision not to heal."""
        for refusal in refusals:
            self._refusals.labels(refusal.reason).inc()


class _States(Collector):
    """What is a state, read off the fleet."""

    def __init__(self, fleet: Fleet, gauges: Gauges) -> None:
        self._fleet = fleet
        self._gauges = gauges

    def describe(self) -> Iterable[Metric]:
        """Name nothing before it is asked for."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Read it."""
        total: Tally[State] = Tally()
        by_cluster = GaugeMetricFamily(
            "cmom_monitor_cluster_members",
            "Members of a cluster by state.",
            labels=["tenant", "deployment", "state"],
        )
        ages = GaugeMetricFamily(
            "cmom_monitor_snapshot_age_seconds",
            "Age of a cluster's last verified snapshot on Tier 2; no sample for a cluster without one.",
            labels=["tenant", "deployment"],
        )
        now = datetime.now(timezone.utc)
        for key, cluster in self._fleet.clusters.items():
            states = Tally(member.verdict.state for member in cluster.members.values())
            total += states
            names = [_as_label(key.tenant), _as_label(key.deployment_id)]
            for state, count in states.items():
                by_cluster.add_metric([*names, state.value], count)
            age = snapshot_age_seconds(cluster.properties, now)
            if age is not None:
                ages.add_metric(names, age)
        members = GaugeMetricFamily("cmom_monitor_members", "Members by state.", labels=["state"])
        for state in State:
            members.add_metric([state.value], total[state])
        yield from (members, by_cluster, ages)
        yield GaugeMetricFamily(
            "cmom_monitor_clusters", "Clusters that are watched.", value=len(self._fleet.clusters)
        )
        yield GaugeMetricFamily(
            "cmom_monitor_breaker_open",
            "Whether the fleet-wide breaker holds all heals (1) or not (0).",
            value=float(self._gauges.breaker_open()),
        )
        reading = self._gauges.reading_age_seconds()
        if reading is not None:
            yield GaugeMetricFamily(
                "cmom_monitor_tier2_reading_age_seconds", "Age of what is known of Tier 2.", value=reading
            )


def _as_label(name: str) -> str:
    """Return a name as text that can be written; that of a file may hold bytes that are none."""
    return name.encode("utf-8", "replace").decode("utf-8")


def snapshot_age_seconds(properties: Mapping[str, Any], now: datetime) -> float | None:
    """Return the age of a cluster's last verified snapshot, by its runtime properties; None for none."""
    created = last_backup(properties).get("created_at")
    try:
        found = datetime.fromisoformat(str(created).replace("Z", "+00:00"))
    except ValueError:
        return None
    if found.tzinfo is None:
        found = found.replace(tzinfo=timezone.utc)
    return max(0.0, (now - found).total_seconds())


def last_backup(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is known of a cluster's last verified snapshot; empty for none."""
    status = properties.get(STATUS)
    last = status.get(LAST_BACKUP) if isinstance(status, Mapping) else None
    if isinstance(last, Mapping):
        return last
    rows = properties.get(BACKUPS)
    verified = (
        [row for row in rows if isinstance(row, Mapping) and row.get("verified")]
        if isinstance(rows, list)
        else []
    )
    return verified[0] if verified else {}
