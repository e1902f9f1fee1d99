"""The stand-in plugin refuses what cloudify-openstack-plugin refuses, and keeps what it keeps.

It also shows why the product makes and deletes servers itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.local_profile import LocalProfile
from lab.openstack.testing import STAND_IN, CloudThread
from tests.lab.engine import Engine

PREFIX = "cloudify.nodes.openstack."
RELATIONSHIP = "cloudify.relationships.openstack."


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudThread]:
    """A cloud for all tests of this file."""
    with CloudThread(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture
def cloud(running: CloudThread) -> Iterator[CloudThread]:
    """The cloud, emptied after each test."""
    yield running
    running.clear_faults()
    for server in list(running.cloud.servers.values()):
        running.run(lambda server=server: running.cloud._tear_down(server))
    for port in list(running.cloud.ports.values()):
        running.call(running.cloud.delete_port, port)


class Blueprint:
    """A small blueprint, made node by node."""

    def __init__(self, folder: Path, cloud: CloudThread, **client: Any) -> None:
        self._profile = LocalProfile.create(folder, STAND_IN)
        self._client = {**cloud.client_config(), **client}
        self._nodes: dict[str, Any] = {}

    def add(
        self, name: str, kind: str, relationships: dict[str, str] | None = None, **properties: Any
    ) -> None:
        """Add a node; `relationships` are targets with their types."""
        self._nodes[name] = {
            "type": PREFIX + kind,
            "properties": {"client_config": self._client, **properties},
            "relationships": [
                {"type": relationship, "target": target}
                for target, relationship in (relationships or {}).items()
            ],
        }

    def looked_up(self, name: str, kind: str, **config: Any) -> None:
        """Add a node for something that exists already."""
        self.add(name, kind, use_external_resource=True, resource_config=config)

    def standard(self, cloud: CloudThread, **server: Any) -> None:
        """A server on a port in the network."""
        self.looked_up("network", "Network", id=cloud.cloud.config.network)
        self.looked_up("group", "SecurityGroup", id=cloud.cloud.config.security_group)
        related = {
            "network": "cloudify.relationships.connected_to",
            "group": RELATIONSHIP + "port_connected_to_security_group",
        }
        self.add("port", "Port", related, resource_config={"name": "p"})
        config = {"image": cloud.cloud.config.image, "flavor": cloud.cloud.config.flavor}
        self.add(
            "server",
            "Server",
            {"port": RELATIONSHIP + "server_connected_to_port"},
            **{"resource_config": {"name": "s"}, **config, **server},
        )

    def relate(self, name: str, target: str, relationship: str) -> None:
        """Add one more relationship."""
        self._nodes[name]["relationships"].append({"type": relationship, "target": target})

    def engine(self) -> Engine:
        """Write it down and hand it to the engine."""
        content = {
            "tosca_definitions_version": "cloudify_dsl_1_3",
            "imports": [
                "http://www.getcloudify.org/spec/cloudify/6.3.1/types.yaml",
                "plugin:cloudify-openstack-plugin",
            ],
            "node_templates": self._nodes,
        }
        (self._profile.blueprint_folder / "small.yaml").write_text(yaml.safe_dump(content))
        return Engine(self._profile, "small.yaml", {})


@pytest.fixture
def blueprint(tmp_path: Path, cloud: CloudThread) -> Blueprint:
    """An empty blueprint."""
    return Blueprint(tmp_path, cloud)


def told(
    engine: Engine, capfd: pytest.CaptureFixture[str], workflow: str = "install", retries: int = 0
) -> str:
    """Run a workflow that fails, and return what is said."""
    with pytest.raises(Exception, match=r"Task failed|operation errors"):
        engine.run(workflow, task_retries=retries)
    return capfd.readouterr().out


def test_a_plain_server_keeps_the_runtime_properties_of_the_real_one(
    cloud: CloudThread, blueprint: Blueprint
) -> None:
    blueprint.standard(cloud)
    engine = blueprint.engine()

    engine.run("install")

    (port,), (server,), (network,) = (engine.properties(node) for node in ("port", "server", "network"))
    assert port["fixed_ips"] == port["ipv4_addresses"] == [port["ipv4_address"]]
    assert {"id", "mac_address", "type", "name"} <= set(port)
    assert server["ip"] == server["ipv4_address"] == port["ipv4_address"]
    assert server["networks"] == [cloud.cloud.config.network]
    assert "public_ip" not in server
    assert set(network) == {"id", "name", "type"}
    assert network["name"] == cloud.cloud.config.network


def test_a_server_behind_a_floating_ip_has_an_empty_ipv4_address(
    cloud: CloudThread, blueprint: Blueprint
) -> None:
    blueprint.standard(cloud)
    name = cloud.cloud.config.floating_network
    blueprint.add("floating", "FloatingIP", resource_config={"floating_network_name": name})
    blueprint.relate("port", "floating", RELATIONSHIP + "port_connected_to_floating_ip")
    engine = blueprint.engine()

    engine.run("install")

    (server,), (floating,) = engine.properties("server"), engine.properties("floating")
    assert server["ipv4_address"] == ""
    assert server["public_ip_address"] == floating["floating_ip_address"]
    assert len(server["ipv4_addresses"]) == 2
    assert "public_ip" not in server
    for one in list(cloud.cloud.floating_ips):
        del cloud.cloud.floating_ips[one]


def test_the_security_group_of_the_port_is_refused_for_the_server(
    cloud: CloudThread, blueprint: Blueprint, capfd: pytest.CaptureFixture[str]
) -> None:
    blueprint.standard(cloud)
    blueprint.relate("server", "group", RELATIONSHIP + "server_connected_to_security_group")

    assert "Duplicate items" in told(blueprint.engine(), capfd)


def test_networks_together_with_a_port_are_refused(
    cloud: CloudThread, blueprint: Blueprint, capfd: pytest.CaptureFixture[str]
) -> None:
    config = {"name": "s", "kwargs": {"networks": [{"uuid": "x"}]}}
    blueprint.standard(cloud, resource_config=config)

    assert 'can\'t both have the "networks" property' in told(blueprint.engine(), capfd)


def test_an_image_together_with_an_image_block_device_is_refused(
    cloud: CloudThread, blueprint: Blueprint, capfd: pytest.CaptureFixture[str]
) -> None:
    device = {"boot_index": 0, "uuid": cloud.cloud.image_id, "source_type": "image"}
    config = {"name": "s", "kwargs": {"block_device_mapping_v2": [device]}}
    blueprint.standard(cloud, resource_config=config)

    assert "Block Device Mapping is Invalid" in told(blueprint.engine(), capfd)


def test_an_empty_list_of_block_devices_is_harmless(cloud: CloudThread, blueprint: Blueprint) -> None:
    blueprint.standard(cloud, resource_config={"name": "s", "kwargs": {"block_device_mapping_v2": []}})

    blueprint.engine().run("install")


def test_a_missing_domain_is_an_error_that_masks_its_own_message(
    tmp_path: Path, cloud: CloudThread, capfd: pytest.CaptureFixture[str]
) -> None:
    blueprint = Blueprint(tmp_path, cloud)
    del blueprint._client["user_domain_name"]
    blueprint.looked_up("network", "Network", id="anything")

    assert "has no attribute 'message'" in told(blueprint.engine(), capfd)


def test_a_floating_network_by_name_where_an_id_is_wanted_is_refused(
    cloud: CloudThread, blueprint: Blueprint, capfd: pytest.CaptureFixture[str]
) -> None:
    name = cloud.cloud.config.floating_network
    blueprint.add("floating", "FloatingIP", resource_config={"floating_network_id": name})

    assert "is not a valid UUID" in told(blueprint.engine(), capfd)


def test_a_server_that_exists_already_cannot_be_used(
    cloud: CloudThread, blueprint: Blueprint, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    blueprint.standard(cloud)
    blueprint.engine().run("install")
    other = Blueprint(tmp_path / "other", cloud)
    other.looked_up("server", "Server", id="s")

    assert "already connected to external server" in told(other.engine(), capfd)


def test_a_server_made_by_the_plugin_and_not_recorded_blocks_the_next_try(
    cloud: CloudThread, blueprint: Blueprint, capfd: pytest.CaptureFixture[str]
) -> None:
    """This, and the next, is why the product makes and deletes servers itself."""
    blueprint.standard(cloud)
    engine = blueprint.engine()
    engine.run("install")
    instance = engine.instances("server")[0]
    engine.forget(instance["id"], state="creating")

    assert "is still in use" in told(engine, capfd)


def test_a_server_that_is_gone_cannot_be_deleted_with_the_plugin(
    cloud: CloudThread, blueprint: Blueprint, capfd: pytest.CaptureFixture[str]
) -> None:
    blueprint.standard(cloud)
    engine = blueprint.engine()
    engine.run("install")
    (server,) = cloud.cloud.servers.values()
    cloud.run(lambda: cloud.cloud._tear_down(server))

    assert "No Server found" in told(engine, capfd, "uninstall")


def test_stopping_a_server_comes_back_half_a_minute_later(
    cloud: CloudThread, blueprint: Blueprint, capfd: pytest.CaptureFixture[str]
) -> None:
    blueprint.standard(cloud)
    engine = blueprint.engine()
    engine.run("install")

    assert "Server has not stopped yet" in told(engine, capfd, "uninstall")


def test_generated_names_tell_kind_deployment_and_instance(cloud: CloudThread, blueprint: Blueprint) -> None:
    blueprint.looked_up("network", "Network", id=cloud.cloud.config.network)
    blueprint.add("port", "Port", {"network": "cloudify.relationships.connected_to"}, resource_config={})
    engine = blueprint.engine()

    engine.run("install")

    instance_id = engine.instances("port")[0]["id"].replace("_", "-")
    assert cloud.holdings()["ports"] == [f"port-cluster-{instance_id}"]
