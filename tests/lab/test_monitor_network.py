"""The monitor over real sockets: what may be alive is left alone, whatever the network does."""

from __future__ import annotations

import time

import pytest

from cmom.monitor.verdict import State
from tests.lab.given_watched import GENERATION4, GENERATION5, eventually
from tests.lab.watching import AFTERMATH_SECONDS, MakeWatched, Watching, hang, nothing_follows


def test_a_machine_that_hangs_for_us_alone_is_left_alone(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        hang(watched, cluster.machines[2])
        watching.wait_for_refusal(cluster, cluster.machines[2], "seen_by_peers")
        nothing_follows(watched)


@pytest.mark.parametrize("version", [GENERATION4, GENERATION5])
def test_a_member_that_only_we_cannot_reach_is_unknown_and_trusted_again_later(
    make_watched: MakeWatched, version: str
) -> None:
    watched = make_watched(versions=[version])
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
    watched = make_watched(2, 3, versions=[GENERATION4, GENERATION5])
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
