"""The cluster of another deployment, by what Tier 2 knows of it: its members, and how they are talked to."""

from __future__ import annotations

from dataclasses import dataclass

from cmom.clients.tier2 import Deployments
from cmom.errors import ActionRequired
from cmom.models import DEFAULT_REST_PORT, Host, ManagerAccess, Secret, Version
from cmom.runtime import ManagerRecord

CLUSTER_TYPE = "cloudify.nodes.CloudifyTier1Cluster"
MANAGER_TYPE = "cloudify.nodes.CloudifyTier1Manager"


@dataclass(frozen=True)
class DeployedCluster:
    """A cluster of another deployment.

    Attributes:
        deployment_id: On Tier 2.
        hosts: The machines of its members.
        access: To their managers.
        version: Of their managers.
    """

    deployment_id: str
    hosts: tuple[Host, ...]
    access: ManagerAccess
    version: Version


def find_cluster(deployments: Deployments, deployment_id: str) -> DeployedCluster:
    """Read what Tier 2 knows of a deployment's cluster.

    Raises:
        ActionRequired: There is no such deployment, or it has no cluster, or none that is installed.
        TryAgainLater: Tier 2 does not answer.
    """
    nodes = deployments.list_nodes(deployment_id)
    clusters = [node for node in nodes if CLUSTER_TYPE in node.types]
    if not clusters:
        raise ActionRequired(f"Deployment {deployment_id} has no cluster of Tier 1 managers.")
    managers = {node.id for node in nodes if MANAGER_TYPE in node.types}
    loaded = (
        ManagerRecord.load(instance.runtime_properties)
        for instance in deployments.list_instances(deployment_id)
        if instance.node_id in managers
    )
    records = [record for record in loaded if record is not None]
    versions = {record.manager_version for record in records if record.manager_version}
    if not versions:
        raise ActionRequired(f"Deployment {deployment_id} has no managers: none is installed (any more).")
    if len(versions) > 1:
        raise ActionRequired(
            f"The managers of deployment {deployment_id} are of different versions: "
            f"{', '.join(sorted(versions))}."
        )
    properties = clusters[0].properties
    try:
        access = ManagerAccess(
            username=str(properties.get("manager_admin_username") or "admin"),
            password=Secret(properties["manager_admin_password"]),
            ca_cert_path=str(properties["ca_cert"]),
            port=int(properties.get("rest_port") or DEFAULT_REST_PORT),
        )
    except (KeyError, TypeError, ValueError):
        raise ActionRequired(
            f"Deployment {deployment_id} does not tell how its managers are talked to (ca_cert, "
            "manager_admin_password)."
        ) from None
    return DeployedCluster(
        deployment_id, tuple(record.host for record in records), access, Version.parse(versions.pop())
    )
