"""A member leaves the cluster before its machine goes, and one that comes joins it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.faults import Fault
from lab.openstack.testing import CloudThread, local_profile
from tests.lab.engine import Engine

PLUGIN = {"scaling": Path(__file__).with_name("scaling_plugin.yaml")}
BLUEPRINT = """\
tosca_definitions_version: cloudify_dsl_1_3
imports:
  - blueprint.yaml
  - plugin:scaling
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudThread]:
    """A cloud for all tests of this file; each uninstalls what it installs."""
    with CloudThread(tmp_path_factory.mktemp("cloud")) as running:
        yield running


class Cluster:
    """A cluster on the stand-in cloud, with addresses out of the pool."""

    def __init__(self, folder: Path, cloud: CloudThread, members: int) -> None:
        profile = local_profile(folder, "private_fixed_ip", PLUGIN)
        (profile.blueprint_folder / "scaling.yaml").write_text(BLUEPRINT)
        inputs = {**cloud.inputs(members), "poll_interval_seconds": 0.05}
        self.engine = Engine(profile, "scaling.yaml", inputs)
        self.engine.run("install")

    def properties(self) -> dict[str, Any]:
        """The runtime properties of the cluster's node."""
        (found,) = self.engine.properties("cloudify_cluster")
        return found

    def states(self) -> dict[str, str]:
        """Member names and what each is."""
        return {row["name"]: row["state"] for row in self.properties()["status"]["cluster_status"]}

    def assert_ready(self, *names: str) -> None:
        """Assert that just these are members, and that all of them are well."""
        properties = self.properties()
        assert properties["status"]["condition"] == "ready", properties["status"]
        assert sorted(self.states()) == sorted(names)
        addresses = properties["cluster_ips"]
        assert 1 + len(addresses["Slaves"]) == len(names)

    def manager(self, state: str) -> tuple[str, str]:
        """The instance and the name of a member in this state."""
        states = self.states()
        for instance in self.engine.instances("manager"):
            name = instance["runtime_properties"].get("hostname")
            if states.get(name) == state:
                return instance["id"], name
        raise AssertionError(f"no {state} in {states}")

    def events(self, capfd: pytest.CaptureFixture[str]) -> str:
        """What was logged since the last time."""
        return capfd.readouterr().out


@pytest.fixture
def cluster(tmp_path: Path, cloud: CloudThread) -> Iterator[Cluster]:
    """A cluster of three of generation 4."""
    with installed_on(cloud, tmp_path, 3) as running:
        yield running


@contextmanager
def installed_on(cloud: CloudThread, folder: Path, members: int) -> Iterator[Cluster]:
    """A cluster, of which an uninstall leaves nothing."""
    installed = Cluster(folder, cloud, members)
    yield installed
    installed.engine.run("uninstall")
    assert not any(cloud.holdings().values())


def order(text: str, *words: str) -> list[str]:
    """The words in the order in which they first appear."""
    places = {word: text.find(word) for word in words}
    assert -1 not in places.values(), (places, text)
    return sorted(places, key=lambda word: places[word])


def test_a_replica_leaves_the_cluster_before_its_machine_goes(
    cluster: Cluster, cloud: CloudThread, capfd: pytest.CaptureFixture[str]
) -> None:
    manager, name = cluster.manager("replica")
    cluster.events(capfd)

    cluster.engine.run("scale_in", manager=manager)

    steps = ["has left the cluster", f"[{manager}] Deleting", "Deleting the server"]
    assert order(cluster.events(capfd), *steps) == steps
    assert sorted(cluster.states().values()) == ["leader", "replica"]
    cluster.assert_ready(*({"tier1-1", "tier1-2", "tier1-3"} - {name}))
    assert name not in cloud.holdings()["servers"]
    assert len(cloud.holdings()["ports"]) == 2


