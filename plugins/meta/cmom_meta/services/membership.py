"""Which deployments belong to the fleet."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cmom_meta import runtime
from cmom_meta.clients.tier2 import Tier2
from cmom_meta.errors import ActionRequired
from cmom_meta.runtime import BY_LABEL, BY_NAME, Properties


def check_attachable(tier2: Tier2, deployment_id: str) -> None:
    """Refuse what cannot be attached.

    Raises:
        ActionRequired: There is no such deployment, or no cluster in it.
    """
    if not tier2.existing([deployment_id]):
        raise ActionRequired(
            f"Tier 2 has no deployment {deployment_id!r} that can be seen from here. It is attached by its "
            "ID, and must be in the same tenant."
        )
    if not tier2.clusters([deployment_id]):
        raise ActionRequired(f"Deployment {deployment_id!r} has no Tier 1 cluster in it.")


def add(properties: Properties, deployment_id: str) -> bool:
    """Attach a deployment by its name; tell whether that changed anything."""
    found = runtime.attached(properties)
    changed = found.get(deployment_id) != BY_NAME
    properties[runtime.DEPLOYMENTS] = dict(sorted({**found, deployment_id: BY_NAME}.items()))
    return changed


def remove(properties: Properties, deployment_id: str) -> bool:
    """Detach a deployment, whether it still exists or not; tell whether it was attached."""
    found = runtime.attached(properties)
    how = found.pop(deployment_id, None)
    properties[runtime.DEPLOYMENTS] = found
    return how is not None


def replace_labelled(properties: Properties, labelled: Iterable[str]) -> None:
    """Put down who has the labels now; those attached by name stay so."""
    found = {name: how for name, how in runtime.attached(properties).items() if how == BY_NAME}
    for name in labelled:
        found.setdefault(name, BY_LABEL)
    properties[runtime.DEPLOYMENTS] = dict(sorted(found.items()))


def chosen(properties: Properties, wanted: Collection[str]) -> tuple[str, ...]:
    """Return the attached deployments that a workflow is to run on, in the order in which they were named.

    Args:
        properties: Of the meta manager.
        wanted: Some of them; empty for all.

    Raises:
        ActionRequired: One of them is not attached, or there is none.
    """
    found = runtime.attached(properties)
    strangers = [name for name in wanted if name not in found]
    if strangers:
        raise ActionRequired(f"Not attached: {', '.join(strangers)}. Attach with add_deployment first.")
    names = tuple(dict.fromkeys(wanted)) or tuple(sorted(found))
    if not names:
        raise ActionRequired(
            "No deployment is attached; attach some with add_deployment, or by label_selector."
        )
    return names
