"""The workflow that runs a workflow on Tier 1."""

from __future__ import annotations

import threading
from typing import Any

from cloudify.decorators import workflow
from cloudify.workflows import api

from cmom.workflows.graphs import cluster_graph

_PARAMETERS = (
    "workflow_id",
    "deployment_id",
    "parameters",
    "allow_custom_parameters",
    "force",
    "timeout",
    "include_logs",
    "queue",
    "tenant_name",
)
# The operation looks every few seconds whether it is cancelled, and then waits for Tier 1 for a minute.
_FAREWELL_SECONDS = 90.0


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def execute_workflow(ctx: Any, **parameters: Any) -> None:
    """Run a workflow on Tier 1; when this one is cancelled, that one is, too."""
    inputs = {name: parameters[name] for name in _PARAMETERS if name in parameters}
    graph = cluster_graph(ctx, "cmom.interfaces.cluster.execute_workflow", inputs)
    running = _Running(graph)
    try:
        graph.execute()
    except (api.ExecutionCancelled, KeyboardInterrupt):
        # On a manager the operation reads of it in the database; in the local profile this tells it.
        api.set_cancel_request()
        running.wait(_FAREWELL_SECONDS)
        raise


class _Running:
    """The operations of a graph, waited for without the graph, which ends at once when it is cancelled."""

    def __init__(self, graph: Any) -> None:
        self._ended = []
        for task in graph.tasks:
            ended = threading.Event()
            task.async_result.on_result(lambda _result, ended=ended: ended.set())
            self._ended.append(ended)

    def wait(self, seconds: float) -> None:
        """Wait for all of them, each for some time at most."""
        for ended in self._ended:
            ended.wait(seconds)
