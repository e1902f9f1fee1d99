"""What a snapshot of an older generation cannot carry into a newer one; said before anything is installed."""

from __future__ import annotations

from cmom.models import Version

_ACROSS = (
    "the metrics of InfluxDB stay behind: managers of 5.1 and later keep no metrics of their own",
    "plugins that were built for Python 2 are restored and do not run: upload wagons that are built "
    "for the new "
    "managers (input plugins), before their deployments are worked with",
    "policies of deployments (heal and scale by Riemann) are kept and evaluated by nobody: since 5.1 "
    "managers do "
    "not",
    "agents speak to the old managers until they are moved: transfer_agents, or the workflow of that name",
)


def not_carried(snapshot: Version, manager: Version) -> tuple[str, ...]:
    """Return what is lost, or left to be done, when a snapshot is restored onto a manager.

    Args:
        snapshot: The version of the managers that it was taken of.
        manager: That of the managers that it is to be restored onto.
    """
    if snapshot.generation >= manager.generation:
        return ()
    return tuple(f"of a snapshot of {snapshot} on {manager}, {remark}" for remark in _ACROSS)
