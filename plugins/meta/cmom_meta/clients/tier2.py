"""What the plugin asks of Tier 2, whichever of the two kinds it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from cmom_meta.models import Cluster, Order, Run, State


class Tier2(Protocol):
    """The deployments of Tier 2 and their workflows.

    Every call ends by itself within some seconds. All raise `TryAgainLater` when Tier 2 does not answer, and
    `ActionRequired` when it refuses.
    """

    @property
    def most_at_once(self) -> int | None:
        """How many workflows it can bear side by side, whatever the user says; None for any number."""

    def existing(self, deployment_ids: Collection[str]) -> frozenset[str]:
        """Return those that Tier 2 has."""

    def clusters(self, deployment_ids: Collection[str]) -> Mapping[str, Cluster]:
        """Read the clusters in deployments; one without a cluster, or that is not there, is left out."""

    def labelled(self, rules: Sequence[str]) -> tuple[str, ...]:
        """Return the deployments whose labels obey all rules."""

    def start(self, deployment_id: str, order: Order) -> Run:
        """Start a workflow and return at once.

        Raises:
            Busy: Another one runs on the deployment.
        """

    def states(self, runs: Iterable[Run]) -> Mapping[str, State]:
        """Tell how runs are, by their IDs."""

    def abandon(self, run: Run) -> None:
        """Give up a run that only looks and is too slow. Where it costs nobody anything it may go on."""

    def close(self) -> None:
        """Let go of what is held."""
