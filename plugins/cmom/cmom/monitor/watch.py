"""The monitor itself: reads Tier 2, listens, judges, and has heals started."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from cmom.errors import CmomError
from cmom.monitor import gates
from cmom.monitor.breaker import Breaker
from cmom.monitor.config import Config
from cmom.monitor.fleet import Fleet, WatchedCluster, WatchedMember
from cmom.monitor.gates import Circumstances
from cmom.monitor.healing import Healer, silent_addresses
from cmom.monitor.journal_lines import Lines
from cmom.monitor.listening import Listener, Looks
from cmom.monitor.metrics import Gauges, Metrics
from cmom.monitor.threads import in_thread
from cmom.monitor.tier2 import Running, Tier2
from cmom.monitor.verdict import State, Witness, judge
from cmom.monitor.witness import inquire, word_on
from cmom.services.healing.evidence import Testimony

_LONGEST_TICK_SECONDS = 1.0
# A witness's word counts for so many intervals; while a member is silent its peers are asked at each.
_WITNESS_INTERVALS = 4.0
_WITNESS_SECONDS = 10.0
_REMIND_READINGS = 40
_REFUSED_SECONDS = 300.0


@dataclass(frozen=True)
class Reading:
    """What became of reading Tier 2.

    Attributes:
        at: When it last succeeded, on the monotonic clock; None when never.
        error: Why the last one failed; empty when it did not.
        failures: How many failed in a row.
    """

    at: float | None = None
    error: str = ""
    failures: int = 0


class Monitor:
    """Watches a fleet.

    Args:
        config: What it is told.
        tier2: What tells of the fleet.
        metrics: Where things are counted.
        logger: Is told what changes.
        dry_run: Whether to start nothing.
        clock: Monotonic seconds; by default that of the running loop.
    """

    def __init__(
        self,
        config: Config,
        tier2: Tier2,
        metrics: Metrics,
        logger: logging.Logger,
        *,
        dry_run: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.config = config
        self.fleet = Fleet(config.times)
        self.breaker = Breaker()
        self.reading = Reading()
        self.dry_run = dry_run
        self.clock = clock or (lambda: asyncio.get_running_loop().time())
        self._tier2 = tier2
        self._metrics = metrics
        self._logger = logger
        self._lines = Lines(logger)
        looks = Looks(config.times.timeout_seconds, config.rest_interval_seconds)
        self.listener = Listener(self.fleet, looks, metrics, self._heard, self.clock)
        self._healer = Healer(tier2, self.listener, metrics, logger, self.clock, dry_run=dry_run)
        self._tasks: set[asyncio.Task[None]] = set()
        metrics.show(self.fleet, Gauges(lambda: self.breaker.open, self.reading_age_seconds))

    def reading_age_seconds(self) -> float | None:
        """Return how old what is known of Tier 2 is; None before the first reading."""
        return None if self.reading.at is None else max(0.0, self.clock() - self.reading.at)

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Watch, until cancelled.

        Args:
            ready: Called after the first reading.
        """
        await self.read()
        ready()
        loops = [
            asyncio.create_task(loop) for loop in (self._read_on(), self.listener.run(), self._judge_on())
        ]
        try:
            # None of them ends by itself: the first that does has failed.
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in [*loops, *self._tasks]:
                task.cancel()
            await asyncio.gather(*loops, *self._tasks, return_exceptions=True)

    async def read(self) -> bool:
        """Read Tier 2 once; tell whether that succeeded. What was known is kept when it did not."""
        try:
            inventory = await in_thread(self._tier2.read)
        except CmomError as error:
            self._metrics.reading(good=False)
            failures = self.reading.failures + 1
            if failures % _REMIND_READINGS == 1:
                self._logger.error("Tier 2 cannot be read, and what was known before is gone by: %s", error)
            self.reading = Reading(self.reading.at, str(error), failures)
            return False
        self._metrics.reading(good=True)
        if self.reading.failures:
            self._logger.info("Tier 2 can be read again.")
        before = self._size()
        self.fleet.update(inventory, self.clock())
        self.reading = Reading(self.clock())
        self.listener.take_over()
        if self._size() != before:
            self._lines.watching(*self._size())
        return True

    def _size(self) -> tuple[int, int]:
        watched = sum(member.pulse is not None for member in self.fleet.members())
        return watched, len(self.fleet.clusters)

    async def _read_on(self) -> None:
        while True:
            await asyncio.sleep(self.config.refresh_seconds)
            await self.read()
            for cluster in list(self.fleet.clusters.values()):
                await self._healer.follow(cluster)

    async def _judge_on(self) -> None:
        while True:
            intervals = [cluster.times.interval_seconds for cluster in self.fleet.clusters.values()]
            await asyncio.sleep(min([_LONGEST_TICK_SECONDS, *(interval / 4 for interval in intervals)]))
            self.judge_all()

    def judge_all(self) -> None:
        """Say of every member how it is, and have done what follows."""
        now = self.clock()
        for cluster in self.fleet.clusters.values():
            for member in cluster.members.values():
                if member.pulse is not None and (
                    member.pulse.silent or member.verdict.state is not State.HEALTHY
                ):
                    self._judge(cluster, member, now)
        self._look_at_breaker(now)
        for cluster in self.fleet.clusters.values():
            self._act(cluster, now)

    def _look_at_breaker(self, now: float) -> None:
        before = self.breaker
        silences = (cluster.silence for cluster in self.fleet.clusters.values())
        self.breaker = before.look(silences, now, self.config.breaker)
        if self.breaker.open and not before.open:
            self._logger.error("The breaker is open: %s", self.breaker.reason)
        elif before.open and not self.breaker.open:
            self._logger.warning("The breaker is closed again.")

    def _judge(self, cluster: WatchedCluster, member: WatchedMember, now: float) -> None:
        before = member.verdict
        member.verdict = judge(
            member.pulse,
            now,
            cluster.times,
            self.witness_of(cluster, member),
            doubt=self.breaker.reason,
            witness_seconds=max(cluster.times.interval_seconds * _WITNESS_INTERVALS, _WITNESS_SECONDS),
        )
        self._lines.state(member, before)
        if member.verdict.state is State.HEALTHY:
            member.refused, member.refusals_in_a_row = (), 0

    def witness_of(self, cluster: WatchedCluster, member: WatchedMember) -> Witness | None:
        """Return what a member's peers said last; None when they were not asked."""
        if cluster.testimony is None or member.host is None:
            return None
        return word_on(cluster.testimony, member.host.ip, cluster.testified_at)

    def _heard(self, member: WatchedMember) -> None:
        """Take note of a look at a member."""
        cluster, pulse = self.fleet.clusters.get(member.key.cluster), member.pulse
        if cluster is None or pulse is None:
            return
        if pulse.misses == 1 and not pulse.blind:
            self._lines.first_miss(member)
        self._judge(cluster, member, self.clock())

    def _act(self, cluster: WatchedCluster, now: float) -> None:
        """Ask its members of each other while one is silent; consider a heal when one has failed."""
        silences = [
            (member, member.pulse.silence(now, cluster.times))
            for member in cluster.members.values()
            if member.pulse is not None and member.pulse.silent
        ]
        if not silences and not cluster.properties.get("healing"):
            return
        longest = max((silence for _, silence in silences), default=0.0)
        due = cluster.testimony is None or now - cluster.testified_at >= self._pause_of(
            cluster, cluster.testimony
        )
        if longest >= cluster.times.suspect_seconds and not self.breaker.open and not cluster.asking and due:
            cluster.asking = True
            self._spawn(self._ask(cluster))
        for member, silence in silences:
            if silence >= cluster.times.failed_seconds and member.verdict.state is State.UNKNOWN:
                witness = self.witness_of(cluster, member)
                self._healer.refuse(cluster, member, gates.of_verdict(member, witness, self.breaker.reason))
            elif member.verdict.state is State.FAILED:
                self._consider(cluster, member, now)
        for journal in cluster.unfinished():
            found = cluster.members.get(journal.instance_id)
            if found is not None:
                self._consider(cluster, found, now, unfinished=True)

    @staticmethod
    def _pause_of(cluster: WatchedCluster, testimony: Testimony) -> float:
        """Return how long not to ask again; long where we were refused, for that may lock the account."""
        return _REFUSED_SECONDS if testimony.refusal else cluster.times.interval_seconds

    def _consider(
        self, cluster: WatchedCluster, member: WatchedMember, now: float, *, unfinished: bool = False
    ) -> None:
        if cluster.considering or now < member.consider_at:
            return
        if cluster.ticket is not None:
            if member.key.instance_id != cluster.in_heal:
                self._healer.refuse(cluster, member, tuple(gates.of_running(Running(cluster.ticket.place))))
            return
        cluster.considering = True
        circumstances = Circumstances(
            breaker=self.breaker.reason,
            heals=sum(one.ticket is not None for one in self.fleet.clusters.values()),
            heals_at_once=self.config.heals_at_once,
            reading_age_seconds=self.reading_age_seconds() or 0.0,
            refresh_seconds=self.config.refresh_seconds,
        )
        self._spawn(self._healer.consider(cluster, member, circumstances, unfinished=unfinished))

    async def _ask(self, cluster: WatchedCluster) -> None:
        """Ask the members that are heard for the others."""
        key, silent = cluster.key, silent_addresses(cluster)
        before = {name: self.witness_of(cluster, member) for name, member in cluster.members.items()}
        try:
            testimony = await in_thread(
                lambda: inquire(self._tier2.deployments(key.tenant), key.deployment_id, silent)
            )
        finally:
            cluster.asking = False
        cluster.testimony, cluster.testified_at = testimony, self.clock()
        for name, member in cluster.members.items():
            said = self.witness_of(cluster, member)
            if member.pulse is None or not member.pulse.silent or said is None:
                continue
            was = before.get(name)
            if was is None or (was.word, was.detail) != (said.word, said.detail):
                self._lines.witness(cluster, member, said.detail)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._logger.error("This is a fault of the monitor.", exc_info=task.exception())
