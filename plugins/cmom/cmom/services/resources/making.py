"""What the making of all kinds of things has in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cmom.clients.resources import Held
from cmom.clients.tenant_api import is_conflict
from cmom.errors import ActionRequired, DeadlinePassed, ManagerRefused
from cmom.services.connection import DEFAULT_WAIT_SECONDS
from cmom.services.resources.report import Outcome
from cmom.services.tier1 import Tier1, Tier1Api

VISIBILITIES = ("private", "tenant", "global")
_UPLOAD_ATTEMPTS = 3


class NotAsWanted(ActionRequired):
    """Something of this name is there, and cannot be made what was wanted."""


@dataclass(frozen=True)
class Made:
    """What became of an entry that is now as it was wanted."""

    outcome: Outcome
    remark: str = ""


CREATED = Made(Outcome.CREATED)
EXISTS = Made(Outcome.EXISTS)


class Tally:
    """Counts the bytes of an upload, over all its attempts.

    Args:
        total_bytes: Of one attempt.
        tell: Is told how far the attempt is.
    """

    def __init__(self, total_bytes: int, tell: Callable[[int, int], None] | None = None) -> None:
        self._total_bytes = total_bytes
        self._tell = tell
        self._sent = 0
        self.moved = False

    def restart(self) -> None:
        """Begin an attempt."""
        self._sent = 0

    def __call__(self, count: int) -> None:
        """Take note of bytes that have gone."""
        self._sent += count
        self.moved = True
        if self._tell is not None:
            self._tell(self._sent, self._total_bytes)


def create(tier1: Tier1, function: Callable[[Tier1Api], None], doing: str) -> bool:
    """Create something, once: on another member when the first one dies, and not again where it was done.

    Args:
        tier1: The cluster.
        function: Sends the request.
        doing: A phrase for messages.

    Returns:
        False if it was there already, and not by our own earlier attempt, whose answer was lost.

    Raises:
        ManagerRefused: For another reason than that it is there.
        CmomError: See `Tier1.call`.
    """
    attempts = 0

    def once(api: Tier1Api) -> None:
        nonlocal attempts
        attempts += 1
        function(api)

    try:
        tier1.call(once, doing)
    except ManagerRefused as error:
        if not is_conflict(error):
            raise
        return attempts > 1
    return True


def upload(tier1: Tier1, function: Callable[[Tier1Api, Tally], None], doing: str, tally: Tally) -> bool:
    """Create something by an upload that may take longer than anybody waits for a new leader.

    As long as bytes flow the cluster lives, so then the upload is begun anew a few times; see `create`.
    """

    def once(api: Tier1Api) -> None:
        tally.restart()
        function(api, tally)

    for _ in range(_UPLOAD_ATTEMPTS - 1):
        tally.moved = False
        try:
            return create(tier1, once, doing)
        except DeadlinePassed:
            if not tally.moved:
                raise
    return create(tier1, once, doing)


def compare_visibility(
    tier1: Tier1, kind: str, tenant: str, held: Held, wanted: str, *, identifier: str | None = None
) -> Made:
    """Make something that is there visible to as many as is wanted; visibility can only grow.

    What is wider than wanted is left: it cannot be narrowed, and what was wanted holds all the same.

    Args:
        tier1: The cluster.
        kind: As the REST client calls it: ``plugins``.
        tenant: Where it was wanted.
        held: What is there.
        wanted: ``private``, ``tenant`` or ``global``.
        identifier: By which the manager knows it; by default its id.
    """
    if held.tenant and held.tenant != tenant:
        return Made(Outcome.EXISTS, f"it is in tenant {held.tenant}, visible to all")
    if held.visibility not in VISIBILITIES or held.visibility == wanted:
        return EXISTS
    if VISIBILITIES.index(held.visibility) > VISIBILITIES.index(wanted):
        return Made(Outcome.EXISTS, f"it is visible to more than asked for ({held.visibility})")
    tier1.call(
        lambda api: api.set_visibility(kind, tenant, identifier or held.id, wanted),
        f"changing the visibility of {held.id}",
        wait_seconds=DEFAULT_WAIT_SECONDS,
    )
    return Made(Outcome.UPDATED, f"visibility {held.visibility} is now {wanted}")
