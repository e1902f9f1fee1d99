"""How often clusters are looked at, and how long they are waited for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cmom.services.waiting import Clock, wait_for


@dataclass(frozen=True)
class ClusterTimes:
    """How often to look and how long to wait; the defaults are those of Cloudify's own CLI.

    Attributes:
        poll_seconds: Between two looks at a start or a join.
        form_seconds: For a manager to have started or joined.
        online_seconds: For a member to be online with all checks passing after that.
        leader_seconds: For a leader to be found when one is needed.
        hand_over_poll_seconds: Between two looks at who leads after a hand-over.
        hand_over_seconds: For the new leader to lead.
        settle_seconds: How long a join by somebody else is waited for.
    """

    poll_seconds: float = 3.0
    form_seconds: float = 900.0
    online_seconds: float = 900.0
    leader_seconds: float = 120.0
    hand_over_poll_seconds: float = 1.0
    hand_over_seconds: float = 60.0
    settle_seconds: float = 120.0

    def wait_until_formed(self, probe: Callable[[], bool], what: str, clock: Clock) -> None:
        """Look again and again until something has started or joined.

        Args:
            probe: Looks once, and tells whether it is done.
            what: What is waited for, as `wait_for` wants it.
            clock: For tests.

        Raises:
            DeadlinePassed: It takes longer than `form_seconds`.
        """
        wait_for(probe, what, wait_seconds=self.form_seconds, interval_seconds=self.poll_seconds, clock=clock)
