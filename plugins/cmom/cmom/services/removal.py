"""A dead member is looked at once more at the last moment before it is removed.

Between the verdict on it and its removal time passes: other changes of the cluster and executions are waited
for, members answer slowly. Meanwhile a network may have come back, and the member with it.
"""

from __future__ import annotations

from collections.abc import Iterable

from cmom.errors import CameBack, TryAgainLater
from cmom.models import Host, Member


def demand_still_dead(host: Host, members: Iterable[Member]) -> None:
    """Make sure that the other members still miss one that is to be removed because it is dead.

    Args:
        host: Of the dead one.
        members: As the cluster lists them now. Who is not among them may be removed: that was begun before.

    Raises:
        CameBack: It is well.
        TryAgainLater: They see it, though not all of it is well.
    """
    member = next((one for one in members if one.host_ip == host.ip), None)
    if member is None or not member.online:
        return
    if member.healthy:
        raise CameBack(f"{host.ip} was dead and is a whole member again. Nothing of it is removed.")
    raise TryAgainLater(f"{host.ip} was dead, and the other members see it again. Nothing of it is removed.")
