"""The workflows that fill a cluster: each takes one of the lists, ``add_resources`` all of them."""

from __future__ import annotations

from typing import Any

from cloudify.decorators import workflow

from cmom.workflows.graphs import run_on_clusters

_ADD_RESOURCES = "cmom.interfaces.cluster.add_resources"


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def create_tenants(ctx: Any, tenants: Any, **_: Any) -> None:
    """Create those of the tenants that the cluster lacks."""
    run_on_clusters(ctx, _ADD_RESOURCES, {"tenants": tenants})


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def create_secrets(ctx: Any, secrets: Any, **_: Any) -> None:
    """Create those of the secrets that the cluster lacks, and update those with another value."""
    run_on_clusters(ctx, _ADD_RESOURCES, {"secrets": secrets})


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def upload_plugins(ctx: Any, plugins: Any, **_: Any) -> None:
    """Upload those of the plugins that the cluster lacks."""
    run_on_clusters(ctx, _ADD_RESOURCES, {"plugins": plugins})


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def upload_blueprints(ctx: Any, blueprints: Any, **_: Any) -> None:
    """Upload those of the blueprints that the cluster lacks."""
    run_on_clusters(ctx, _ADD_RESOURCES, {"blueprints": blueprints})


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def create_deployments(ctx: Any, deployments: Any, **_: Any) -> None:
    """Create those of the deployments that the cluster lacks."""
    run_on_clusters(ctx, _ADD_RESOURCES, {"deployments": deployments})


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def add_resources(
    ctx: Any,
    tenants: Any = None,
    secrets: Any = None,
    plugins: Any = None,
    blueprints: Any = None,
    deployments: Any = None,
    **_: Any,
) -> None:
    """Make true what all five lists say, in the order in which one needs the other."""
    lists = {
        "tenants": tenants,
        "secrets": secrets,
        "plugins": plugins,
        "blueprints": blueprints,
        "deployments": deployments,
    }
    run_on_clusters(ctx, _ADD_RESOURCES, lists)
