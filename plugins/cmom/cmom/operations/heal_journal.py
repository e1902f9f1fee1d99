"""What the operations of a heal share: its journal on the cluster's node instance, and whom it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, TypeVar

from cmom import runtime
from cmom.operations.connections import MEMBER_RELATIONSHIP
from cmom.operations.glue import change_properties
from cmom.runtime import ManagerRecord
from cmom.services.healing import record

Outcome = TypeVar("Outcome")


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(timezone.utc)


def change_record(ctx: Any, change: Callable[[runtime.Properties], Outcome]) -> Outcome:
    """Change what is known of healing, and what the status says of it with it."""

    def both(stored: runtime.Properties) -> Outcome:
        outcome = change(stored)
        status = stored.get(runtime.STATUS)
        if isinstance(status, Mapping):
            stored[runtime.STATUS] = {**status, **record.status_output(stored, utc_now())}
        return outcome

    return change_properties(ctx.instance, both)


def manager_relationships(ctx: Any) -> dict[str, Any]:
    """Return the relationships to the managers, by the IDs of their instances."""
    return {
        relationship.target.instance.id: relationship
        for relationship in ctx.instance.relationships
        if MEMBER_RELATIONSHIP in relationship.type_hierarchy
    }


def installed_manager(ctx: Any, instance_id: str) -> ManagerRecord | None:
    """Return what is known of a manager; None when it is not installed, or there is none."""
    relationship = manager_relationships(ctx).get(instance_id)
    if relationship is None:
        return None
    return ManagerRecord.load(relationship.target.instance.runtime_properties)
