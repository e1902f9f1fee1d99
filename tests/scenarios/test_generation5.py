"""Clusters of generation 5, by the same blueprint: installed, filled, backed up, healed, uninstalled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloudify_rest_client import CloudifyClient

from lab.testing import LabThread
from tests.scenarios.healing import (
    assert_refused,
    heal,
    installed,
    instance_of,
    last,
    leader_and_replicas,
    machine_of,
    machines_for_healing,
)
from tests.scenarios.tier2 import Tier2

VERSION = "7.0.5"


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[LabThread]:
    """Three machines, and an install package of generation 5."""
    with machines_for_healing(tmp_path / "lab", version=VERSION) as lab:
        yield lab


def look(tier2: Tier2) -> dict[str, Any]:
    """Run ``get_status``, and return what it found."""
    result = tier2.start("get_status")
    assert result.returncode == 0, result.stdout
    status: dict[str, Any] = tier2.properties()["status"]
    return status


def assert_all_services_well(status: dict[str, Any], members: int = 3) -> None:
    """Assert a database, a broker and a manager on each member, and nothing wrong with any."""
    assert status["condition"] == "ready", status
    assert status["error"] == ""
    rows = status["cluster_status"]
    assert Counter(row["service"] for row in rows) == dict.fromkeys(
        ("database", "broker", "manager"), members
    )
    for row in rows:
        assert (row["status"], row["heartbeat"], row["cloudify services"]) == ("OK", "OK", "OK"), row
    assert status["summary"]["status"] == "OK"


def secrets_on(lab: LabThread, ip: str, tenant: str) -> list[str]:
    """The secrets that one manager shows."""
    inputs = lab.inputs()
    client = CloudifyClient(
        host=ip,
        port=inputs["rest_port"],
        protocol="https",
        api_version="v3.1",
        username="admin",
        password=inputs["manager_admin_password"],
        tenant=tenant,
        cert=inputs["ca_cert"],
    )
    try:
        return [secret.key for secret in client.secrets.list()]
    finally:
        client._client._session.close()


def assert_only_what_is_dead_and_may_go_is_healed(tier2: Tier2, machines: LabThread) -> None:
    first, second, third = (machine.public_ip for machine in machines.machines)
    assert_refused(heal(tier2, instance_of(tier2, first)), tier2, "target_alive")

    machines.kill(machine_of(machines, second))
    machines.kill(machine_of(machines, third))
    # Of three databases one is no majority: the managers answer nothing, and nobody may be removed.
    refused = heal(tier2, instance_of(tier2, second))
    assert_refused(refused, tier2, "no_leader")
    assert look(tier2)["condition"] == "down"

    machines.start(machine_of(machines, third))
    healed = heal(tier2, instance_of(tier2, second))
    assert healed.returncode == 0, healed.stdout
    assert_all_services_well(look(tier2))


def test_a_cluster_is_installed_filled_backed_up_healed_and_uninstalled(
    tmp_path: Path, machines: LabThread
) -> None:
    tier2 = installed(
        tmp_path, machines, tenants=["blue"], secrets=[{"key": "one", "string": "x", "tenant": "blue"}]
    )
    assert_all_services_well(look(tier2))
    for machine in machines.machines:
        assert secrets_on(machines, machine.public_ip, "blue") == ["one"]

    result = tier2.start("backup", "-p", "snapshot_id=snap_one")
    assert result.returncode == 0, result.stdout
    assert (tmp_path / "tier2" / "snapshots" / "cluster" / "snap_one.zip").exists()

    master, others = leader_and_replicas(tier2)
    machines.kill(machine_of(machines, master))
    status = look(tier2)
    assert status["condition"] == "degraded"
    assert master in status["reason"]
    assert leader_and_replicas(tier2)[0] in others, "another healthy manager is the first now"

    healed = heal(tier2, instance_of(tier2, master))
    assert healed.returncode == 0, healed.stdout
    assert last(tier2)["outcome"] == "healed"
    assert last(tier2)["backup"].startswith("snapshot snap_")
    assert_all_services_well(look(tier2))
    assert secrets_on(machines, master, "blue") == ["one"]

    assert_only_what_is_dead_and_may_go_is_healed(tier2, machines)

    removed = tier2.uninstall()
    assert removed.returncode == 0, removed.stdout
    assert [machine.manager for machine in machines.machines] == [None] * 3


def test_two_members_are_refused_before_any_machine_is_touched(tmp_path: Path, machines: LabThread) -> None:
    tier2 = Tier2.create(tmp_path / "tier2", {**machines.inputs(), "num_of_instances": 2})
    result = tier2.install()
    assert result.returncode != 0
    assert "num_of_instances" in result.stdout
    assert not any(machine.manager for machine in machines.machines)


def test_one_member_has_everything_on_it(tmp_path: Path, machines: LabThread) -> None:
    tier2 = Tier2.create(tmp_path / "tier2", {**machines.inputs(), "num_of_instances": 1})
    result = tier2.install()
    assert result.returncode == 0, result.stdout
    status = look(tier2)
    assert status["condition"] == "ready", status
    assert leader_and_replicas(tier2)[1] == []
