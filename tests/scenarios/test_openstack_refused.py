"""What OpenStack refuses reaches the user of ``cfy``, with the node and the value.

All the refusals are in tests/lab/test_openstack_refused.py; here are one of ours and one of the plugin's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.openstack.testing import CloudThread
from tests.scenarios.openstack import failure, tier2_for

CANARY = "canary-cloud-password"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[CloudThread]:
    """A cloud that works."""
    with CloudThread(tmp_path / "lab") as running:
        yield running


def test_a_wrong_password_is_one_message_that_says_whose(tmp_path: Path, cloud: CloudThread) -> None:
    tier2 = tier2_for(tmp_path / "tier2", cloud, "private_ip", os_password=CANARY)

    told = failure(tier2.install())

    for word in ("infrastructure_", "demo", cloud.server.auth_url, "401", "os_password"):
        assert word in told
    assert CANARY not in told
    removed = tier2.uninstall()
    assert removed.returncode == 0, removed.stdout


def test_an_address_that_is_taken_is_named(tmp_path: Path, cloud: CloudThread) -> None:
    network, _ = cloud.cloud.networks
    taken = {"network_id": network.id, "fixed_ips": [{"ip_address": cloud.address(21)}]}
    foreign = cloud.call(cloud.cloud.create_port, taken)
    tier2 = tier2_for(tmp_path / "tier2", cloud, "private_fixed_ip")

    told = failure(tier2.install())

    said = f"IP address {cloud.address(21)} already allocated"
    assert any("[port_" in line and said in line for line in told.splitlines()), told
    removed = tier2.uninstall()
    assert removed.returncode == 0, removed.stdout
    assert list(cloud.cloud.ports) == [foreign.id]
