"""A fleet whose Tier 2 is told what to answer, and time that passes only when somebody waits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from cmom_meta.errors import Busy, MetaError
from cmom_meta.models import Cluster, Order, Outcome, Run, State
from cmom_meta.services.runner import Limits, Runner

BEGAN = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)


class Time:
    """A clock that only we move."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        """Return it as a date."""
        return BEGAN + timedelta(seconds=self.seconds)


class InlinePool:
    """A pool that does a job at once; waiting with nothing to collect lets time pass."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self._done: list[tuple[str, Any]] = []

    def submit(self, name: str, job: Callable[[], Any]) -> None:
        """See `Pool.submit`."""
        try:
            self._done.append((name, job()))
        except NotImplementedError:
            pass  # a job that never ends
        except Exception as error:
            self._done.append((name, error))

    def collect(self, wait_seconds: float) -> list[tuple[str, Any]]:
        """See `Pool.collect`."""
        if not self._done:
            self._time.seconds += wait_seconds
        done, self._done = self._done, []
        return done

    def monotonic(self) -> float:
        """See `Pool.monotonic`."""
        return self._time.seconds

    def close(self) -> None:
        """See `Pool.close`."""


def status(condition: str, *, observed: datetime = BEGAN, **more: Any) -> dict[str, Any]:
    """Return a cluster's status."""
    return {"condition": condition, "observed_at": observed.strftime("%Y-%m-%dT%H:%M:%SZ"), **more}


class Fleet:
    """A Tier 2 and its deployments.

    Attributes:
        takes: How long a workflow takes, by deployment; None for ever.
        begins: When Tier 2 begins it after it was started, by deployment.
        errors: With what a workflow fails, by deployment.
        refusals: What starting one raises, the first time and so on, by deployment.
        after: What a workflow that succeeded leaves as status, by deployment.
    """

    most_at_once: int | None = None

    def __init__(self, time: Time, clusters: Mapping[str, Mapping[str, Any] | None]) -> None:
        self.time = time
        self.found = dict(clusters)
        self.takes: dict[str, float | None] = {}
        self.begins: dict[str, float] = {}
        self.errors: dict[str, str] = {}
        self.refusals: dict[str, list[Exception]] = {}
        self.after: dict[str, Mapping[str, Any]] = {}
        self.trouble: MetaError | None = None
        self.started: list[str] = []
        self.abandoned: list[str] = []
        self.most_running = 0
        self._began: dict[str, float] = {}

    def existing(self, deployment_ids: Collection[str]) -> frozenset[str]:
        """See `Tier2.existing`."""
        return frozenset(deployment_ids) & frozenset(self.found)

    def clusters(self, deployment_ids: Collection[str]) -> Mapping[str, Cluster]:
        """See `Tier2.clusters`."""
        held = {name: self.found.get(name) for name in deployment_ids}
        return {name: Cluster(name, dict(found)) for name, found in held.items() if found is not None}

    def labelled(self, rules: Sequence[str]) -> tuple[str, ...]:
        """See `Tier2.labelled`."""
        return ()

    def start(self, deployment_id: str, order: Order) -> Run:
        """See `Tier2.start`."""
        refusals = self.refusals.get(deployment_id)
        if refusals:
            raise refusals.pop(0)
        self.started.append(deployment_id)
        self._began[deployment_id] = self.time.seconds + self.begins.get(deployment_id, 0.0)
        self.most_running = max(self.most_running, sum(self._is_running(name) for name in self._began))
        return Run(deployment_id, f"run-{deployment_id}", f"execution run-{deployment_id}")

    def _is_running(self, name: str) -> bool:
        takes = self.takes.get(name, 0.0)
        return takes is None or self.time.seconds < self._began[name] + takes

    def states(self, runs: Iterable[Run]) -> Mapping[str, State]:
        """See `Tier2.states`."""
        if self.trouble:
            raise self.trouble
        return {run.id: self._state(run.deployment_id) for run in runs}

    def _state(self, name: str) -> State:
        if self.time.seconds < self._began[name]:
            return State(Outcome.WAITING)
        if self._is_running(name):
            return State(Outcome.RUNNING)
        if name in self.errors:
            return State(Outcome.FAILED, self.errors[name])
        if name in self.after:
            self.found[name] = {"status": self.after[name]}
        return State(Outcome.SUCCEEDED)

    def abandon(self, run: Run) -> None:
        """See `Tier2.abandon`."""
        self.abandoned.append(run.deployment_id)

    def close(self) -> None:
        """See `Tier2.close`."""


def runner_of(
    fleet: Fleet, *, parallel: int = 10, each_seconds: float = 20.0, all_seconds: float = 600.0, **more: Any
) -> Runner:
    """Return a runner for a fleet."""
    limits = Limits(parallel, each_seconds, all_seconds)
    return Runner(fleet, limits, pool=InlinePool(fleet.time), **more)


def busy(workflow_id: str = "backup") -> Busy:
    """Return what Tier 2 says when another workflow runs."""
    return Busy(f"{workflow_id} runs on it (execution e1).", workflow_id, "e1")
