"""The workflow ``get_status``."""

from __future__ import annotations

from typing import Any

from cloudify.decorators import workflow

from cmom.workflows.graphs import run_on_clusters


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def get_status(ctx: Any, **_: Any) -> None:
    """Look at the cluster and leave what was seen in the runtime property ``status``."""
    run_on_clusters(ctx, "cmom.interfaces.cluster.get_status")
