"""Running one workflow on many deployments: side by side, with a bound, a deadline for each and one for all.

Nothing that goes wrong with one of them costs the answer of another. What is too slow loses its place to
the next one; where it ends later, while the others still run, its answer is taken all the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cmom_meta.clients.tier2 import Tier2
from cmom_meta.errors import Busy, MetaError, TryAgainLater
from cmom_meta.models import Cluster, Order, Outcome, Result, Run, State
from cmom_meta.services.pool import Pool, ThreadPool

_STARTS_AT_ONCE = 8
_TRIES = 3
_LOOK, _START = "look", "start "
_TICK_SECONDS = 0.25
_OVER = frozenset({Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED})

Report = Callable[[Mapping[str, Result]], None]


@dataclass(frozen=True)
class Limits:
    """How much, and how long.

    Attributes:
        parallel: How many workflows run, or wait in Tier 2's queue, at the same time.
        each_seconds: How long each may take, from when Tier 2 begins to run it.
        all_seconds: How long all of it may take.
        poll_seconds: How often Tier 2 is asked how they are.
    """

    parallel: int
    each_seconds: float
    all_seconds: float
    poll_seconds: float = 1.0


@dataclass
class _Asked:
    """One that was asked: without a run it is just being started; `since` is when it was seen to run."""

    run: Run | None = None
    asked_at: float = 0.0
    since: float | None = None
    queued: bool = False


@dataclass(frozen=True)
class _Seen:
    states: Mapping[str, State]
    clusters: Mapping[str, Cluster]


class Runner:
    """Runs one workflow on many deployments.

    Args:
        tier2: Where.
        limits: The bound and the deadlines.
        pool: For tests.
        cancelled: Tells whether to stop.
    """

    def __init__(
        self,
        tier2: Tier2,
        limits: Limits,
        *,
        pool: Pool | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        most = tier2.most_at_once
        self._tier2 = tier2
        self._limits = limits
        self._parallel = max(1, min(limits.parallel, most or limits.parallel))
        self._pool = pool or ThreadPool(_STARTS_AT_ONCE + 1)
        self._cancelled = cancelled
        self._ends_at = self._pool.monotonic() + limits.all_seconds

    def run(
        self, deployment_ids: Sequence[str], order: Order, report: Report = lambda _: None
    ) -> dict[str, Result]:
        """Run it on all of them.

        Args:
            deployment_ids: Each once.
            order: What to run.
            report: Told of what is new, again and again; what is over may still be corrected by a later
                answer.

        Returns:
            A result for each.
        """
        return _Turn(self._tier2, self._pool, order, self._limits, self._parallel).run(
            deployment_ids, report, self._ends_at, self._cancelled
        )

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.close()


class _Turn:
    """One call of `Runner.run`."""

    def __init__(self, tier2: Tier2, pool: Pool, order: Order, limits: Limits, parallel: int) -> None:
        self._tier2, self._pool, self._order, self._limits = tier2, pool, order, limits
        self._parallel = parallel
        self._waiting: deque[str] = deque()
        self._active: dict[str, _Asked] = {}
        self._late: dict[str, Run] = {}
        self._tries: dict[str, int] = {}
        self._starting = 0
        self._looking = False
        self._looked_at = float("-inf")
        self._trouble = ""
        self._results: dict[str, Result] = {}
        self._news: dict[str, Result] = {}

    def run(
        self, deployment_ids: Sequence[str], report: Report, ends_at: float, cancelled: Callable[[], bool]
    ) -> dict[str, Result]:
        self._waiting.extend(deployment_ids)
        while self._waiting or self._active:
            now = self._pool.monotonic()
            if now >= ends_at:
                self._give_up("The time for all of them was over")
                break
            if cancelled():
                self._give_up("It was cancelled")
                break
            self._start_some(now)
            self._look(now)
            for name, outcome in self._pool.collect(min(_TICK_SECONDS, ends_at - now)):
                self._take(name, outcome)
            self._end_slow_ones()
            self._tell(report)
        self._tell(report)
        return self._results

    def _start_some(self, now: float) -> None:
        while self._waiting and len(self._active) < self._parallel and self._starting < _STARTS_AT_ONCE:
            name = self._waiting.popleft()
            self._active[name] = _Asked(asked_at=now)
            self._starting += 1
            self._pool.submit(_START + name, self._starter(name))

    def _starter(self, name: str) -> Callable[[], Run]:
        return lambda: self._tier2.start(name, self._order)

    def _look(self, now: float) -> None:
        runs = [asked.run for asked in self._active.values() if asked.run] + list(self._late.values())
        if runs and not self._looking and now >= self._looked_at + self._limits.poll_seconds:
            self._looking, self._looked_at = True, now
            self._pool.submit(_LOOK, lambda: self._see(runs))

    def _see(self, runs: Collection[Run]) -> _Seen:
        states = self._tier2.states(runs)
        over = [run.deployment_id for run in runs if states[run.id].outcome in _OVER]
        clusters = self._tier2.clusters(over) if over and self._order.only_looks else {}
        return _Seen(states, clusters)

    def _take(self, name: str, outcome: Any) -> None:
        if name == _LOOK:
            self._looking = False
            if isinstance(outcome, _Seen):
                self._trouble = ""
                self._take_seen(outcome)
            elif isinstance(outcome, MetaError):
                self._trouble = f" {outcome}"  # the deadlines go on; it may well answer the next time
            else:
                raise outcome
            return
        self._starting -= 1
        self._take_start(name.removeprefix(_START), outcome)

    def _take_start(self, name: str, outcome: Any) -> None:
        asked = self._active.get(name)
        if isinstance(outcome, Run):
            if asked is None:
                self._late[name] = outcome  # it took its time, but it does run
            else:
                asked.run = outcome
            return
        if asked is None:
            return
        del self._active[name]
        if isinstance(outcome, Busy):
            self._settle(Result(name, Outcome.BUSY, str(outcome)))
        elif isinstance(outcome, TryAgainLater) and self._tries.get(name, 0) + 1 < _TRIES:
            self._tries[name] = self._tries.get(name, 0) + 1
            self._waiting.append(name)
        elif isinstance(outcome, MetaError):
            self._settle(Result(name, Outcome.NOT_STARTED, str(outcome)))
        else:
            # A fault of ours must not cost the operator the answer of the others; it is told, not hidden.
            self._settle(Result(name, Outcome.NOT_STARTED, f"{type(outcome).__name__}: {outcome}"))

    def _take_seen(self, seen: _Seen) -> None:
        now = self._pool.monotonic()
        for name, asked in list(self._active.items()):
            state = seen.states.get(asked.run.id) if asked.run else None
            if asked.run is None or state is None:
                continue
            if state.outcome in _OVER:
                del self._active[name]
                self._settle(_result(asked.run, state, seen.clusters.get(name)))
                continue
            asked.queued = state.outcome is Outcome.WAITING
            if asked.since is None and not asked.queued:
                asked.since = now
                self._news[name] = Result(name, Outcome.RUNNING, "It has not ended yet.", asked.run.place)
        for name, run in list(self._late.items()):
            state = seen.states.get(run.id)
            if state is not None and state.outcome in _OVER:
                del self._late[name]
                self._settle(_result(run, state, seen.clusters.get(name)))

    def _end_slow_ones(self) -> None:
        now = self._pool.monotonic()
        for name, asked in list(self._active.items()):
            # Not yet answered when it was started, or running: each has its time. What waits in Tier 2's
            # queue # cannot help it, and has all the time that there is.
            since = asked.since if asked.run else asked.asked_at
            if since is None and not asked.queued:
                since = asked.asked_at
            if since is None or now - since < self._limits.each_seconds:
                continue
            del self._active[name]
            self._settle(self._too_slow(name, asked.run))
            if asked.run:
                if self._order.only_looks:
                    self._tier2.abandon(asked.run)
                self._late[name] = asked.run

    def _too_slow(self, name: str, run: Run | None) -> Result:
        seconds = f"{self._limits.each_seconds:.0f} s"
        if run is None:
            return Result(
                name, Outcome.TIMED_OUT, f"Tier 2 did not start it within {seconds}.{self._trouble}"
            )
        detail = f"{self._order.workflow_id} did not end within {seconds}; see {run.place}.{self._trouble}"
        return Result(name, Outcome.TIMED_OUT, detail, run.place)

    def _give_up(self, why: str) -> None:
        for name, asked in self._active.items():
            waits = asked.run is not None and asked.queued
            outcome = Outcome.WAITING if waits else Outcome.TIMED_OUT
            what = "Tier 2 had not begun it" if waits else "it had not ended"
            place = asked.run.place if asked.run else ""
            self._settle(Result(name, outcome, f"{why}, and {what}.{self._trouble}", place))
            if asked.run and self._order.only_looks and not waits:
                self._tier2.abandon(asked.run)
        for name in self._waiting:
            self._settle(Result(name, Outcome.WAITING, f"{why} before its turn came."))
        self._active.clear()
        self._waiting.clear()

    def _settle(self, result: Result) -> None:
        self._results[result.deployment_id] = self._news[result.deployment_id] = result

    def _tell(self, report: Report) -> None:
        if self._news:
            news, self._news = self._news, {}
            report(news)


def _result(run: Run, state: State, cluster: Cluster | None) -> Result:
    detail = ""
    if state.outcome is Outcome.FAILED:
        detail = state.error or f"It failed, and nothing says why; see {run.place}."
    elif state.outcome is Outcome.CANCELLED:
        detail = "Somebody cancelled it."
    return Result(run.deployment_id, state.outcome, detail, run.place, cluster)
