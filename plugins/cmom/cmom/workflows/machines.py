"""What belongs to the machine of one member, found in the deployment's node instances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cloudify.plugins.lifecycle import is_host_node

from cmom import runtime
from cmom.clients.probes import ssh_greeting
from cmom.errors import ActionRequired
from cmom.models import Host
from cmom.services import pool
from cmom.services.healing.plan import Renewal
from cmom.workflows.graphs import cluster_instances

_MANAGER = "cloudify.nodes.CloudifyTier1Manager"
_CONTAINED_IN = "cloudify.relationships.contained_in"
_TAKES_FROM_POOL = "cloudify.relationships.cmom.takes_from_pool"


@dataclass(frozen=True)
class HealTarget:
    """A member, as the engine knows it.

    Attributes:
        cluster: The instance of its cluster's node.
        manager: Its own.
        machine: What is made anew in a heal: the manager, and all that it is contained in but what holds an
            entry of the pool, for that is kept.
        server: The machine itself, where it is made and deleted by us.
        pool: The relationship to the pool of machines, where they exist already.
        renewal: How a dead machine is replaced.
        rebuild_command: As the user gave it.
    """

    cluster: Any
    manager: Any
    machine: tuple[Any, ...]
    server: Any | None
    pool: Any | None
    renewal: Renewal
    rebuild_command: Any

    @property
    def ssh_port(self) -> int:
        """Of the machines."""
        return int(self.manager.node.properties["ssh_port"])

    @property
    def rebuild_timeout_seconds(self) -> float:
        """How long the rebuild command may take."""
        return float(self.cluster.node.properties["heal_rebuild_timeout_seconds"])

    @property
    def retired(self) -> frozenset[str]:
        """The addresses of machines that have died in this deployment."""
        assert self.pool is not None
        stored = self.pool.target_node_instance.runtime_properties
        return frozenset(stored.get(runtime.RETIRED) or ())

    def held_host(self) -> Host:
        """Return the machine that the host's node instance holds now."""
        assert self.pool is not None
        found = runtime.load_host(self.pool.node_instance.runtime_properties)
        assert found is not None
        return found


def find_target(ctx: Any, instance_id: str) -> HealTarget:
    """Find the member that an instance is, or that it carries.

    Args:
        ctx: The workflow's context.
        instance_id: Of a manager, or of what one is contained in: its host, its server.

    Raises:
        ActionRequired: There is no such member.
    """
    managers = [one for one in ctx.node_instances if _MANAGER in one.node.type_hierarchy]
    found = [one for one in managers if instance_id in {one.id, *(inner.id for inner in _containers(one))}]
    if len(found) != 1:
        known = ", ".join(sorted(one.id for one in managers)) or "none"
        raise ActionRequired(
            f"No manager of this deployment can be told by node_instance_id {instance_id!r}. They are: "
            f"{known}."
        )
    return _target(ctx, found[0])


def _target(ctx: Any, manager: Any) -> HealTarget:
    clusters = [
        one for one in cluster_instances(ctx) if manager.id in {rel.target_id for rel in one.relationships}
    ]
    if not clusters:
        raise ActionRequired(f"{manager.id} belongs to no cluster.")
    chain = [manager, *_containers(manager)]
    whole = chain[-1].get_contained_subgraph()
    holders = {rel.node_instance.id: rel for one in whole for rel in _to_pool(one)}
    machine = tuple(sorted((one for one in whole if one.id not in holders), key=lambda one: str(one.id)))
    server = next((one for one in machine if is_host_node(one)), None)
    to_pool = next(iter(holders.values()), None)
    renewal, command = _renewal(server, to_pool, int(manager.node.properties["ssh_port"]))
    return HealTarget(clusters[0], manager, machine, server, to_pool, renewal, command)


def _renewal(server: Any | None, to_pool: Any | None, ssh_port: int) -> tuple[Renewal, Any]:
    if server is not None:
        return Renewal.CLOUD, None
    if to_pool is None:
        return Renewal.NONE, None
    infrastructure = to_pool.target_node_instance
    properties = infrastructure.node.properties
    if properties.get("rebuild_command"):
        return Renewal.REBUILD_COMMAND, properties["rebuild_command"]
    stored = infrastructure.runtime_properties
    free = pool.replacements(
        properties[properties["entries_from"]],
        stored.get(runtime.ALLOCATIONS) or {},
        retired=stored.get(runtime.RETIRED) or (),
        answers=lambda entry: bool(ssh_greeting(pool.host_of(entry).public_ip, ssh_port)),
    )
    return (Renewal.SPARE if free else Renewal.NONE), None


def _containers(instance: Any) -> Iterator[Any]:
    """Yield what an instance is contained in, from the inside to the outside."""
    for relationship in instance.relationships:
        if relationship.relationship.is_derived_from(_CONTAINED_IN):
            yield relationship.target_node_instance
            yield from _containers(relationship.target_node_instance)


def _to_pool(instance: Any) -> Iterator[Any]:
    for relationship in instance.relationships:
        if relationship.relationship.is_derived_from(_TAKES_FROM_POOL):
            yield relationship
