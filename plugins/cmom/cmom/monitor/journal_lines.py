"""What the log says of members: one line when something changes, none when it stays as it is."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from cmom.monitor.fleet import Refusal, WatchedCluster, WatchedMember
from cmom.monitor.tier2 import Outcome, Ticket
from cmom.monitor.verdict import State, Verdict
from cmom.services.healing import record

_LEVELS = {
    State.ABSENT: logging.INFO,
    State.STARTING: logging.INFO,
    State.HEALTHY: logging.INFO,
    State.SUSPECT: logging.WARNING,
    State.UNKNOWN: logging.WARNING,
    State.FAILED: logging.ERROR,
}
_WORDS = {
    State.ABSENT: "is not watched: Tier 2 has not installed it",
    State.STARTING: "is watched",
    State.HEALTHY: "is healthy",
    State.SUSPECT: "is suspect",
    State.UNKNOWN: "is unknown",
    State.FAILED: "has failed",
}


class Lines:
    """Writes them.

    Args:
        logger: Where to.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def state(self, member: WatchedMember, before: Verdict) -> None:
        """Say that a member's state has changed."""
        verdict = member.verdict
        if before.state is verdict.state:
            return
        self._logger.log(
            _LEVELS[verdict.state],
            "%s: %s %s.%s",
            member.key.cluster,
            member.name,
            _WORDS[verdict.state],
            f" {verdict.reason}" if verdict.reason else "",
        )

    def first_miss(self, member: WatchedMember) -> None:
        """Say that a member has just missed its first heartbeat."""
        detail = "" if member.pulse is None else member.pulse.detail
        self._logger.info("%s: %s missed a heartbeat (%s).", member.key.cluster, member.name, detail)

    def witness(self, cluster: WatchedCluster, member: WatchedMember, said: str) -> None:
        """Say what the second witness says."""
        self._logger.info("%s: %s: second witness: %s", cluster.key, member.name, said)

    def watching(self, members: int, clusters: int) -> None:
        """Say how much is watched."""
        self._logger.info("Watching %s of %s.", plural(members, "member"), plural(clusters, "cluster"))

    def ended(self, cluster: WatchedCluster, outcome: Outcome, ticket: Ticket) -> None:
        """Say how a heal has ended; why it failed, as far as it has told Tier 2."""
        member = cluster.members.get(cluster.in_heal)
        good = outcome is Outcome.SUCCEEDED
        why = "" if good else record.last_trouble(cluster.properties, cluster.in_heal)
        self._logger.log(
            logging.INFO if good else logging.ERROR,
            "%s: the heal of %s has %s (%s).%s",
            cluster.key,
            cluster.in_heal if member is None else member.name,
            outcome.value,
            ticket.place,
            f" {why}" if why else "",
        )

    def refused(self, member: WatchedMember, refusals: Sequence[Refusal]) -> None:
        """Say why a member is not healed."""
        for refusal in refusals:
            self._logger.warning(
                "%s: %s is not healed (%s). %s", member.key.cluster, member.name, refusal.reason, refusal.text
            )


def plural(count: int, what: str) -> str:
    """Return a count with its noun: ``1 cluster``, ``2 clusters``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
