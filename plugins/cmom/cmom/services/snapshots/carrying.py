"""What a snapshot of an older generation cannot carry into a newer one; said before anything is installed."""

from __future__ import annotations

from cmom.models import Version
from cmom.services.snapshots.requests import RESTORE_CERTIFICATES, RestoreRequest

_ACROSS = (
    "the metrics of InfluxDB stay behind: managers of 5.1 and later keep no metrics of their own",
    "plugins that were built for Python 2 are restored and do not run: upload wagons that are built for "
    "the new managers (input plugins), before their deployments are worked with",
    "policies of deployments (heal and scale by Riemann) are kept and evaluated by nobody: since 5.1 "
    "managers do not",
    "the settings of LDAP stay behind: give ldap_config again, or set it up on the new managers (cfy "
    "ldap set) where their installer takes none",
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


def certificates_problem(request: RestoreRequest, snapshot: Version, manager: Version) -> str | None:
    """Say why the certificates of the old managers are not brought back; None when they are, or nobody asks.

    A restore moves every file of the snapshot's ``/etc/cloudify/ssl`` over the new manager's, the
    authority's and its key too (``_restore_certificate`` in the ``snapshot_restore.py`` of cloudify-manager
    4.3 - 7.0). Where the old ones are of the same authority and for the same addresses, nothing is gained:
    those of this installation are too.
    """
    if RESTORE_CERTIFICATES not in request.parameters or snapshot.generation >= manager.generation:
        return None
    return (
        f"{RESTORE_CERTIFICATES} would put what managers of {snapshot} were known by in the place of the "
        f"certificates by which the members of a cluster of {manager}, and Tier 2, trust each other; leave "
        "it out, and give the old ca_cert and ca_key if agents are to find the authority they know"
    )