def test_a_machine_stays_when_its_manager_could_not_leave(
    cluster: Cluster, cloud: CloudThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cmom.operations.cluster.LEADER_SECONDS", 0.5)
    manager, name = cluster.manager("replica")
    for machine in cloud.lab.machines.values():
        cloud.call(machine.faults.add, Fault("500", path="/cluster/"))

    with pytest.raises(RuntimeError, match=r"operations\.manager\.stop"):
        cluster.engine.run("scale_in", manager=manager, task_retries=1)

    for machine in cloud.lab.machines.values():
        cloud.call(machine.faults.clear)
    assert len(cloud.holdings()["servers"]) == 3
    cluster.engine.run("get_status")
    cluster.assert_ready("tier1-1", "tier1-2", "tier1-3")

    cluster.engine.run("scale_in", manager=manager)

    cluster.assert_ready(*({"tier1-1", "tier1-2", "tier1-3"} - {name}))


def test_a_leader_hands_over_before_it_goes_and_comes_back_as_a_replica(
    cluster: Cluster, cloud: CloudThread
) -> None:
    manager, name = cluster.manager("leader")

    cluster.engine.run("scale_in", manager=manager)

    assert name not in cluster.states()
    assert sorted(cluster.states().values()) == ["leader", "replica"]
    assert name not in cloud.holdings()["servers"]
    assert held(cluster) == sorted(cloud.holdings()["servers"])  # its address is free again

    cluster.engine.run("scale_out", manager=manager)

    assert sorted(cluster.states().values()) == ["leader", "replica", "replica"]
    assert cluster.states()[name] == "replica"
    assert name in cloud.holdings()["servers"]
    assert held(cluster) == ["tier1-1", "tier1-2", "tier1-3"]


def test_a_machine_that_is_made_again_keeps_its_address_and_name(
    cluster: Cluster, cloud: CloudThread
) -> None:
    manager, name = cluster.manager("replica")
    (before,) = [host for host in cluster.engine.properties("host") if host["hostname"] == name]
    (server,) = [server for server in cloud.cloud.servers.values() if server.name == name]
    cloud.call(cloud.cloud.delete_server, server)  # somebody terminated it

    cluster.engine.run("remake", manager=manager)

    assert before in cluster.engine.properties("host")
    assert cluster.states()[name] == "replica"
    (again,) = [server for server in cloud.cloud.servers.values() if server.name == name]
    assert again.id != server.id
    assert again.port is server.port
    assert held(cluster) == ["tier1-1", "tier1-2", "tier1-3"]


def test_a_cluster_of_generation_5_keeps_its_majority(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        CloudThread(tmp_path / "cloud", version="7.0.5") as cloud,
        installed_on(cloud, tmp_path / "tier2", 5) as cluster,
    ):
        names = {f"tier1-{number}" for number in range(1, 6)}
        cluster.assert_ready(*names)
        managers = {
            instance["runtime_properties"]["hostname"]: instance["id"]
            for instance in cluster.engine.instances("manager")
        }

        machines = {server.name: server.machine for server in cloud.cloud.servers.values()}
        dead = [machines["tier1-2"], machines["tier1-3"]]
        for machine in dead:
            cloud.run(functools.partial(cloud.lab.kill, machine))
        with pytest.raises(RuntimeError, match=r"operations\.manager\.stop"):
            cluster.engine.run("scale_in", task_retries=0, manager=managers["tier1-1"])
        assert "only 2 of the 4 other members are alive" in cluster.events(capfd)
        assert sorted(cloud.holdings()["servers"]) == sorted(names)
        for machine in dead:
            cloud.run(functools.partial(cloud.lab.switch_on, machine))
        cluster.engine.run("get_status")
        cluster.assert_ready(*names)

        for name in ("tier1-1", "tier1-4"):  # the first is the one through which all others came
            cluster.engine.run("scale_in", manager=managers[name])
            names -= {name}
            cluster.assert_ready(*names)
            assert sorted(cloud.holdings()["servers"]) == sorted(names) == held(cluster)

        with pytest.raises(RuntimeError, match=r"operations\.manager\.stop"):
            cluster.engine.run("scale_in", manager=managers["tier1-5"])
        assert "a cluster of generation 5 needs 3 members" in cluster.events(capfd)
        assert sorted(cloud.holdings()["servers"]) == sorted(names)
        cluster.engine.run("get_status")
        cluster.assert_ready(*names)

        cluster.engine.run("scale_out", manager=managers["tier1-4"])
        assert len(cluster.states()) == 4
        cluster.assert_ready(*names, *(set(held(cluster)) - names))


def held(cluster: Cluster) -> list[str]:
    """The names that are handed out from the pool."""
    (properties,) = cluster.engine.properties("infrastructure")
    allocations: dict[str, Any] = properties["allocations"]
    return sorted(entry["hostname"] for entry in allocations.values())
