"""Holding all heals of a deployment for some time, and letting them go on."""

from __future__ import annotations

from typing import Any

from cmom.operations.glue import operation
from cmom.operations.heal_journal import change_record, utc_now
from cmom.services.healing import record


@operation
def pause(ctx: Any, duration_seconds: int, reason: str = "", **_: Any) -> None:
    """Hold all heals of this deployment for some time."""
    now = utc_now()
    change_record(ctx, lambda stored: record.pause(stored, duration_seconds, reason, now))
    ctx.logger.info("Healing is paused %s", record.paused_in_words(ctx.instance.runtime_properties, now))


@operation
def resume(ctx: Any, **_: Any) -> None:
    """Let this deployment be healed again, also those members whose heals were in vain."""
    was_paused = change_record(ctx, record.resume)
    ctx.logger.info("Healing is %s.", "resumed" if was_paused else "not paused")
