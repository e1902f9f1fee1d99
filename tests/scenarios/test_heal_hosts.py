"""Members of a cluster on machines that exist already die, and are healed or, with good reason, not."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cmom.services import activity
from lab.manager.five.files import INTERNAL_CERT
from lab.manager.installer import EXTERNAL_CERT
from lab.testing import LabThread
from tests.scenarios.healing import (
    NO_LEADER,
    assert_healed,
    assert_refused,
    heal,
    history,
    installed,
    instance_of,
    last,
    leader_and_replicas,
    machine_of,
    machines_for_healing,
    rebuild_command,
)
from tests.scenarios.tier2 import Tier2


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[LabThread]:
    """Three machines that can be rebuilt."""
    with machines_for_healing(tmp_path / "lab") as lab:
        yield lab


def host_keys(tier2: Tier2) -> dict[str, str]:
    """The recorded host keys of all machines, by address."""
    managers = tier2.profile.runtime_properties(tier2.deployment, "manager")
    return {one["public_ip"]: one["ssh_host_key"] for one in managers}


def test_a_replica_dies_and_then_the_leader_and_each_is_healed(tmp_path: Path, machines: LabThread) -> None:
    tier2 = installed(tmp_path, machines)
    pool = tier2.properties("infrastructure")["allocations"]
    leader, (replica, _) = leader_and_replicas(tier2)
    keys = host_keys(tier2)

    machines.kill(machine_of(machines, replica))
    healed = heal(tier2, instance_of(tier2, replica))

    assert healed.returncode == 0, healed.stdout
    assert_healed(tier2)
    assert "cfy cluster update-profile" in healed.stdout
    assert "it was not the master" in healed.stdout
    assert leader_and_replicas(tier2)[0] == leader
    assert list((tmp_path / "tier2" / "snapshots" / "cluster").glob("*.zip"))
    assert last(tier2)["backup"].startswith("snapshot snap_")
    assert [f"snapshot {row['id']}" for row in tier2.properties()["backups"]] == [last(tier2)["backup"]]

    machines.kill(machine_of(machines, leader))
    healed = heal(tier2, instance_of(tier2, leader, "host"))  # by the ID of what it is installed on

    assert healed.returncode == 0, healed.stdout
    assert_healed(tier2)
    new_leader, replicas = leader_and_replicas(tier2)
    assert new_leader != leader
    assert leader in replicas
    assert f"use the address of the leader, {new_leader}," in healed.stdout
    assert last(tier2)["was_leader"] is True
    assert tier2.properties("infrastructure")["allocations"] == pool
    # Rebuilt machines show other host keys; these are recorded, and that of the third one is what it was.
    changed = {ip for ip, key in host_keys(tier2).items() if key != keys[ip]}
    assert changed == {leader, replica}


def test_what_lives_or_may_live_is_not_healed(tmp_path: Path, machines: LabThread) -> None:
    tier2 = installed(tmp_path, machines)
    leader, (replica, other) = leader_and_replicas(tier2)
    target = instance_of(tier2, replica)
    managers = {machine.name: machine.manager for machine in machines.machines}

    assert_refused(heal(tier2, target), tier2, "target_alive")

    machines.partition(machine_of(machines, replica))
    assert_refused(heal(tier2, target), tier2, "seen_by_peers")
    machines.heal_partition(machine_of(machines, replica))

    machines.kill(machine_of(machines, replica))
    paused = tier2.start("pause_healing", "-p", "duration_seconds=3600", "-p", "reason=works on the network")
    assert paused.returncode == 0, paused.stdout
    assert tier2.properties()["status"]["healing_paused"]["reason"] == "works on the network"
    refused = heal(tier2, target)
    assert_refused(refused, tier2, "paused")
    assert "works on the network" in refused.stdout
    assert tier2.start("resume_healing").returncode == 0

    machines.kill(machine_of(machines, other))
    assert_refused(heal(tier2, target), tier2, "no_majority")

    machines.kill(machine_of(machines, leader))
    refused = heal(tier2, target)
    assert_refused(refused, tier2, "no_leader")
    assert refused.stdout.count(NO_LEADER) >= 2, "it is tried again"
    assert last(tier2)["count"] == 2

    assert [entry["reasons"] for entry in history(tier2)] == [
        ["target_alive"],
        ["seen_by_peers"],
        ["paused"],
        ["no_majority"],
        ["no_leader"],
    ]
    for machine in machines.machines:
        assert machine.manager is managers[machine.name], "nothing was touched"


def test_a_heal_and_another_execution_keep_out_of_each_others_way(
    tmp_path: Path, machines: LabThread
) -> None:
    tier2 = installed(tmp_path, machines, num_of_instances=2)
    leader, (replica,) = leader_and_replicas(tier2)
    target = instance_of(tier2, replica)
    folder = activity.deployment_folder(tier2.profile.storage, tier2.deployment)
    machines.kill(machine_of(machines, replica))
    backup = ("executions", "start", "backup", "-b", tier2.deployment, "--task-retries", "0")

    with activity.healing(folder):  # as another process does
        assert_refused(heal(tier2, target), tier2, "another_heal")
        kept_out = tier2.profile.run(*backup)
        assert kept_out.returncode != 0
        assert "A heal of this deployment runs" in kept_out.stdout
        assert tier2.start("get_status").returncode == 0

    machines.fault(machine_of(machines, leader), "hang", path="/snapshots/", method="PUT")
    running = tier2.profile.start(*backup, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not activity.is_executing(folder):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert_refused(heal(tier2, target), tier2, "another_execution")
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    machines.fault(machine_of(machines, leader), "clear")

    healed = heal(tier2, target)

    assert healed.returncode == 0, healed.stdout
    assert_healed(tier2, members=2)


def _refused_without_the_key(tier2: Tier2, target: str, replica: str) -> None:
    key = Path(tier2.inputs["ca_key"])
    key.rename(key.with_name("mislaid"))
    refused = heal(tier2, target)
    assert_refused(refused, tier2, "cannot_install")
    assert f"there is no file {key}" in refused.stdout
    assert replica in leader_and_replicas(tier2)[1], "it is a member as before"
    key.with_name("mislaid").rename(key)


@pytest.mark.parametrize(("version", "members"), [("4.6.0", 2), ("7.0.5", 3)])
def test_a_dead_machine_is_replaced_by_a_spare_or_else_by_one_that_was_repaired(
    tmp_path: Path, version: str, members: int
) -> None:
    with machines_for_healing(tmp_path / "lab", machines=members + 1, version=version) as machines:
        tier2 = installed(tmp_path, machines, rebuild_command="", num_of_instances=members)
        leader, replicas = leader_and_replicas(tier2)
        replica = replicas[-1]
        stay = {leader, *replicas} - {replica}
        (spare,) = {machine.public_ip for machine in machines.machines} - {leader, *replicas}
        target = instance_of(tier2, replica)
        machines.kill(machine_of(machines, replica))

        if version == "4.6.0":
            _refused_without_the_key(tier2, target, replica)

        healed = heal(tier2, target)

        assert healed.returncode == 0, healed.stdout
        assert_healed(tier2, members=members)
        assert {leader_and_replicas(tier2)[0], *leader_and_replicas(tier2)[1]} == {*stay, spare}
        assert spare in last(tier2)["machine"]
        assert f"taken by the spare {spare}" in healed.stdout
        held = tier2.properties("infrastructure")["allocations"].values()
        assert {entry["ip"] for entry in held} == {*stay, spare}

        machines.kill(machine_of(machines, spare))
        assert_refused(heal(tier2, target), tier2, "no_machine")

        machines.start(machine_of(machines, replica))  # somebody has repaired it, and all is on it still
        healed = heal(tier2, target)

        assert healed.returncode == 0, healed.stdout
        assert "what was left of its manager is removed" in healed.stdout
        assert_healed(tier2, members=members)
        held = tier2.properties("infrastructure")["allocations"].values()
        assert {entry["ip"] for entry in held} == {*stay, replica}


def test_a_heal_that_fails_is_tried_again_until_it_succeeds(tmp_path: Path, machines: LabThread) -> None:
    repaired = tmp_path / "repaired"
    command = rebuild_command(machines)
    script = f"if test -e {repaired}; then exec {command}; else echo nobody is there; fi"
    tier2 = installed(
        tmp_path,
        machines,
        rebuild_command=shlex.join(["/bin/sh", "-c", script]),
        ssh_timeout_seconds=3,
        heal_backup_timeout_seconds=3.0,
    )
    _, (replica, _) = leader_and_replicas(tier2)
    target, name = instance_of(tier2, replica), machine_of(machines, replica)
    machines.kill(name)
    machines.partition(name, "peers")
    for machine in machines.machines:
        machines.fault(machine.name, "500", path="/snapshots/", method="PUT")

    never_back = heal(tier2, target)

    assert never_back.returncode != 0
    assert "nobody is there" in never_back.stdout
    failed = last(tier2)
    assert failed["outcome"] == "failed"
    assert failed["backup"].startswith("failed")
    assert "There is no verified snapshot" in failed["backup"]
    (under_way,) = tier2.properties()["status"]["healing"]
    assert under_way["phase"] == "uninstalled"
    assert under_way["failed"]

    assert tier2.start("get_status").returncode == 0
    status = tier2.properties()["status"]
    assert status["condition"] == "degraded", "a member is missing, also while it is not even installed"
    assert replica in status["reason"]

    repaired.touch()
    not_joined = heal(tier2, target)

    assert not_joined.returncode != 0
    assert last(tier2)["tries"] == 2
    assert "failed to join the cluster" in last(tier2)["error"]

    machines.heal_partition(name)
    healed = heal(tier2, target)

    assert healed.returncode == 0, healed.stdout
    assert_healed(tier2)
    assert machines.machine(name).manager is not None


def test_a_heal_of_an_unknown_instance_names_those_there_are(tmp_path: Path, machines: LabThread) -> None:
    tier2 = installed(tmp_path, machines, num_of_instances=1)
    (manager,) = [
        one["id"] for one in tier2.profile.node_instances(tier2.deployment) if one["node_id"] == "manager"
    ]

    refused = heal(tier2, "nothing_abc")

    assert refused.returncode != 0
    assert manager in refused.stdout
    assert_refused(heal(tier2, manager), tier2, "single_member", "target_alive")


@pytest.mark.parametrize(("version", "members"), [("4.6.0", 2), ("7.0.5", 3)])
def test_services_that_are_down_on_a_machine_that_lives_are_restarted_and_never_more(
    tmp_path: Path, version: str, members: int
) -> None:
    with machines_for_healing(tmp_path / "lab", version=version) as machines:
        tier2 = installed(
            tmp_path,
            machines,
            num_of_instances=members,
            heal_steps=["restart_services", "rebuild"],
            heal_wait_seconds=2.0,
        )
        _services_that_are_down(tier2, machines, members)


def _services_that_are_down(tier2: Tier2, machines: LabThread, members: int) -> None:
    replica = leader_and_replicas(tier2)[1][-1]
    target, machine = instance_of(tier2, replica), machines.machine(machine_of(machines, replica))
    manager = machine.manager
    assert manager is not None

    async def stop_services() -> None:
        manager.power_off()
        await machine.stop_rest()

    machines.run(stop_services)
    recovered = heal(tier2, target)

    assert recovered.returncode == 0, recovered.stdout
    assert last(tier2)["outcome"] == "recovered"
    assert machine.manager is manager
    tier2.assert_whole(members)

    machines.run(stop_services)
    for path in (EXTERNAL_CERT, INTERNAL_CERT):  # its web server does not start without
        machine.path(path).unlink()
    failed = heal(tier2, target)

    assert failed.returncode != 0
    assert "is not rebuilt" in last(tier2)["error"]
    assert machine.manager is manager
