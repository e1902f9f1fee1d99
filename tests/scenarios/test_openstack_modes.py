"""``cfy install blueprint.yaml`` in each mode of addressing: the whole way, and nothing left afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.openstack.models import Quota
from lab.openstack.testing import MODES, CloudThread
from tests.scenarios.openstack import assert_uninstalled, tier2_for


@pytest.mark.parametrize("members", [2, 3])
@pytest.mark.parametrize("mode", MODES)
def test_a_cluster_is_installed_reported_and_uninstalled(tmp_path: Path, mode: str, members: int) -> None:
    with CloudThread(tmp_path / "lab") as cloud:
        tier2 = tier2_for(tmp_path / "tier2", cloud, mode, members)
        installed = tier2.install()
        assert installed.returncode == 0, installed.stdout
        tier2.assert_whole(members)

        held = cloud.holdings()
        assert len(held["servers"]) == len(held["ports"]) == members
        assert len(held["server_groups"]) == 1
        hosts = tier2.profile.runtime_properties(tier2.deployment, "host")
        assert sorted(host["hostname"] for host in hosts) == sorted(held["servers"])
        private = sorted(host["ip"] for host in hosts)
        assert private == sorted(port.address for port in cloud.cloud.ports.values())
        if mode == "floating_ip":
            assert sorted(host["public_ip"] for host in hosts) == sorted(held["floating_ips"])
            servers = tier2.profile.runtime_properties(tier2.deployment, "server")
            assert [server["ipv4_address"] for server in servers] == [""] * members
        else:
            assert [host["public_ip"] for host in hosts] == [host["ip"] for host in hosts]
            assert held["floating_ips"] == []
        if mode == "private_fixed_ip":
            pool = tier2.inputs["resource_pool"]
            assert private == [entry["ip_address"] for entry in pool]
            assert sorted(held["servers"]) == [entry["hostname"] for entry in pool]
        listed = tier2.properties()["cluster_ips"]
        assert sorted([listed["Master"], *listed["Slaves"]]) == sorted(host["public_ip"] for host in hosts)

        reported = tier2.start("get_status")
        assert reported.returncode == 0, reported.stdout
        tier2.assert_whole(members)
        assert_uninstalled(tier2, cloud)


def test_keystone_v2_style_inputs_and_ids_do_as_well(tmp_path: Path) -> None:
    with CloudThread(tmp_path / "lab", quota=Quota(instances=1)) as cloud:
        network, _ = cloud.cloud.networks
        tier2 = tier2_for(
            tmp_path / "tier2",
            cloud,
            "private_ip",
            os_tenant=cloud.cloud.config.credentials.project,
            os_network=network.id,
            os_subnet=network.subnet_id,
            os_security_group=cloud.cloud.security_groups[1].id,
            os_flavor=cloud.cloud.flavor_id,
            os_image="",
            os_device_mapping=[
                {
                    "boot_index": "0",
                    "uuid": cloud.cloud.image_id,
                    "volume_size": 30,
                    "source_type": "image",
                    "destination_type": "volume",
                    "delete_on_termination": True,
                }
            ],
        )
        for optional in ("os_project", "os_region"):
            del tier2.inputs[optional]

        installed = tier2.install()

        assert installed.returncode == 0, installed.stdout
        (server,) = cloud.cloud.servers.values()
        assert server.image == ""
        assert server.port.security_groups == [cloud.cloud.security_groups[1].id]
        assert_uninstalled(tier2, cloud)
