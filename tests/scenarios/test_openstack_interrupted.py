"""An installation on OpenStack that dies half-way leaks nothing, whichever way one goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.openstack.testing import CloudThread
from tests.scenarios.openstack import assert_uninstalled, tier2_for
from tests.scenarios.tier2 import Tier2


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[CloudThread]:
    """A cloud that works."""
    with CloudThread(tmp_path / "lab") as running:
        yield running


def holds(cloud: CloudThread, kind: str) -> Callable[[], bool]:
    """Tell whether the cloud holds something of a kind."""
    return lambda: bool(cloud.holdings()[kind])


def killed_unrecorded(tier2: Tier2, cloud: CloudThread, path: str, kind: str) -> None:
    """Install, and die between a thing's being made in the cloud and its being recorded."""
    cloud.fault("hang", path, method="POST")
    tier2.install_and_kill(holds(cloud, kind))
    cloud.clear_faults()
    nodes = {"servers": "server", "ports": "port", "floating_ips": "floating_ip"}
    recorded = tier2.profile.runtime_properties(tier2.deployment, nodes[kind])
    assert not any(properties.get("id") for properties in recorded)


def test_a_server_that_was_made_and_not_recorded_is_adopted(tmp_path: Path, cloud: CloudThread) -> None:
    tier2 = tier2_for(tmp_path / "tier2", cloud, "private_fixed_ip")
    killed_unrecorded(tier2, cloud, r"/compute/v2.1/servers$", "servers")
    (made,) = cloud.cloud.servers

    resumed = tier2.start("install")

    assert resumed.returncode == 0, resumed.stdout
    assert list(cloud.cloud.servers) == [made]
    assert tier2.properties("server")["id"] == made
    tier2.assert_whole(1)
    assert_uninstalled(tier2, cloud)


def test_a_server_that_was_made_and_not_recorded_goes_with_the_deployment(
    tmp_path: Path, cloud: CloudThread
) -> None:
    tier2 = tier2_for(tmp_path / "tier2", cloud, "private_ip")
    killed_unrecorded(tier2, cloud, r"/compute/v2.1/servers$", "servers")

    assert_uninstalled(tier2, cloud)


def test_a_port_with_its_address_that_was_made_and_not_recorded_is_adopted(
    tmp_path: Path, cloud: CloudThread
) -> None:
    tier2 = tier2_for(tmp_path / "tier2", cloud, "private_fixed_ip")
    killed_unrecorded(tier2, cloud, r"/network/v2.0/ports$", "ports")
    (made,) = cloud.cloud.ports

    resumed = tier2.start("install")

    assert resumed.returncode == 0, resumed.stdout
    assert list(cloud.cloud.ports) == [made]
    assert tier2.properties("port")["id"] == made
    tier2.assert_whole(1)
    assert_uninstalled(tier2, cloud)


def test_a_floating_ip_that_was_made_and_not_recorded_goes_with_the_deployment(
    tmp_path: Path, cloud: CloudThread
) -> None:
    tier2 = tier2_for(tmp_path / "tier2", cloud, "floating_ip")
    killed_unrecorded(tier2, cloud, r"/network/v2.0/floatingips$", "floating_ips")

    assert_uninstalled(tier2, cloud)
