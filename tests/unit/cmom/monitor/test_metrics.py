"""What Prometheus gets."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from prometheus_client.parser import text_string_to_metric_families

from cmom.clients.heartbeats import Beat
from cmom.monitor.fleet import Fleet, Refusal
from cmom.monitor.metrics import Gauges, Metrics
from cmom.monitor.pulse import Times
from cmom.monitor.tier2 import ClusterKey, Outcome
from cmom.monitor.verdict import State, Verdict
from tests.unit.cmom.monitor.given_fleet import deployment, inventory


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Return every sample by its name and the values of its labels, in the alphabetical order of these."""
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def shown(fleet: Fleet, *, breaker_open: bool = False, age: float | None = 2.0) -> Metrics:
    metrics = Metrics()
    metrics.show(fleet, Gauges(lambda: breaker_open, lambda: age))
    return metrics


def test_states_are_read_off_the_fleet_when_they_are_asked_for() -> None:
    created = datetime.now(timezone.utc) - timedelta(seconds=100)
    backup = {"id": "s", "created_at": created.isoformat().replace("+00:00", "Z")}
    fleet = Fleet(Times())
    metrics = shown(fleet, breaker_open=True)
    assert samples(metrics)["cmom_monitor_clusters",] == 0
    with_backup = deployment("two", tenant="blue", properties={"status": {"last_backup": backup}})
    fleet.update(inventory(deployment(), with_backup), 0.0)
    fleet.clusters[ClusterKey("blue", "two")].members["manager_1"].verdict = Verdict(State.FAILED)
    found = samples(metrics)
    assert found["cmom_monitor_clusters",] == 2
    assert found["cmom_monitor_members", "starting"] == 5
    assert found["cmom_monitor_members", "failed"] == 1
    assert found["cmom_monitor_members", "unknown"] == 0
    assert found["cmom_monitor_cluster_members", "two", "failed", "blue"] == 1
    assert found["cmom_monitor_breaker_open",] == 1
    assert found["cmom_monitor_tier2_reading_age_seconds",] == 2.0
    assert 100 <= found["cmom_monitor_snapshot_age_seconds", "two", "blue"] < 200
    assert ("cmom_monitor_snapshot_age_seconds", "one", "default_tenant") not in found


def test_the_last_backup_is_found_in_the_list_where_the_status_does_not_tell_it() -> None:
    rows = [
        {"id": "rotten", "created_at": "2026-05-01T12:00:00Z", "verified": False},
        {"id": "good", "created_at": "2026-05-01T11:00:00Z", "verified": True},
    ]
    fleet = Fleet(Times())
    fleet.update(inventory(deployment(properties={"backups": rows})), 0.0)
    age = samples(shown(fleet))["cmom_monitor_snapshot_age_seconds", "one", "default_tenant"]
    expected = (datetime.now(timezone.utc) - datetime(2026, 5, 1, 11, tzinfo=timezone.utc)).total_seconds()
    assert abs(age - max(0.0, expected)) < 60


def test_what_happens_is_counted() -> None:
    metrics = shown(Fleet(Times()), age=None)
    metrics.beat("ssh", Beat(True, 0.02, "SSH-2.0-x"))
    metrics.beat("ssh", Beat(False, 5.0, "no connection"))
    metrics.beat("rest", Beat(None, 0.0, "too many open files"))
    metrics.started()
    metrics.ended(Outcome.FAILED)
    metrics.refused([Refusal("interval", "x"), Refusal("paused", "y")])
    metrics.refused([Refusal("interval", "x")])
    metrics.reading(good=False)
    metrics.late(0.3)
    found = samples(metrics)
    assert found["cmom_monitor_heartbeats_total", "ssh", "heard"] == 1
    assert found["cmom_monitor_heartbeats_total", "ssh", "missed"] == 1
    assert found["cmom_monitor_heartbeats_total", "rest", "blind"] == 1
    assert found["cmom_monitor_heartbeat_seconds_count", "ssh"] == 1
    assert found["cmom_monitor_heals_started_total",] == 1
    assert found["cmom_monitor_heals_total", "failed"] == 1
    assert found["cmom_monitor_heals_total", "succeeded"] == 0
    assert found["cmom_monitor_refusals_total", "interval"] == 2
    assert found["cmom_monitor_refusals_total", "paused"] == 1
    assert found["cmom_monitor_tier2_readings_total", "failed"] == 1
    assert found["cmom_monitor_heartbeat_lateness_seconds_sum",] == 0.3
    assert ("cmom_monitor_tier2_reading_age_seconds",) not in found


def test_names_follow_the_conventions() -> None:
    for family in text_string_to_metric_families(shown(Fleet(Times())).text().decode()):
        assert family.name.startswith("cmom_monitor_")
        assert family.documentation.endswith(".")
        for sample in family.samples:
            assert family.type != "counter" or sample.name.endswith(("_total", "_created"))


def test_a_fleet_of_thousands_makes_few_series() -> None:
    fleet = Fleet(Times())
    fleet.update(inventory(*(deployment(f"c{number}") for number in range(500))), 0.0)
    assert len(samples(shown(fleet))) < 600
