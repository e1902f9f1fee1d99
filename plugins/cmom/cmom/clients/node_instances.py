"""The node instances of deployments on a Tier 1 manager. Both generations."""

from __future__ import annotations

from dataclasses import dataclass

from cmom.clients.tenant_api import TenantApi


@dataclass(frozen=True)
class NodeInstance:
    """A node instance.

    Attributes:
        host_id: The instance of the machine that it is on, its own ID if it is the machine; empty when on
            none.
        state: ``uninitialized``, ``creating``, ..., ``started``, ``deleted``.
    """

    id: str
    deployment_id: str
    host_id: str
    state: str

    @property
    def is_machine(self) -> bool:
        """Whether it is what an agent may run on."""
        return self.id == self.host_id

    @property
    def started(self) -> bool:
        """Whether it is installed and running, as far as the manager knows."""
        return self.state == "started"


def list_node_instances(api: TenantApi, tenant: str) -> tuple[NodeInstance, ...]:
    """List the node instances of all deployments of a tenant.

    Raises:
        CmomError: See `rest_errors`.
    """
    fields = ["id", "deployment_id", "host_id", "state"]
    items = api.pages(tenant, "node_instances", f"listing the node instances of tenant {tenant}", fields)
    return tuple(
        NodeInstance(
            id=str(item["id"]),
            deployment_id=str(item.get("deployment_id") or ""),
            host_id=str(item.get("host_id") or ""),
            state=str(item.get("state") or ""),
        )
        for item in items
    )
