"""Installing clusters of generation 5: what `cfy_manager` does, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.cluster5 import QUEUE, Cluster5, cluster_of


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Cluster5]:
    with cluster_of(tmp_path) as cluster:
        yield cluster


def test_a_service_that_the_installer_does_not_know_is_not_refused_and_not_installed(tmp_path: Path) -> None:
    # `service_is_in_config` of the installer only asks for the names that it knows.
    with cluster_of(tmp_path, machines=1) as cluster:
        config = cluster.queue("m1")
        config["services_to_install"].append("manger_service")
        assert cluster.install("m1", QUEUE, config).code == 0
        machine = cluster.lab.machine("m1")
        assert machine.manager is None
        assert machine.backing.broker is not None
        assert machine.path("/etc/cloudify/.configured/manger_service").exists()


def test_three_members_are_one_cluster(bare: Cluster5) -> None:
    bare.install_all()
    for name in bare.names:
        client = bare.client(name)
        status = client.cluster_status.get_status()
        assert status["status"] == "OK", status
        assert {kind: set(told["nodes"]) for kind, told in status["services"].items()} == {
            kind: {bare.host(one) for one in bare.names} for kind in ("broker", "db", "manager")
        }
        assert client.cluster_status.get_status(summary_format=True)["status"] == "OK"
        assert client.manager.get_status()["status"] == "OK"
        assert [one.hostname for one in client.manager.get_managers()] == [bare.host(m) for m in bare.names]
        assert {one.host for one in client.manager.get_db_nodes()} == {bare.ip(m) for m in bare.names}
        assert {one.name for one in client.manager.get_brokers()} == {bare.host(m) for m in bare.names}
    bare.client("m1").secrets.create("shared", "value")
    assert bare.client("m3").secrets.get("shared").value == "value"
