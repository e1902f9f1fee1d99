"""In the middle of a heal another member dies, or the dead one comes back: nothing alive is destroyed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cloudify_rest_client import CloudifyClient

from lab.local_profile import LocalProfile
from lab.testing import LabThread
from tests.lab.engine import Engine
from tests.lab.moments import Moments, moments
from tests.scenarios.healing import QUICK, machines_for_healing, rebuild_command

# Instead of the 15 s before the next try.
PAUSE_SECONDS = 0.3
NO_LEADER = "The databases have no leader"


class Cluster:
    """A cluster, installed by the blueprint with the engine inside the test."""

    def __init__(self, folder: Path, lab: LabThread) -> None:
        self.lab = lab
        self.inputs = {
            **lab.inputs(),
            **QUICK,
            "snapshots_path": str(folder / "snapshots"),
            "rebuild_command": rebuild_command(lab),
            "poll_interval_seconds": 0.05,
        }
        self.engine = Engine(
            LocalProfile.create(folder / "tier2"), "hosts_blueprint.yaml", self.inputs, PAUSE_SECONDS
        )
        self.engine.run("install")

    def heal(self, name: str, task_retries: int = 20) -> None:
        """Heal the member on a machine."""
        ip = self.lab.machine(name).public_ip
        (instance,) = [
            one["id"]
            for one in self.engine.instances("manager")
            if one["runtime_properties"]["public_ip"] == ip
        ]
        self.engine.run(
            "heal_tier1_manager", task_retries, node_instance_id=instance, diagnose_value="heart-beat-failure"
        )

    def refusal(self, name: str) -> dict[str, Any]:
        """Try to heal a member, and return why that is refused."""
        with pytest.raises(RuntimeError):
            self.heal(name, task_retries=1)
        return self.history()[-1]

    def history(self) -> list[dict[str, Any]]:
        """What is remembered of heals."""
        (properties,) = self.engine.properties("cloudify_cluster")
        found: list[dict[str, Any]] = properties["heal_history"]
        return found

    def names(self) -> list[str]:
        """The lab's names of the machines; that of the leader first."""
        (properties,) = self.engine.properties("cloudify_cluster")
        master = properties["cluster_ips"]["Master"]
        return sorted(
            (one.name for one in self.lab.machines),
            key=lambda name: self.lab.machine(name).public_ip != master,
        )

    def condition(self) -> str:
        """Look at the cluster."""
        self.engine.run("get_status")
        (properties,) = self.engine.properties("cloudify_cluster")
        return str(properties["status"]["condition"])

    @contextmanager
    def client(self, name: str) -> Iterator[Any]:
        """The real REST client for the manager on a machine."""
        client = CloudifyClient(
            host=self.lab.machine(name).public_ip,
            port=self.inputs["rest_port"],
            protocol="https",
            api_version="v3.1",
            username="admin",
            password=self.inputs["manager_admin_password"],
            tenant="default_tenant",
            cert=self.inputs["ca_cert"],
        )
        try:
            yield client
        finally:
            client._client._session.close()

    def secrets(self, name: str) -> list[str]:
        """The secrets that one manager shows."""
        with self.client(name) as client:
            return [one.key for one in client.secrets.list()]


@contextmanager
def cluster_of(folder: Path, members: int, version: str = "7.0.5") -> Iterator[tuple[Cluster, Moments]]:
    """A cluster that holds one secret."""
    with (
        machines_for_healing(folder / "lab", machines=members, version=version) as lab,
        moments() as listening,
    ):
        cluster = Cluster(folder, lab)
        with cluster.client(cluster.names()[0]) as client:
            client.secrets.create("kept", "value")
        yield cluster, listening


