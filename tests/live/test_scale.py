"""Scaling on a real Tier 2 manager, which the local profile cannot do.

Run with the address of a 7.0 manager and the name of a deployment of ours that stands and may be scaled:

    export CMOM_LIVE_MANAGER=tier2.example CMOM_LIVE_PASSWORD=... CMOM_LIVE_DEPLOYMENT=tier1
    pytest tests/live/test_scale.py

CMOM_LIVE_CA names the certificate of the manager's CA; without it the manager is asked without TLS.
"""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from cloudify_rest_client import CloudifyClient

MANAGER = os.environ.get("CMOM_LIVE_MANAGER")
DEPLOYMENT = os.environ.get("CMOM_LIVE_DEPLOYMENT", "tier1")
WORKFLOW_SECONDS = 2 * 3600.0
ENDED = {"terminated", "failed", "cancelled"}

pytestmark = pytest.mark.skipif(MANAGER is None, reason="CMOM_LIVE_MANAGER names no manager")


@pytest.fixture
def client() -> CloudifyClient:
    """A client of the manager."""
    certificate = os.environ.get("CMOM_LIVE_CA")
    return CloudifyClient(
        host=MANAGER,
        protocol="https" if certificate else "http",
        cert=certificate,
        username=os.environ.get("CMOM_LIVE_USERNAME", "admin"),
        password=os.environ["CMOM_LIVE_PASSWORD"],
        tenant=os.environ.get("CMOM_LIVE_TENANT", "default_tenant"),
    )


def run(client: CloudifyClient, workflow: str, **parameters: Any) -> None:
    """Run a workflow to its end, which must be a good one."""
    execution = client.executions.start(DEPLOYMENT, workflow, parameters=parameters)
    deadline = time.monotonic() + WORKFLOW_SECONDS
    while execution["status"] not in ENDED:
        assert time.monotonic() < deadline, execution
        time.sleep(10)
        execution = client.executions.get(execution["id"])
    assert execution["status"] == "terminated", execution["error"]


def members(client: CloudifyClient) -> dict[str, str]:
    """The members by name, and what each is, as the outputs tell after a look."""
    run(client, "get_status")
    outputs = client.deployments.outputs.get(DEPLOYMENT)["outputs"]
    return {row["name"]: row["state"] for row in outputs["cluster_status"]["cluster_status"]}


def test_a_member_is_added_and_the_leader_is_taken_away(client: CloudifyClient) -> None:
    before = members(client)

    run(client, "scale", scalable_entity_name="manager_group", delta=1)

    grown = members(client)
    assert len(grown) == len(before) + 1
    assert sorted(grown.values()) == ["leader", *["replica"] * len(before)]

    (leader,) = [name for name, state in grown.items() if state == "leader"]
    (instance,) = [
        one["id"]
        for one in client.node_instances.list(deployment_id=DEPLOYMENT, node_id="host")
        if one["runtime_properties"]["hostname"] == leader
    ]
    run(client, "scale", scalable_entity_name="manager_group", delta=-1, include_instances=[instance])

    left = members(client)
    assert leader not in left
    assert sorted(left.values()) == ["leader", *["replica"] * (len(before) - 1)]
