"""The monitor over real sockets: it follows what Tier 2 says, and goes on with what was interrupted."""

from __future__ import annotations

import json
from typing import Any

from cmom.models import Host
from cmom.monitor.verdict import State
from cmom.services import activity
from cmom.services.healing import record
from cmom.services.healing.plan import Phase
from lab.machine import Machine
from tests.lab.given_watched import eventually
from tests.lab.watching import MakeWatched, Watching, nothing_follows


def test_a_heal_that_was_interrupted_is_gone_on_with(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    dead = cluster.machines[1]
    cluster.change(cluster.instance_of(dead), state="deleted", runtime_properties={})
    cluster.change("cloudify_cluster_1", runtime_properties=interrupted_heal(cluster.instance_of(dead), dead))
    watched.lab.kill(dead.name)
    with Watching.of(watched) as watching:
        eventually(lambda: watched.heals, "a heal")
        assert watching.state(cluster, dead) is State.ABSENT
    assert watched.heals[0]["parameters"] == {
        "node_instance_id": cluster.instance_of(dead),
        "diagnose_value": "interrupted-heal",
    }


def test_an_unfinished_heal_that_runs_is_left_alone(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    dead = cluster.machines[1]
    cluster.change(cluster.instance_of(dead), state="deleted", runtime_properties={})
    cluster.change("cloudify_cluster_1", runtime_properties=interrupted_heal(cluster.instance_of(dead), dead))
    with (
        activity.healing(activity.deployment_folder(watched.deployments, cluster.name)),
        Watching.of(watched) as one,
    ):
        nothing_follows(watched)
        assert one.refusals(cluster, dead) == []


def interrupted_heal(instance_id: str, machine: Machine) -> dict[str, Any]:
    """What a heal leaves that was killed after it had removed the member."""
    properties: dict[str, Any] = {}
    now = record.datetime.now(record.timezone.utc)
    host = Host(machine.ip, machine.public_ip, machine.hostname)
    journal = record.Journal(
        instance_id, host.hostname, host.ip, host.public_ip, "x", "2026-05-01T11:00:00Z", "e"
    )
    record.begin(properties, journal, now)
    record.advance(properties, instance_id, now, phase=Phase.REMOVED)
    return properties


def test_one_deployment_that_cannot_be_read_costs_the_others_nothing(make_watched: MakeWatched) -> None:
    watched = make_watched(1, 3)
    broken, whole = watched.clusters
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(broken, whole)
        (broken.folder / "deployment.json").write_text('{"id": "half')
        watched.lab.kill(whole.machines[1].name)
        eventually(lambda: watched.heals, "a heal")
        watched.lab.kill(broken.machines[0].name)
        watching.wait_for_state(broken, broken.machines[0], State.UNKNOWN)
    assert [heal["words"][4] for heal in watched.heals] == [whole.name]


def test_what_tier_2_does_meanwhile_is_followed(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    leaving = cluster.machines[2]
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        cluster.change(cluster.instance_of(leaving), state="stopping")
        watching.wait_for_state(cluster, leaving, State.ABSENT)
        watched.lab.kill(leaving.name)
        nothing_follows(watched)
        watched.lab.start(leaving.name)
        cluster.change(cluster.instance_of(leaving), state="started")
        watching.wait_for_state(cluster, leaving, State.HEALTHY)
        (cluster.folder / "deployment.json").unlink()
        eventually(lambda: not watching.monitor.fleet.clusters, "the deployment being forgotten")


def test_what_it_did_is_in_its_metrics(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(cluster.machines[1].name)
        watching.wait_for_line("has succeeded")
        watching.wait_for_refusal(cluster, cluster.machines[1], "interval")
        text = watching.metrics.text().decode()
    for sample in (
        "cmom_monitor_heals_started_total 1.0",
        'cmom_monitor_heals_total{outcome="succeeded"} 1.0',
        'cmom_monitor_refusals_total{reason="interval"} 1.0',
        'cmom_monitor_members{state="healthy"} 2.0',
        'cmom_monitor_heartbeats_total{probe="rest",result="heard"}',
    ):
        assert sample in text
    assert json.dumps(text).count("canary") == 0
