"""One soak, from the installation to the report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab.clock import RealClock
from lab.daemon import ControlServer
from lab.materials import VERSIONS
from lab.soak.judge import Judge
from lab.soak.observer import Observer
from lab.soak.rounds import Options, Rounds
from lab.soak.setting import MEMBERS, TIMES, Clusters, install, profile_with_short_interval
from lab.soak.timeline import Timeline
from lab.testing import LabThread


class Soak:
    """One run.

    Args:
        options: What it is told.
        say: Prints a line.
    """

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self._options, self._say = options, say
        self._clusters = Clusters.deal(options.clusters)
        self.timeline = Timeline(options.folder / "timeline.log", say)
        again = f"make soak GENERATION={options.generation} SEED={options.seed}"
        self._judge = Judge(self._clusters, options.seed, again, self.timeline, say)
        self._judge.round = options.first_round
        self.figures = self._judge.figures

    def run(self) -> None:
        """Run it; what it showed is in the figures, also when it is interrupted."""
        folder = self._options.folder
        lab = LabThread(
            folder / "lab",
            machines=self._clusters.size,
            settings=TIMES,
            clock=RealClock(),
            sandbox="interpreter",
            version=VERSIONS[self._options.generation],
        )
        with lab, self._controlled(lab), self._observed(lab):
            self._say(
                f"Installing {len(self._clusters.machines)} clusters of {MEMBERS} with the real cfy ..."
            )
            logs = folder / "logs"
            logs.mkdir()
            profile = profile_with_short_interval(folder / "tier2")
            install(profile, lab, self._clusters, logs)
            Rounds(self._options, self._judge, lab, profile, logs, self._say).run()

    @contextmanager
    def _controlled(self, lab: LabThread) -> Iterator[None]:
        server = lab.run(ControlServer(lab.lab).serve)
        try:
            yield
        finally:
            lab.call(server.close)

    @contextmanager
    def _observed(self, lab: LabThread) -> Iterator[None]:
        observer = Observer(lambda: list(lab.lab.machines.values()), self._judge.seen)
        task = lab.call(lambda: asyncio.get_running_loop().create_task(observer.watch()))
        try:
            yield
        finally:
            lab.call(task.cancel)
