"""The monitor over real sockets: members die, and are healed or, with good reason, not."""

from __future__ import annotations

import time

import pytest

from cmom.monitor.verdict import State
from cmom.services.healing.plan import NO_LEADER_MESSAGE
from tests.lab.given_watched import GENERATION4, GENERATION5, TIMES, eventually
from tests.lab.watching import AFTERMATH_SECONDS, MakeWatched, Watching, hang, nothing_follows


# In generation 5 it is the first one, whose database leads and through which the brokers have joined.
@pytest.mark.parametrize(("version", "number"), [(GENERATION4, 1), (GENERATION5, 0)])
def test_a_member_that_dies_is_suspected_then_failed_then_healed_once(
    make_watched: MakeWatched, version: str, number: int
) -> None:
    watched = make_watched(versions=[version])
    (cluster,) = watched.clusters
    dead = cluster.machines[number]
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(dead.name)
        eventually(lambda: watched.heals, "a heal")
        (heal,) = watched.heals
        watching.wait_for_line("has succeeded")
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


@pytest.mark.parametrize(
    ("version", "dead", "reason", "state"),
    [
        # The third leads, but may as well be the one that was cut off from the other two.
        (GENERATION4, (1, 2), "no_majority", State.FAILED),
        (GENERATION4, (0, 2), "no_majority", State.FAILED),
        # Without a majority of databases the third answers, and cannot tell anything.
        (GENERATION5, (0, 2), "no_witness", State.UNKNOWN),
    ],
    ids=["two replicas", "the leader and a replica", "two of generation 5"],
)
def test_two_of_three_that_die_are_not_healed_on_the_word_of_the_third(
    make_watched: MakeWatched, version: str, dead: tuple[int, int], reason: str, state: State
) -> None:
    watched = make_watched(versions=[version])
    (cluster,) = watched.clusters
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        for number in dead:
            watched.lab.kill(cluster.machines[number].name)
        for number in dead:
            watching.wait_for_refusal(cluster, cluster.machines[number], reason)
            assert watching.state(cluster, cluster.machines[number]) is state
        assert watching.state(cluster, cluster.machines[1 if 0 in dead else 0]) is State.HEALTHY
        nothing_follows(watched)
        # One of them is back: that is a majority, and the other one is healed.
        watched.lab.start(cluster.machines[dead[0]].name)
        eventually(lambda: watched.heals, "a heal")
    assert watched.heals[0]["parameters"]["node_instance_id"] == cluster.instance_of(
        cluster.machines[dead[1]]
    )


@pytest.mark.parametrize("version", [GENERATION4, GENERATION5])
def test_when_all_die_there_is_no_witness_until_some_are_back(
    make_watched: MakeWatched, version: str
) -> None:
    watched = make_watched(versions=[version])
    (cluster,) = watched.clusters
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        for machine in cluster.machines:
            watched.lab.kill(machine.name)
        for machine in cluster.machines:
            watching.wait_for_refusal(cluster, machine, "no_witness")
        nothing_follows(watched)
        assert NO_LEADER_MESSAGE in "\n".join(watching.lines)
        # It goes on looking: when the power is back for two of them, they are the witness for the third.
        for machine in cluster.machines[:2]:
            watched.lab.start(machine.name)
        eventually(lambda: watched.heals, "a heal")
    dead = cluster.instance_of(cluster.machines[2])
    assert [heal["parameters"]["node_instance_id"] for heal in watched.heals] == [dead]


def test_two_of_five_that_die_are_healed_one_after_the_other(make_watched: MakeWatched) -> None:
    watched = make_watched(5)
    (cluster,) = watched.clusters
    first, second = cluster.machines[0], cluster.machines[3]
    watched.hold_heals()
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(first.name)
        eventually(lambda: watched.heals, "the first heal")
        watched.lab.kill(second.name)
        watching.wait_for_refusal(cluster, second, "another_heal")
        time.sleep(AFTERMATH_SECONDS)
        assert len(watched.heals) == 1
        watched.finish_heals()
        eventually(lambda: len(watched.heals) == 2, "the second heal")
    healed = [heal["parameters"]["node_instance_id"] for heal in watched.heals]
    assert healed == [cluster.instance_of(first), cluster.instance_of(second)]


def test_a_monitor_that_is_restarted_in_the_middle_begins_to_count_anew(make_watched: MakeWatched) -> None:
    watched = make_watched()
    (cluster,) = watched.clusters
    dead = cluster.machines[1]
    with Watching.of(watched) as watching:
        watching.wait_until_all_healthy(cluster)
        watched.lab.kill(dead.name)
        watching.wait_for_state(cluster, dead, State.SUSPECT)
    assert watched.heals == []
    began = time.monotonic()
    with Watching.of(watched) as watching:
        eventually(lambda: watched.heals, "a heal")
        assert time.monotonic() - began >= TIMES["grace_seconds"] + TIMES["failed_seconds"]
        watching.wait_for_line("has succeeded")
    assert len(watched.heals) == 1


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
