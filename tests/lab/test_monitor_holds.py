"""The monitor over real sockets: what holds a heal, and for how long."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from cmom.models import Host
from cmom.monitor.verdict import State
from cmom.services import activity
from cmom.services.healing import record
from tests.lab.given_watched import GENERATION4, GENERATION5, eventually
from tests.lab.watching import AFTERMATH_SECONDS, MakeWatched, Watching, nothing_follows


def test_two_monitors_start_one_heal(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    watched.hold_heals()
    with Watching.of(watched) as one, Watching.of(watched) as other:
        one.wait_until_all_healthy(cluster)
        other.wait_until_all_healthy(cluster)
        watched.lab.kill(cluster.machines[1].name)
        eventually(lambda: watched.heals, "a heal")
        eventually(
            lambda: (
                {*one.refusals(cluster, cluster.machines[1]), *other.refusals(cluster, cluster.machines[1])}
                & {"another_heal", "interval"}
            ),
            "the refusal of the second",
        )
        time.sleep(AFTERMATH_SECONDS)
        watched.finish_heals()
        time.sleep(AFTERMATH_SECONDS)
        assert len(watched.heals) == 1


def test_a_heal_waits_for_another_execution_of_the_deployment(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    folder = activity.deployment_folder(watched.deployments, cluster.name)
    activity.hold(folder, "a backup")
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(cluster.machines[1].name)
        watching.wait_for_refusal(cluster, cluster.machines[1], "another_execution")
        nothing_follows(watched)
        activity.release(folder)
        eventually(lambda: watched.heals, "a heal")


def test_a_heal_waits_for_another_heal(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        with activity.healing(activity.deployment_folder(watched.deployments, cluster.name)):
            watched.lab.kill(cluster.machines[1].name)
            watching.wait_for_refusal(cluster, cluster.machines[1], "another_heal")
            nothing_follows(watched)
        eventually(lambda: watched.heals, "a heal")


def test_a_heal_of_long_ago_holds_nothing_and_one_of_a_moment_ago_does(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    dead = cluster.machines[1]
    cluster.remember_heal(cluster.instance_of(dead), 590.0)
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(dead.name)
        watching.wait_for_refusal(cluster, dead, "interval")
        cluster.remember_heal(cluster.instance_of(dead), 601.0)
        eventually(lambda: watched.heals, "a heal")


def test_a_negative_interval_is_no_limit_and_a_heal_that_failed_is_started_again(
    make_watched: MakeWatched,
) -> None:
    watched = make_watched(policy={"interval_between_workflows": -1})
    (cluster,) = watched.clusters
    watched.finish_heals(badly=True)
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(cluster.machines[1].name)
        eventually(lambda: len(watched.heals) >= 2, "a second heal")
        watching.wait_for_line("has failed (process")


def test_what_cannot_even_begin_is_not_started_over_and_over(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    watched.cfy.write_text("#!/bin/sh\nexit 1\n")  # it leaves no trace on Tier 2
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(cluster.machines[1].name)
        watching.wait_for_line("has failed (process")
        watching.wait_for_refusal(cluster, cluster.machines[1], "interval")
        time.sleep(AFTERMATH_SECONDS)
        assert len([line for line in watching.lines if "started heal_tier1_manager" in line]) == 1


def test_a_pause_holds_heals_until_it_is_over(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters

    def pause(seconds: float) -> None:
        paused: dict[str, Any] = {}
        record.pause(paused, seconds, "a change", record.datetime.now(record.timezone.utc))
        cluster.change("cloudify_cluster_1", runtime_properties=paused)

    # Tier 2 is read rarely; what counts for a heal is read once more right before.
    with Watching.of(watched, tier2={"refresh_seconds": 60.0}) as watching:
        watching.wait_until_all_healthy(cluster)
        pause(3600)
        watched.lab.kill(cluster.machines[1].name)
        watching.wait_for_refusal(cluster, cluster.machines[1], "paused")
        nothing_follows(watched)
        pause(1)
        # Nobody resumes it: it ends by itself.
        eventually(lambda: watched.heals, "a heal")


def test_a_heal_that_failed_is_started_again_after_a_growing_delay(make_watched: MakeWatched) -> None:
    watched = make_watched(policy={"interval_between_workflows": -1}, heal_retry_delay_seconds=3600)
    (cluster,) = watched.clusters
    dead = cluster.machines[1]

    def failed(seconds_ago: float) -> dict[str, Any]:
        moment = record.datetime.now(record.timezone.utc) - timedelta(seconds=seconds_ago)
        properties: dict[str, Any] = {}
        host = Host(dead.ip, dead.public_ip, dead.hostname)
        instance_id = cluster.instance_of(dead)
        record.begin(
            properties,
            record.Journal(
                instance_id, host.hostname, host.ip, host.public_ip, "x", "2026-05-01T11:00:00Z", "e"
            ),
            moment,
        )
        record.fail(properties, instance_id, "it did not join", moment)
        return properties

    cluster.change("cloudify_cluster_1", runtime_properties=failed(seconds_ago=3500))
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(dead.name)
        watching.wait_for_refusal(cluster, dead, "too_soon")
        nothing_follows(watched)
        cluster.change("cloudify_cluster_1", runtime_properties=failed(seconds_ago=3601))
        eventually(lambda: watched.heals, "a heal")


def test_a_death_during_an_upgrade_is_healed_in_the_old_cluster_and_not_in_the_new(
    make_watched: MakeWatched,
) -> None:
    watched = make_watched(3, 3, versions=[GENERATION4, GENERATION5])
    old, new = watched.clusters
    folder = activity.deployment_folder(watched.deployments, new.name)
    activity.hold(folder, "the installation of the new one, which restores the snapshot of the old one")
    try:
        with Watching.of(watched, breaker={"share": 1.0}) as watching:
            watching.wait_until_all_healthy(old, new)
            new.change(new.instance_of(new.machines[2]), state="creating")
            watched.lab.kill(new.machines[1].name)
            watching.wait_for_refusal(new, new.machines[1], "another_execution")
            watched.lab.kill(new.machines[2].name)
            watching.wait_for_state(new, new.machines[2], State.ABSENT)
            watched.lab.kill(old.machines[1].name)
            eventually(lambda: watched.heals, "a heal")
            time.sleep(AFTERMATH_SECONDS)
    finally:
        activity.release(folder)
    assert [heal["words"][4] for heal in watched.heals] == [old.name]


def test_a_member_that_no_policy_is_about_is_only_watched(make_watched: MakeWatched) -> None:
    watched = make_watched(policy={"members": ["host"]})
    (cluster,) = watched.clusters
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(cluster.machines[1].name)
        watching.wait_for_refusal(cluster, cluster.machines[1], "no_policy")
        nothing_follows(watched)


def test_a_dry_run_says_what_it_would_start(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    with Watching.of(watched, dry_run=True) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(cluster.machines[1].name)
        watching.wait_for_refusal(cluster, cluster.machines[1], "dry_run")
        assert watching.wait_for_line("heal_tier1_manager would be started")
        nothing_follows(watched)
