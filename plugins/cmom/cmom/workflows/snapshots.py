"""The workflows for backups, and the one that moves agents once more."""

from __future__ import annotations

from typing import Any

from cloudify.decorators import workflow

from cmom.workflows.graphs import run_on_clusters

_INTERFACE = "cmom.interfaces.cluster"


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def backup(ctx: Any, snapshot_id: Any = "", backup_params: Any = None, **_: Any) -> None:
    """Take a verified snapshot of the cluster and keep it on Tier 2."""
    inputs = {"snapshot_id": snapshot_id, "backup_params": backup_params}
    run_on_clusters(ctx, f"{_INTERFACE}.backup", inputs)


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def verify_backups(ctx: Any, **_: Any) -> None:
    """Hash all snapshots again; fails when one is not what it was."""
    run_on_clusters(ctx, f"{_INTERFACE}.verify_backups")


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def list_backups(ctx: Any, **_: Any) -> None:
    """Show the snapshots, and leave them in the runtime property ``backups``."""
    run_on_clusters(ctx, f"{_INTERFACE}.list_backups")


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def transfer_agents(ctx: Any, **_: Any) -> None:
    """Move the agents of all deployments whose agents were not moved yet."""
    run_on_clusters(ctx, f"{_INTERFACE}.transfer_agents")
