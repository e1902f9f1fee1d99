"""What is handed out one per manager, and given back when the manager goes: machines, or addresses."""

from __future__ import annotations

from typing import Any

from cmom import runtime
from cmom.operations.glue import change_properties, operation
from cmom.services import pool


@operation
def take(ctx: Any, **_: Any) -> None:
    """Take one entry from the infrastructure for a host or an address; the same one when called again.

    The entries are machines that exist already (`hosts`), or addresses and names of machines to be made
    (`resource_pool`).
    """
    entries = ctx.target.node.properties[ctx.target.node.properties["entries_from"]]

    def allocate(properties: runtime.Properties) -> dict[str, Any]:
        ledger = dict(properties.get(runtime.ALLOCATIONS) or {})
        # What died and was replaced comes last: who asked for another machine may have repaired it.
        dead = properties.get(runtime.RETIRED) or ()
        avoid = dead if pool.spares(entries, ledger, avoid=dead) else ()
        allocation = pool.take(entries, ledger, ctx.source.instance.id, avoid=avoid)
        properties[runtime.ALLOCATIONS] = allocation.ledger
        return allocation.entry

    host = pool.host_of(change_properties(ctx.target.instance, allocate))
    change_properties(ctx.source.instance, lambda properties: runtime.store_host(properties, host))
    ctx.logger.info("%s is machine %s %s", ctx.source.instance.id, host.public_ip, host.hostname)


@operation
def give_back(ctx: Any, **_: Any) -> None:
    """Give the machine or the address back to the pool."""

    def release(properties: runtime.Properties) -> None:
        ledger = dict(properties.get(runtime.ALLOCATIONS) or {})
        properties[runtime.ALLOCATIONS] = pool.give_back(ledger, ctx.source.instance.id)

    change_properties(ctx.target.instance, release)


@operation
def delete(ctx: Any, **_: Any) -> None:
    """Forget the machine: what comes next with this instance takes one anew."""
    change_properties(ctx.instance, lambda properties: properties.clear())
