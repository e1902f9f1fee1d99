"""Attaching deployments and detaching them."""

from __future__ import annotations

from typing import Any

from cmom_meta.operations.glue import change_properties, operation, tier2_of
from cmom_meta.services import membership


@operation
def add_deployment(ctx: Any, deployment_id: str, **_: Any) -> None:
    """Attach a deployment; one that is attached already stays so."""
    with tier2_of(ctx) as tier2:
        membership.check_attachable(tier2, deployment_id)
    changed = change_properties(ctx.instance, lambda found: membership.add(found, deployment_id))
    ctx.logger.info("Deployment %s %s attached.", deployment_id, "is now" if changed else "was already")


@operation
def remove_deployment(ctx: Any, deployment_id: str, **_: Any) -> None:
    """Detach a deployment, which may be gone; one that is not attached is no error."""
    changed = change_properties(ctx.instance, lambda found: membership.remove(found, deployment_id))
    ctx.logger.info("Deployment %s %s.", deployment_id, "is detached" if changed else "was not attached")
