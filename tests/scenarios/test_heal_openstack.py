"""Servers of a cluster on OpenStack die: each is made again in its place, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.openstack.testing import CloudThread
from tests.scenarios.healing import (
    QUICK,
    assert_healed,
    heal,
    heal_words,
    instance_of,
    last,
    leader_and_replicas,
)
from tests.scenarios.openstack import assert_uninstalled, tier2_for
from tests.scenarios.tier2 import Tier2


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[CloudThread]:
    """A cloud that works."""
    with CloudThread(tmp_path / "lab") as running:
        yield running


def installed(tmp_path: Path, cloud: CloudThread, mode: str, **inputs: object) -> Tier2:
    """A Tier 2 that has installed a cluster of two."""
    given = {**QUICK, "snapshots_path": str(tmp_path / "snapshots"), **inputs}
    tier2 = tier2_for(tmp_path / "tier2", cloud, mode, 2, **given)
    result = tier2.install()
    assert result.returncode == 0, result.stdout
    return tier2


def servers_by_address(cloud: CloudThread) -> dict[str, str]:
    """The IDs of the servers, by their private addresses."""
    return {server.port.address: server.id for server in cloud.cloud.servers.values()}


def power_off(cloud: CloudThread, private_ip: str) -> None:
    """Cut a server's power."""
    server = cloud.cloud.servers[servers_by_address(cloud)[private_ip]]
    cloud.run(lambda: cloud.lab.kill(server.machine))


def terminate(cloud: CloudThread, private_ip: str) -> None:
    """Delete a server behind Tier 2's back."""
    server = cloud.cloud.servers[servers_by_address(cloud)[private_ip]]
    cloud.run(lambda: cloud.cloud._tear_down(server))


def private_ip_of(tier2: Tier2, public_ip: str) -> str:
    """The private address of a manager."""
    (found,) = [
        one["ip"]
        for one in tier2.profile.runtime_properties(tier2.deployment, "manager")
        if one["public_ip"] == public_ip
    ]
    return str(found)


def test_the_leader_is_shut_off_and_then_the_other_server_is_terminated(
    tmp_path: Path, cloud: CloudThread
) -> None:
    tier2 = installed(tmp_path, cloud, "floating_ip")
    held, servers, ports = cloud.holdings(), servers_by_address(cloud), set(cloud.cloud.ports)
    addresses = leader_and_replicas(tier2)

    for how, dead in ((power_off, addresses[0]), (terminate, addresses[1][0])):
        how(cloud, private_ip_of(tier2, dead))
        healed = heal(tier2, instance_of(tier2, dead))

        assert healed.returncode == 0, healed.stdout
        assert_healed(tier2, members=2)
        assert last(tier2)["machine"] == "made anew"

    assert {kind: sorted(names) for kind, names in cloud.holdings().items()} == {
        kind: sorted(names) for kind, names in held.items()
    }
    assert set(cloud.cloud.ports) == ports
    assert servers_by_address(cloud).keys() == servers.keys()
    assert not set(servers_by_address(cloud).values()) & set(servers.values())
    master, slaves = leader_and_replicas(tier2)
    assert {master, *slaves} == {addresses[0], *addresses[1]}
    assert_uninstalled(tier2, cloud)


def test_a_heal_that_is_killed_while_the_server_is_replaced_leaks_nothing(
    tmp_path: Path, cloud: CloudThread
) -> None:
    tier2 = installed(tmp_path, cloud, "private_fixed_ip")
    held, ports = cloud.holdings(), set(cloud.cloud.ports)
    _, (dead,) = leader_and_replicas(tier2)
    target = instance_of(tier2, dead)
    old = servers_by_address(cloud)[dead]
    power_off(cloud, dead)
    words = heal_words(tier2, target)

    tier2.run_and_kill(r"Deleting the server", *words)
    tier2.run_and_kill(lambda: old not in cloud.cloud.servers, *words)
    # Made, and its ID never heard of: the answer does not come.
    cloud.fault("hang", r"/compute/v2.1/servers$", method="POST")
    tier2.run_and_kill(lambda: len(cloud.cloud.servers) == 2, *words)
    cloud.clear_faults()
    made = servers_by_address(cloud)[dead]
    tier2.run_and_kill(r"starting cfy_manager install", *words)
    healed = heal(tier2, target)

    assert healed.returncode == 0, healed.stdout
    assert_healed(tier2, members=2)
    assert servers_by_address(cloud)[dead] == made, "the server that nobody had heard of was taken over"
    assert {kind: sorted(names) for kind, names in cloud.holdings().items()} == {
        kind: sorted(names) for kind, names in held.items()
    }
    assert set(cloud.cloud.ports) == ports
    assert_uninstalled(tier2, cloud)


def test_a_server_that_cannot_be_deleted_is_not_taken_for_the_new_one(
    tmp_path: Path, cloud: CloudThread
) -> None:
    tier2 = installed(tmp_path, cloud, "private_fixed_ip")
    _, (dead,) = leader_and_replicas(tier2)
    target = instance_of(tier2, dead)
    old = servers_by_address(cloud)[dead]
    power_off(cloud, dead)
    cloud.fault("500", r"/compute/v2.1/servers/", method="DELETE")

    failed = tier2.profile.run(*heal_words(tier2, target), "--task-retries", "0")

    assert failed.returncode != 0
    assert last(tier2)["outcome"] == "failed"
    assert servers_by_address(cloud)[dead] == old

    cloud.clear_faults()
    healed = heal(tier2, target)

    assert healed.returncode == 0, healed.stdout
    assert_healed(tier2, members=2)
    assert servers_by_address(cloud)[dead] != old


def test_a_server_that_comes_back_after_a_reboot_is_not_replaced(tmp_path: Path, cloud: CloudThread) -> None:
    steps = ["restart_services", "wait", "reboot", "rebuild"]
    tier2 = installed(tmp_path, cloud, "private_fixed_ip", heal_steps=steps, heal_wait_seconds=2.0)
    _, (dead,) = leader_and_replicas(tier2)
    server, target = servers_by_address(cloud)[dead], instance_of(tier2, dead)
    power_off(cloud, dead)

    recovered = heal(tier2, target)

    assert recovered.returncode == 0, recovered.stdout
    assert last(tier2)["outcome"] == "recovered"
    assert last(tier2)["machine"] == "came back after reboot"
    assert "After wait:" in recovered.stdout
    tier2.assert_whole(2)
    assert servers_by_address(cloud)[dead] == server

    terminate(cloud, dead)
    healed = heal(tier2, target)

    assert healed.returncode == 0, healed.stdout
    assert_healed(tier2, members=2)
    assert "After reboot:" in healed.stdout
    assert servers_by_address(cloud)[dead] != server
