"""Clusters that the blueprint installs on machines of the lab, by the real engine inside the test."""

from __future__ import annotations

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

# Of both generations.
VERSIONS = ("4.6.0", "7.0.5")
# Instead of the 15 s before the next try.
PAUSE_SECONDS = 0.3


class Cluster:
    """A cluster, installed by the blueprint with the engine inside the test.

    Args:
        folder: For its deployment.
        lab: The machines.
        spares: How many of them are no members. With any, there is no rebuild_command.
        inputs: Of the deployment, beside those of all.
    """

    def __init__(self, folder: Path, lab: LabThread, spares: int = 0, **inputs: Any) -> None:
        self.lab = lab
        self.inputs = {
            **lab.inputs(),
            **QUICK,
            "snapshots_path": str(folder / "snapshots"),
            "rebuild_command": "" if spares else rebuild_command(lab),
            "num_of_instances": len(lab.machines) - spares,
            "poll_interval_seconds": 0.05,
            **inputs,
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
def cluster_of(
    folder: Path, members: int, version: str = "7.0.5", spares: int = 0, **inputs: Any
) -> Iterator[tuple[Cluster, Moments]]:
    """A cluster that holds one secret."""
    with (
        machines_for_healing(folder / "lab", machines=members + spares, version=version) as lab,
        moments() as listening,
    ):
        cluster = Cluster(folder, lab, spares, **inputs)
        with cluster.client(cluster.names()[0]) as client:
            client.secrets.create("kept", "value")
        yield cluster, listening
