"""What a Tier 2 knows of a deployment called ``old``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cmom.clients.tier2 import Instance, Node
from cmom.errors import ActionRequired

ROOT = "cloudify.nodes.Root"
CLUSTER_PROPERTIES = {
    "ca_cert": "/etc/cloudify/ca_certificate.pem",
    "rest_port": 4443,
    "manager_admin_username": "admin",
    "manager_admin_password": "canary-old-password",
}
NODES = (
    Node("cloudify_cluster", (ROOT, "cloudify.nodes.CloudifyTier1Cluster"), CLUSTER_PROPERTIES),
    Node("manager", (ROOT, "cloudify.nodes.CloudifyTier1Manager"), {}),
    Node("host", (ROOT,), {}),
)
INSTANCES = (
    Instance("cloudify_cluster_1", "cloudify_cluster", "started", {}),
    Instance(
        "manager_1",
        "manager",
        "started",
        {"ip": "10.0.0.21", "public_ip": "192.0.2.21", "hostname": "m1", "manager_version": "4.6.0"},
    ),
    Instance("manager_2", "manager", "started", {"ip": "10.0.0.22", "manager_version": "4.6.0"}),
    Instance("manager_3", "manager", "uninitialized", {}),
    Instance("host_1", "host", "started", {"ip": "10.0.0.21"}),
)


class GivenTier2:
    """Knows just that."""

    def __init__(self, nodes: tuple[Node, ...] = NODES, instances: tuple[Instance, ...] = INSTANCES) -> None:
        self.nodes, self.instances = nodes, instances

    def list_nodes(self, deployment_id: str) -> tuple[Node, ...]:
        if deployment_id != "old":
            raise ActionRequired(f"Tier 2 has no deployment {deployment_id}.")
        return self.nodes

    def list_instances(self, deployment_id: str) -> tuple[Instance, ...]:
        return self.instances


def write_profile(folder: Path) -> Path:
    """Write the same as the local profile keeps it; return the folder of its deployments."""
    deployment = folder / "old"
    (deployment / "node-instances").mkdir(parents=True)
    nodes = {
        node.id: {"id": node.id, "type_hierarchy": list(node.types), "properties": dict(node.properties)}
        for node in NODES
    }
    (deployment / "deployment.json").write_text(json.dumps({"id": "old", "nodes": nodes}))
    for instance in INSTANCES:
        stored: dict[str, Any] = {
            "id": instance.id,
            "node_id": instance.node_id,
            "runtime_properties": dict(instance.runtime_properties),
        }
        if instance.state != "uninitialized":  # one that was never installed has none
            stored["state"] = instance.state
        (deployment / "node-instances" / f"{instance.id}.json").write_text(json.dumps(stored))
    return folder
