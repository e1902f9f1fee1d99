"""The monitor over real sockets: who dies is healed, and what may be alive is left alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cmom.models import Host
from cmom.monitor.verdict import State
from cmom.services import activity
from cmom.services.healing import record
from cmom.services.healing.plan import Phase
from lab.machine import Machine
from tests.lab.given_watched import Watched, eventually
from tests.lab.watching import Watching

MakeWatched = Callable[..., Watched]

# Long enough for everything that could follow a failure to follow.
AFTERMATH_SECONDS = 1.2


@pytest.fixture
def make_watched(tmp_path: Path) -> Iterator[MakeWatched]:
    """Make clusters that are watched; taken down in the end."""
    with ExitStack() as stack:
        yield lambda *sizes, **changes: stack.enter_context(Watched(tmp_path, sizes or (3,), **changes))


def nothing_follows(watched: Watched) -> None:
    """Give a heal time to be started, and assert that none was."""
    time.sleep(AFTERMATH_SECONDS)
    assert watched.heals == []


def hang(watched: Watched, machine: Machine) -> None:
    """Let a machine take connections and never say anything."""
    watched.lab.fault(machine.name, "ssh-hang")
    watched.lab.fault(machine.name, "hang")


def test_a_replica_that_dies_is_suspected_then_failed_then_healed_once(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    dead = cluster.machines[1]
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(dead.name)
        eventually(lambda: watched.heals, "a heal")
        (heal,) = watched.heals
        watching.wait_for_line("the heal has succeeded")
        # It was started a moment ago, so it is not started again.
        watching.wait_for_refusal(cluster, dead, "interval")
        assert len(watched.heals) == 1
    assert heal["words"][:5] == ["executions", "start", "heal_tier1_manager", "-b", "cluster0"]
    assert heal["words"][-4:] == ["--task-retries", "60", "--task-retry-interval", "15"]
    assert heal["parameters"] == {
        "node_instance_id": cluster.instance_of(dead),
        "diagnose_value": "heart-beat-failure",
    }
    assert heal["mode"] == "0o600"
    said = "\n".join(watching.lines)
    story = (
        "missed a heartbeat",
        "is suspect",
        "lists it offline",
        "has failed",
        "started heal_tier1_manager",
    )
    places = [said.index(words) for words in story]
    assert places == sorted(places)
    assert not list((cluster.folder / "workdir" / "heals").glob("*.json"))


def test_a_leader_that_dies_is_healed_when_another_leads(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(cluster.machines[0].name)
        eventually(lambda: watched.heals, "a heal")
    assert watched.heals[0]["parameters"]["node_instance_id"] == cluster.instance_of(cluster.machines[0])


def test_two_of_three_that_die_are_not_healed_on_the_word_of_the_third(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        for machine in cluster.machines[1:]:
            watched.lab.kill(machine.name)
        watching.wait_for_state(cluster, cluster.machines[1], State.FAILED, State.UNKNOWN)
        eventually(lambda: watching.refusals(cluster, cluster.machines[1]), "a refusal")
        nothing_follows(watched)
        assert watching.refusals(cluster, cluster.machines[1]) in (["no_majority"], ["no_witness"])


def test_when_all_die_there_is_no_witness_and_the_known_message_is_given(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        for machine in cluster.machines:
            watched.lab.kill(machine.name)
        for machine in cluster.machines:
            watching.wait_for_refusal(cluster, machine, "no_witness")
        nothing_follows(watched)
        assert "Could not find a profile with a cluster configured." in "\n".join(watching.lines)


def test_a_machine_that_hangs_but_takes_connections_is_silent(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    dead = cluster.machines[2]
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.partition(dead.name, "peers")
        hang(watched, dead)
        eventually(lambda: watched.heals, "a heal")
        assert "but no greeting came" in "\n".join(watching.lines)


def test_a_machine_that_hangs_for_us_alone_is_left_alone(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        hang(watched, cluster.machines[2])
        watching.wait_for_refusal(cluster, cluster.machines[2], "seen_by_peers")
        nothing_follows(watched)


def test_a_member_that_only_we_cannot_reach_is_unknown_and_trusted_again_later(
    make_watched: MakeWatched,
) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    cut_off = cluster.machines[1]
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.partition(cut_off.name, "tier2")
        watching.wait_for_refusal(cluster, cut_off, "seen_by_peers")
        assert watching.state(cluster, cut_off) is State.UNKNOWN
        nothing_follows(watched)
        watched.lab.heal_partition(cut_off.name)
        watching.wait_for_line("Heard again since")
        watching.wait_for_state(cluster, cut_off, State.HEALTHY)
        assert watching.refusals(cluster, cut_off) == []


def test_a_partition_from_everything_opens_the_breaker(make_watched: MakeWatched) -> None:
    watched = make_watched(2, 2)
    with Watching.of(watched, breaker={"reset_seconds": 1.0}) as watching:
        watching.wait_until_all_healthy(*watched.clusters)
        for machine in watched.lab.machines:
            watched.lab.partition(machine.name, "all")
        watching.wait_for_line("The breaker is open: 2 of 2 clusters vanished together")
        for cluster in watched.clusters:
            for machine in cluster.machines:
                watching.wait_for_refusal(cluster, machine, "breaker")
        nothing_follows(watched)
        for machine in watched.lab.machines:
            watched.lab.heal_partition(machine.name)
        watching.wait_for_line("The breaker is closed again")
        watching.wait_until_all_healthy(*watched.clusters)
        assert watched.heals == []


def test_while_the_breaker_is_open_what_is_really_dead_is_not_healed_either(
    make_watched: MakeWatched,
) -> None:
    watched = make_watched(3, 1, 1)
    first, second, third = watched.clusters
    with Watching.of(watched, breaker={"reset_seconds": 0.5}) as watching:
        watching.wait_until_all_healthy(*watched.clusters)
        for cluster in (second, third):
            watched.lab.partition(cluster.machines[0].name, "tier2")
        watching.wait_for_line("The breaker is open")
        watched.lab.kill(first.machines[2].name)
        watching.wait_for_refusal(first, first.machines[2], "breaker")
        nothing_follows(watched)
        for cluster in (second, third):
            watched.lab.heal_partition(cluster.machines[0].name)
        eventually(lambda: watched.heals, "a heal of what is really dead")


def test_a_password_that_changed_is_no_death_of_those_that_answer(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    path = cluster.folder / "deployment.json"
    path.write_text(path.read_text().replace("canary-watched-password", "canary-watched-password-2"))
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        # Even without SSH, that REST refuses us is a sign of life.
        watched.lab.fault(cluster.machines[0].name, "ssh-refuse")
        time.sleep(AFTERMATH_SECONDS)
        assert watching.state(cluster, cluster.machines[0]) is State.HEALTHY
        watched.lab.kill(cluster.machines[1].name)
        watching.wait_for_refusal(cluster, cluster.machines[1], "no_witness")
        assert "refuse to be a witness" in "\n".join(watching.lines)
        nothing_follows(watched)
        assert watching.state(cluster, cluster.machines[0]) is State.HEALTHY


def test_a_slow_network_makes_nobody_suspect(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    with Watching.of(watched, heartbeat={"timeout_seconds": 5.0}) as watching:
        watching.wait_until_all_healthy(cluster)
        for machine in cluster.machines:
            watched.lab.fault(machine.name, "ssh-slow", seconds=0.5)
            watched.lab.fault(machine.name, "slow", seconds=0.5)
        time.sleep(3.0)
        said = "\n".join(watching.lines)
        assert "is suspect" not in said
        assert watched.heals == []


def test_a_member_that_flaps_is_suspect_and_never_healed(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    flapping = cluster.machines[1]
    with Watching.of(watched, verdict={"failed_seconds": 6.0, "recover_seconds": 3.0}) as watching:
        watching.wait_until_all_healthy(cluster)
        for _ in range(4):
            watched.lab.partition(flapping.name, "all")
            watching.wait_for_state(cluster, flapping, State.SUSPECT)
            watched.lab.heal_partition(flapping.name)
            eventually(lambda: not watching.member(cluster, flapping).pulse.silent, "it being heard")  # type: ignore[union-attr]
            assert watching.state(cluster, flapping) is State.SUSPECT
        watching.wait_for_state(cluster, flapping, State.HEALTHY)
        assert watched.heals == []
        assert not [line for line in watching.lines if "has failed" in line]


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
        watching.wait_for_line("the heal has failed")


def test_what_cannot_even_begin_is_not_started_over_and_over(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    watched.cfy.write_text("#!/bin/sh\nexit 1\n")  # it leaves no trace on Tier 2
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(cluster.machines[1].name)
        watching.wait_for_line("the heal has failed")
        watching.wait_for_refusal(cluster, cluster.machines[1], "interval")
        time.sleep(AFTERMATH_SECONDS)
        assert len([line for line in watching.lines if "started heal_tier1_manager" in line]) == 1


def test_a_pause_holds_heals(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    paused: dict[str, Any] = {}
    record.pause(paused, 3600, "a change", record.datetime.now(record.timezone.utc))
    cluster.change("cloudify_cluster_1", runtime_properties=paused)
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(cluster.machines[1].name)
        watching.wait_for_refusal(cluster, cluster.machines[1], "paused")
        nothing_follows(watched)
        cluster.change("cloudify_cluster_1", runtime_properties={})
        eventually(lambda: watched.heals, "a heal")


def test_a_member_that_no_policy_is_about_is_only_watched(make_watched: MakeWatched) -> None:
    watched = make_watched(policy={"members": ["host"]})
    (cluster,) = watched.clusters
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(cluster.machines[1].name)
        watching.wait_for_refusal(cluster, cluster.machines[1], "no_policy")
        nothing_follows(watched)


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


def test_a_dry_run_says_what_it_would_start(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    with Watching.of(watched, dry_run=True) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(cluster.machines[1].name)
        watching.wait_for_refusal(cluster, cluster.machines[1], "dry_run")
        assert watching.wait_for_line("heal_tier1_manager would be started")
        nothing_follows(watched)


def test_what_it_did_is_in_its_metrics(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(cluster.machines[1].name)
        watching.wait_for_line("the heal has succeeded")
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
