"""What went wrong on OpenStack, and was mended, does not stay in the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.openstack.testing import CloudThread, local_profile
from tests.lab.engine import Engine


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[CloudThread]:
    """A cloud that works."""
    with CloudThread(tmp_path / "lab") as running:
        yield running


def engine_for(folder: Path, cloud: CloudThread, mode: str = "private_ip", **inputs: object) -> Engine:
    """A deployment with one member."""
    given = {**cloud.inputs(1), "poll_interval_seconds": 0.05, **inputs}
    return Engine(local_profile(folder, mode), "blueprint.yaml", given)


def fails(engine: Engine) -> None:
    with pytest.raises(Exception, match=r"Task failed|operation errors"):
        engine.run("install", task_retries=0)


def test_a_server_that_could_not_be_built_is_made_again(
    tmp_path: Path, cloud: CloudThread, capfd: pytest.CaptureFixture[str]
) -> None:
    cloud.cloud.build_fault = "No valid host was found. There are not enough hosts available."
    engine = engine_for(tmp_path / "tier2", cloud)
    fails(engine)
    assert "No valid host was found" in capfd.readouterr().out

    cloud.cloud.build_fault = ""
    engine.run("install")

    assert len(cloud.holdings()["servers"]) == 1
    (properties,) = engine.properties("cloudify_cluster")
    assert properties["status"]["condition"] == "ready"
    engine.run("uninstall")
    assert not any(cloud.holdings().values())


def test_a_host_name_that_is_taken_is_refused_and_its_server_left_alone(
    tmp_path: Path, cloud: CloudThread, capfd: pytest.CaptureFixture[str]
) -> None:
    first = engine_for(tmp_path / "first", cloud)
    first.run("install")
    (name,) = cloud.holdings()["servers"]
    pool = [{"ip_address": cloud.address(30), "hostname": name}]
    second = engine_for(tmp_path / "second", cloud, "private_fixed_ip", resource_pool=pool)

    fails(second)

    assert "was not made by this deployment" in capfd.readouterr().out
    second.run("uninstall")
    assert cloud.holdings()["servers"] == [name]
    first.run("uninstall")
    assert not any(cloud.holdings().values())


@pytest.mark.parametrize("mode", ["private_fixed_ip", "floating_ip"])
def test_what_was_made_and_not_recorded_is_adopted(tmp_path: Path, cloud: CloudThread, mode: str) -> None:
    engine = engine_for(tmp_path / "tier2", cloud, mode)
    engine.run("install")
    before, made = cloud.holdings(), dict(cloud.cloud.ports)
    nodes = ("server_group", "port", "server", *(["floating_ip"] if mode == "floating_ip" else []))
    recorded = {node: engine.properties(node)[0] for node in nodes}
    for node in nodes:
        engine.forget(engine.instances(node)[0]["id"], state="creating")

    engine.run("install")

    assert cloud.holdings() == before
    assert cloud.cloud.ports == made
    assert {node: engine.properties(node)[0] for node in nodes} == recorded
    engine.run("uninstall")
    assert not any(cloud.holdings().values())


def test_what_is_gone_from_the_cloud_does_not_keep_a_deployment_from_going(
    tmp_path: Path, cloud: CloudThread
) -> None:
    engine = engine_for(tmp_path / "tier2", cloud, "floating_ip")  # which has everything that the others have
    engine.run("install")
    for server in list(cloud.cloud.servers.values()):
        cloud.run(lambda server=server: cloud.cloud._tear_down(server))
    cloud.call(cloud.cloud.server_groups.clear)

    engine.run("uninstall")

    assert not any(cloud.holdings().values())
