"""The one graph that most workflows need: an operation on the cluster's node instance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudify.workflows.tasks_graph import make_or_get_graph

CLUSTER_TYPE = "cloudify.nodes.CloudifyTier1Cluster"


def cluster_instances(ctx: Any) -> Iterator[Any]:
    """Yield the instances of every cluster in the deployment (the blueprints here have one)."""
    for node in ctx.nodes:
        if CLUSTER_TYPE in node.type_hierarchy:
            yield from node.instances


def run_on_clusters(ctx: Any, operation: str, inputs: Mapping[str, Any] | None = None) -> None:
    """Run one operation on the cluster, as a graph of its own, and wait for its end.

    Args:
        ctx: The workflow's context.
        operation: The full name, as plugin.yaml declares it.
        inputs: What the operation is given.
    """
    cluster_graph(ctx, operation, inputs or {}).execute()


def cluster_graph(ctx: Any, operation: str, inputs: Mapping[str, Any]) -> Any:
    """Return the graph of one operation on the cluster, for the caller to execute; see `run_on_clusters`."""
    return _cluster_graph(ctx, operation, dict(inputs), name=operation)


@make_or_get_graph  # type: ignore[untyped-decorator]
def _cluster_graph(ctx: Any, operation: str, inputs: dict[str, Any]) -> Any:
    """Build the graph; a workflow that is resumed gets the stored one instead."""
    graph = ctx.graph_mode()
    for instance in cluster_instances(ctx):
        graph.add_task(instance.execute_operation(operation, kwargs=inputs))
    return graph
