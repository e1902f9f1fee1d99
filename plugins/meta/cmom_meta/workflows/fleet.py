"""The workflows: each is one operation on the meta manager's node instance."""

from __future__ import annotations

from typing import Any

from cloudify.decorators import workflow

from cmom_meta.models import META_TYPE

_INTERFACE = "cmom_meta.interfaces.fleet"
_WAVES = ("deployment_ids", "wave_size", "stop_after_failures", "deployment_timeout", "timeout")


@workflow  # type: ignore[untyped-decorator]
def add_deployment(ctx: Any, deployment_id: str, **_: Any) -> None:
    """Attach a deployment."""
    _run(ctx, "add_deployment", deployment_id=deployment_id)


@workflow  # type: ignore[untyped-decorator]
def remove_deployment(ctx: Any, deployment_id: str, **_: Any) -> None:
    """Detach a deployment."""
    _run(ctx, "remove_deployment", deployment_id=deployment_id)


@workflow  # type: ignore[untyped-decorator]
def get_status(ctx: Any, max_parallel: int, deployment_timeout: float, timeout: float, **_: Any) -> None:
    """Ask all clusters how they are."""
    _run(
        ctx,
        "get_status",
        max_parallel=max_parallel,
        deployment_timeout=deployment_timeout,
        timeout=timeout,
    )


@workflow  # type: ignore[untyped-decorator]
def fleet_execute(
    ctx: Any, workflow_id: str, parameters: Any = None, allow_custom_parameters: bool = False, **how: Any
) -> None:
    """Run a workflow on the clusters, in waves."""
    _run(
        ctx,
        "execute",
        workflow_id=workflow_id,
        parameters=dict(parameters or {}),
        allow_custom_parameters=allow_custom_parameters,
        **{name: how[name] for name in _WAVES},
    )


@workflow  # type: ignore[untyped-decorator]
def fleet_backup(ctx: Any, snapshot_id: str = "", backup_params: Any = None, **how: Any) -> None:
    """Back all clusters up, in waves."""
    _run(
        ctx,
        "execute",
        workflow_id="backup",
        parameters={"snapshot_id": snapshot_id, "backup_params": list(backup_params or ())},
        allow_custom_parameters=False,
        **{name: how[name] for name in _WAVES},
    )


def _run(ctx: Any, operation: str, **inputs: Any) -> None:
    graph = ctx.graph_mode()
    for node in ctx.nodes:
        if META_TYPE in node.type_hierarchy:
            for instance in node.instances:
                graph.add_task(instance.execute_operation(f"{_INTERFACE}.{operation}", kwargs=inputs))
    graph.execute()
