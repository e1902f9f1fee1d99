"""A monitor that runs in a thread of the test, and what it says."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from cmom.monitor.config import Config, LocalTier2, parse_config
from cmom.monitor.fleet import WatchedMember
from cmom.monitor.metrics import Metrics
from cmom.monitor.tier2 import ClusterKey, Tier2
from cmom.monitor.tier2_local import LocalProfile
from cmom.monitor.verdict import State
from cmom.monitor.watch import Monitor
from lab.machine import Machine
from tests.lab.given_watched import PASSWORD, Cluster, Watched, eventually

MakeWatched = Callable[..., Watched]

# Long enough for everything that could follow a failure to follow.
AFTERMATH_SECONDS = 1.2


def nothing_follows(watched: Watched) -> None:
    """Give a heal time to be started, and assert that none was."""
    time.sleep(AFTERMATH_SECONDS)
    assert watched.heals == []


def hang(watched: Watched, machine: Machine) -> None:
    """Let a machine take connections and never say anything."""
    watched.lab.fault(machine.name, "ssh-hang")
    watched.lab.fault(machine.name, "hang")


class Watching:
    """A monitor, as a context.

    Args:
        config: What it is told.
        tier2: Of what; by default the local profile that the configuration names.
        dry_run: See `Monitor`.
    """

    def __init__(self, config: Config, tier2: Tier2 | None = None, *, dry_run: bool = False) -> None:
        if tier2 is None:
            assert isinstance(config.tier2, LocalTier2)
            tier2 = LocalProfile(config.tier2)
        self._tier2 = tier2
        self.lines: list[str] = []
        logger = logging.Logger("tests.monitor", logging.DEBUG)
        logger.addHandler(_Collector(self.lines))
        logger.addHandler(logging.StreamHandler())  # shown when a test fails
        self.metrics = Metrics()
        self._loop = asyncio.new_event_loop()
        self.monitor = Monitor(config, tier2, self.metrics, logger, dry_run=dry_run, clock=self._loop.time)
        self._ready = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)

    @classmethod
    def of(cls, watched: Watched, *, dry_run: bool = False, **changes: Any) -> Watching:
        """A monitor of a profile."""
        return cls(parse_config(watched.config(**changes), {}), dry_run=dry_run)

    def __enter__(self) -> Watching:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        task = self._task
        assert task is not None
        self._loop.call_soon_threadsafe(task.cancel)
        self._thread.join(60)
        assert not self._thread.is_alive()
        self._loop.close()
        self._tier2.close()
        faults = [line for line in self.lines if "fault of the monitor" in line]
        assert faults == []
        assert PASSWORD not in "\n".join(self.lines)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self.monitor.run(self._ready.set))
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            self._ready.set()

    def member(self, cluster: Cluster, machine: Machine) -> WatchedMember:
        """What the monitor knows of a machine."""
        key = ClusterKey("default_tenant", cluster.name)
        return self.monitor.fleet.clusters[key].members[cluster.instance_of(machine)]

    def state(self, cluster: Cluster, machine: Machine) -> State:
        """How a machine is."""
        return self.member(cluster, machine).verdict.state

    def wait_for_state(self, cluster: Cluster, machine: Machine, *states: State) -> None:
        """Wait until a machine is so."""
        try:
            eventually(lambda: self.state(cluster, machine) in states, f"{machine.name} being {states}")
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *self.lines])) from None

    def wait_until_all_healthy(self, *clusters: Cluster) -> None:
        """Wait until all are."""
        for cluster in clusters:
            for machine in cluster.machines:
                self.wait_for_state(cluster, machine, State.HEALTHY)

    def wait_for_line(self, words: str) -> str:
        """Wait until it has said something."""
        found = eventually(
            lambda: [line for line in list(self.lines) if words in line], f"a line with {words!r}"
        )
        return str(found[0])

    def refusals(self, cluster: Cluster, machine: Machine) -> list[str]:
        """Why a machine is not healed just now."""
        return [refusal.reason for refusal in self.member(cluster, machine).refused]

    def wait_for_refusal(self, cluster: Cluster, machine: Machine, *reasons: str) -> None:
        """Wait until it is refused for these reasons."""
        try:
            eventually(lambda: self.refusals(cluster, machine) == list(reasons), f"refused for {reasons}")
        except AssertionError as error:
            found = self.refusals(cluster, machine)
            raise AssertionError("\n".join([str(error), str(found), *self.lines])) from None


class _Collector(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))
