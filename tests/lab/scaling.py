"""Scaling without a manager: the two halves of the engine's own ``scale``, on instances that are there.

The local profile cannot change the number of instances, so a member is not taken out of the plan here, only
uninstalled, and installed again, as ``scale`` does it: through the engine's functions, with the rest of the
deployment as related nodes. That is what decides which operations run, and in which order.
"""

from __future__ import annotations

from typing import Any

from cloudify.decorators import workflow
from cloudify.plugins import lifecycle

MEMBER_NODES = ("manager", "host", "server", "port", "floating_ip", "address")


@workflow  # type: ignore[untyped-decorator]
def scale_in(ctx: Any, manager: str, **_: Any) -> None:
    """Uninstall a member as ``scale`` with delta -1 does when its manager is named."""
    member = _member(ctx, manager)
    lifecycle.uninstall_node_instances(
        graph=ctx.graph_mode(),
        node_instances=member,
        ignore_failure=False,
        related_nodes=set(ctx.node_instances) - member,
    )


@workflow  # type: ignore[untyped-decorator]
def scale_out(ctx: Any, manager: str, **_: Any) -> None:
    """Install a member as ``scale`` with delta 1 does."""
    member = _member(ctx, manager)
    lifecycle.install_node_instances(
        graph=ctx.graph_mode(), node_instances=member, related_nodes=set(ctx.node_instances) - member
    )


@workflow  # type: ignore[untyped-decorator]
def remake(ctx: Any, manager: str, **_: Any) -> None:
    """Uninstall and install a server and what is on it, as a heal does; its port and address stay."""
    server = _member(ctx, manager, ("manager", "host", "server"))
    lifecycle.reinstall_node_instances(
        graph=ctx.graph_mode(),
        node_instances=server,
        ignore_failure=False,
        related_nodes=set(ctx.node_instances) - server,
    )


def _member(ctx: Any, manager: str, nodes: tuple[str, ...] = MEMBER_NODES) -> set[Any]:
    """Return all instances that belong to a member of the scaling group, out of these nodes."""
    found = {ctx.get_node_instance(manager)}
    while True:
        targets = {
            relationship.target_node_instance
            for instance in found
            for relationship in instance.relationships
            if relationship.target_node_instance.node_id in nodes
        }
        if targets <= found:
            return found
        found |= targets
