"""Clusters as Tier 2 tells of them, for the monitor's tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cmom.clients.tier2 import Instance, Node
from cmom.monitor.tier2 import DEFAULT_TENANT, ClusterKey, Deployment, Inventory
from cmom.services.deployed import CLUSTER_TYPE, MANAGER_TYPE

SELF_ID = {"get_property": ["SELF", "node_id"]}
SELF_DIAGNOSIS = {"get_property": ["SELF", "diagnose"]}
STANDARD_PARAMETERS = {"node_instance_id": SELF_ID, "diagnose_value": SELF_DIAGNOSIS}


def groups(
    members: Sequence[str] = ("manager",), trigger: Mapping[str, Any] | None = None, **properties: Any
) -> Any:
    """The heal group of our blueprints, as Tier 2 returns it."""
    return {
        "heal_group": {
            "members": list(members),
            "policies": {
                "host_failure_policy": {
                    "type": "cloudify.policies.types.host_failure",
                    "properties": {
                        "policy_operates_on_group": False,
                        "is_node_started_before_workflow": True,
                        "interval_between_workflows": 600,
                        "service": ["example"],
                        **properties,
                    },
                    "triggers": {
                        "heal_trigger": {
                            "type": "cloudify.policies.triggers.execute_workflow",
                            "parameters": {
                                "workflow": "heal_tier1_manager",
                                "workflow_parameters": STANDARD_PARAMETERS,
                                "force": False,
                                "allow_custom_parameters": False,
                                "socket_timeout": 1000,
                                "conn_timeout": 1000,
                                **(trigger or {}),
                            },
                        }
                    },
                }
            },
        }
    }


def instance(name: str, number: int, state: str = "started", **properties: Any) -> Instance:
    """A manager's node instance on a machine of its own; no machine when its state says so."""
    ip = f"10.0.0.{20 + number}"
    known = {"ip": ip, "public_ip": ip, "hostname": f"m{number}"} if state == "started" else {}
    return Instance(name, "manager", state, {**known, **properties})


def deployment(
    name: str = "one",
    members: Sequence[Instance] | None = None,
    *,
    tenant: str = DEFAULT_TENANT,
    declared: Any = None,
    inputs: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    properties: Mapping[str, Any] | None = None,
) -> Deployment:
    """A deployment with a cluster of three."""
    given = [instance(f"manager_{number}", number) for number in (1, 2, 3)] if members is None else members
    return Deployment(
        ClusterKey(tenant, name),
        groups() if declared is None else declared,
        (
            Node(
                "cloudify_cluster",
                ("cloudify.nodes.Root", CLUSTER_TYPE),
                {"rest_port": 443, **(settings or {})},
            ),
            Node("manager", ("cloudify.nodes.Root", MANAGER_TYPE), {"ssh_port": 22, "rest_port": 443}),
        ),
        (Instance("cluster_1", "cloudify_cluster", "started", dict(properties or {})), *given),
        inputs or {},
    )


def inventory(*deployments: Deployment) -> Inventory:
    """What a Tier 2 has."""
    return Inventory(deployments)