@pytest.mark.parametrize("version", ["4.6.0", "7.0.5"])
def test_a_member_that_comes_back_before_it_is_removed_stays(tmp_path: Path, version: str) -> None:
    with cluster_of(tmp_path, 3, version) as (cluster, listening):
        lab = cluster.lab
        _, other, dead = cluster.names()
        managers = {name: lab.machine(name).manager for name in (other, dead)}

        def one_comes_and_another_goes() -> None:
            lab.start(dead)
            lab.kill(other)

        lab.kill(dead)
        listening.at(r"Task started 'cmom.operations.healing.remove'", one_comes_and_another_goes)
        cluster.heal(dead)

        listening.assert_all_came()
        entry = cluster.history()[-1]
        assert (entry["outcome"], entry["machine"]) == ("recovered", "came back by itself")
        cluster.heal(other)
        assert cluster.history()[-1]["outcome"] == "healed"
        assert lab.machine(dead).manager is managers[dead]
        assert lab.machine(other).manager is not managers[other]
        assert cluster.condition() == "ready"


def test_a_second_death_of_three_stops_a_heal_until_that_one_is_back(tmp_path: Path) -> None:
    with cluster_of(tmp_path, 3) as (cluster, listening):
        lab = cluster.lab
        assert cluster.refusal("m1")["reasons"] == ["target_alive"]
        lab.kill("m1")
        lab.kill("m3")
        refused = cluster.refusal("m1")
        assert (refused["reasons"], NO_LEADER in refused["message"]) == (["no_leader"], True)
        assert cluster.condition() == "down"
        lab.start("m3")

        # The other one dies when the member is half removed, and again when its database is to join.
        listening.at(r"Removing the database", lambda: lab.kill("m3"))
        listening.at(r"Task failed .*\.remove'", lambda: lab.start("m3"))
        listening.at(r"rejoin\] INFO: \S+: starting cfy_manager install", lambda: lab.kill("m3"))
        listening.at(r"Task failed .*\.rejoin'", lambda: lab.start("m3"))
        cluster.heal("m1")

        listening.assert_all_came()
        assert "it is installed anew" in listening.text
        assert cluster.history()[-1]["outcome"] == "healed"
        assert cluster.condition() == "ready"
        for name in ("m1", "m2", "m3"):
            assert cluster.secrets(name) == ["kept"]


def test_a_heal_goes_on_after_all_others_died_while_its_member_joined(tmp_path: Path) -> None:
    with cluster_of(tmp_path, 3) as (cluster, listening):
        lab = cluster.lab
        others = ("m2", "m3")
        lab.kill("m1")
        # The new database has joined, and leads when they are back; no other manager was told of it.
        listening.at(r"rejoin\] INFO: \S+: cfy_manager dbs add", lambda: [lab.kill(one) for one in others])
        with pytest.raises(RuntimeError):
            cluster.heal("m1")
        listening.assert_all_came()
        assert cluster.history()[-1]["outcome"] == "failed"

        for one in others:
            lab.start(one)
        rebuilt = listening.text.count("rebuild_command")
        cluster.heal("m1")
        assert "of which the managers were never told" in listening.text
        assert listening.text.count("rebuild_command") == rebuilt
        assert cluster.history()[-1]["outcome"] == "healed"
        assert cluster.condition() == "ready"
        assert cluster.secrets("m1") == ["kept"]


def test_a_second_death_of_five_waits_for_its_turn_and_the_cluster_works_on(tmp_path: Path) -> None:
    with cluster_of(tmp_path, 5) as (cluster, listening):
        lab = cluster.lab
        seen: dict[str, Any] = {}

        def second_death() -> None:
            lab.kill("m4")
            heal = threading.Thread(target=lambda: seen.update(refusal=cluster.refusal("m4")))
            heal.start()
            heal.join()
            seen["secrets"] = cluster.secrets("m2")

        lab.kill("m1")
        listening.at(r"rejoin\] INFO: .* install -c /etc/cloudify/cmom-manager.yaml", second_death)
        cluster.heal("m1")

        listening.assert_all_came()
        assert "Waiting for the other members to be well again" not in listening.text
        assert seen["refusal"]["reasons"] == ["another_heal"]
        assert seen["secrets"] == ["kept"]
        assert cluster.condition() == "degraded"
        cluster.heal("m4")
        assert [one["outcome"] for one in cluster.history()][-1] == "healed"
        assert cluster.condition() == "ready"
