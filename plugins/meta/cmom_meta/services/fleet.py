"""Asking a whole fleet how it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from cmom_meta.clients.tier2 import Tier2
from cmom_meta.models import Cluster, Order, Outcome, Result
from cmom_meta.services.report import Row, fleet_status
from cmom_meta.services.runner import Runner

GET_STATUS = Order("get_status", only_looks=True)
_PUBLISH_SECONDS = 5.0
Publish = Callable[[dict[str, Any]], None]


def nobody_to_ask(name: str, existing: frozenset[str], clusters: Mapping[str, Cluster]) -> Result | None:
    """Tell why a deployment cannot be asked anything; None when it can."""
    if name not in existing:
        return Result(name, Outcome.MISSING, "Tier 2 has no such deployment; remove_deployment detaches it.")
    if name not in clusters:
        return Result(name, Outcome.NO_CLUSTER, "There is no Tier 1 cluster in this deployment.")
    return None


class FleetStatus:
    """One look at all clusters.

    What is known is told at once, with its age; what is found out replaces it while the others are still
    waited for.

    Args:
        tier2: Where the deployments are.
        runner: Runs ``get_status`` on them.
        publish: Takes the status whenever there is news; called now and then, and at the end.
        now: For tests.
    """

    def __init__(
        self,
        tier2: Tier2,
        runner: Runner,
        publish: Publish,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._tier2, self._runner, self._publish, self._now = tier2, runner, publish, now
        self._rows: dict[str, Row] = {}
        self._published_at: datetime | None = None

    def collect(self, attached: Mapping[str, str]) -> dict[str, Any]:
        """Ask all of them, and return the last status that was published.

        Args:
            attached: The deployments, each with how it is attached.

        Raises:
            TryAgainLater: Tier 2 itself does not answer.
            ActionRequired: It refuses us.
        """
        existing = self._tier2.existing(attached)
        clusters = self._tier2.clusters(existing)
        for name, how in attached.items():
            waiting = Result(name, Outcome.WAITING, "Its turn has not come yet.")
            result = nobody_to_ask(name, existing, clusters) or waiting
            self._rows[name] = Row(how, result, clusters.get(name))
        self._tell(complete=False)
        askable = sorted(name for name, row in self._rows.items() if row.result.outcome is Outcome.WAITING)
        # What was not well the last time is asked first.
        askable.sort(key=lambda name: self._rows[name].condition == "ready")
        self._runner.run(askable, GET_STATUS, self._take)
        return self._tell(complete=True)

    def _take(self, news: Mapping[str, Result]) -> None:
        for name, result in news.items():
            before = self._rows[name]
            self._rows[name] = Row(before.how, result, result.cluster or before.cluster)
        published = self._published_at
        if published is None or (self._now() - published).total_seconds() >= _PUBLISH_SECONDS:
            self._tell(complete=False)

    def _tell(self, *, complete: bool) -> dict[str, Any]:
        self._published_at = self._now()
        status = fleet_status(self._rows.values(), self._published_at, complete=complete)
        self._publish(status)
        return status
