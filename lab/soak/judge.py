"""Who is told of all that is seen, and says at once what must not be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from lab.soak.figures import Figures
from lab.soak.invariants import ClusterRules, Violation, whole
from lab.soak.observer import Look
from lab.soak.setting import MEMBERS, Clusters
from lab.soak.timeline import Timeline

_TICK_SECONDS = 0.1


class Judge:
    """Knows what the lab was last like, and what was broken.

    Args:
        clusters: Which machines belong together.
        seed: The run's.
        again: The command that repeats it from its first round on.
        timeline: What happens stands there.
        say: Prints a line.

    Attributes:
        round: The one that runs.
    """

    def __init__(
        self, clusters: Clusters, seed: int, again: str, timeline: Timeline, say: Callable[[str], None]
    ) -> None:
        self.clusters, self.timeline = clusters, timeline
        self._again, self._say = again, say
        self.figures = Figures(seed)
        self.rules = ClusterRules(clusters.machines)
        self.round = 1
        self._look: Look | None = None
        self._broken_since: dict[str, float] = {}
        self._told: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def seen(self, look: Look) -> None:
        """Take note of a look at all machines."""
        before, self._look = self._look, look
        self.figures.looks += 1
        for violation in self.rules.look(look):
            self.violated(violation)
        for name, seen in look.machines.items():
            if before is not None and str(before.machines.get(name)) != str(seen):
                self.timeline.note("lab", str(seen))
        for cluster, names in self.clusters.machines.items():
            lacks, since = whole(look, names, MEMBERS), self._broken_since.get(cluster)
            if lacks and since is None:
                self._broken_since[cluster] = look.at
            elif not lacks and since is not None:
                del self._broken_since[cluster]
                self.figures.broken_seconds.append(look.at - since)
                self.timeline.note("lab", f"{cluster} is whole, after {look.at - since:.1f} s")

    @property
    def look(self) -> Look:
        """What the lab last was like."""
        while self._look is None:
            time.sleep(_TICK_SECONDS)
        return self._look

    def violated(self, violation: Violation) -> None:
        """Say that something is as it must not be, once, with what happened before."""
        with self._lock:
            if (violation.rule, violation.subject) in self._told:
                return
            self._told.add((violation.rule, violation.subject))
            at = self.timeline.now()
            self.timeline.note("VIOLATED", f"{violation.rule}: {violation.text}")
            again = f"{self._again} ROUND={self.round}"
            lines = self.timeline.around(at)
            entry = {
                "rule": violation.rule,
                "text": violation.text,
                "at": at,
                "timeline": lines,
                "again": again,
            }
            self.figures.violations.append(entry)
            self._say(f"\nVIOLATED {violation.rule}: {violation.text}")
            for line in lines:
                self._say(f"    {line}")
            self._say(f"Again: {again}\n")
