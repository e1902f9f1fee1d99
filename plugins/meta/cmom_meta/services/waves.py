"""A workflow on a fleet, in waves: a few clusters first, and no further than some may fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cmom_meta.clients.tier2 import Tier2
from cmom_meta.models import Order, Outcome, Result
from cmom_meta.services.fleet import nobody_to_ask
from cmom_meta.services.runner import Runner


@dataclass(frozen=True)
class Plan:
    """How to go through a fleet.

    Attributes:
        deployment_ids: In this order.
        wave_size: How many at the same time; the next wave begins when all of one are over.
        stop_after_failures: With how many failures no further wave begins; 0 for never.
    """

    deployment_ids: tuple[str, ...]
    wave_size: int
    stop_after_failures: int


@dataclass(frozen=True)
class FleetRun:
    """What came of it.

    Attributes:
        rows: One for each deployment, in the order of the plan, each with its wave (from 1).
    """

    order: Order
    rows: tuple[tuple[int, Result], ...]
    complete: bool

    @property
    def failures(self) -> tuple[Result, ...]:
        """Those that did not succeed, and were not held back either."""
        fine = (Outcome.SUCCEEDED, Outcome.HELD_BACK)
        return tuple(result for _, result in self.rows if result.outcome not in fine)

    def as_plain_data(self) -> dict[str, Any]:
        """Return it as the output ``fleet_run`` shows it."""
        counts = Counter(result.outcome.value for _, result in self.rows)
        return {
            "summary": {
                "workflow_id": self.order.workflow_id,
                "complete": self.complete,
                "deployments": len(self.rows),
                "outcomes": dict(sorted(counts.items())),
            },
            "deployments": [
                {
                    "deployment_id": result.deployment_id,
                    "wave": wave,
                    "outcome": result.outcome.value,
                    "detail": result.detail,
                    "execution": result.place,
                }
                for wave, result in self.rows
            ],
        }


class Waves:
    """Runs a workflow on a fleet, wave after wave.

    Args:
        tier2: Where the deployments are.
        new_runner: Makes the runner of a wave; its deadline for all is what is left of that of all waves.
        publish: Takes the outcomes whenever there are some.
        cancelled: Tells whether to begin no more.
    """

    def __init__(
        self,
        tier2: Tier2,
        new_runner: Callable[[], Runner],
        publish: Callable[[FleetRun], None],
        *,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._tier2, self._new_runner, self._publish = tier2, new_runner, publish
        self._cancelled = cancelled

    def run(self, plan: Plan, order: Order) -> FleetRun:
        """Go through the fleet.

        Raises:
            TryAgainLater: Tier 2 does not answer.
            ActionRequired: It refuses us.
        """
        waves = _cut(plan)
        waiting = "Its wave has not begun."
        results = {name: Result(name, Outcome.WAITING, waiting) for name in plan.deployment_ids}

        def tell(news: Mapping[str, Result], *, complete: bool = False) -> FleetRun:
            results.update(news)
            rows = tuple((number, results[name]) for number, wave in enumerate(waves, 1) for name in wave)
            run = FleetRun(order, rows, complete)
            self._publish(run)
            return run

        tell({})
        for number, wave in enumerate(waves, 1):
            why = self._why_stop(plan, results, number)
            if why:
                left = [name for later in waves[number - 1 :] for name in later]
                tell({name: Result(name, Outcome.HELD_BACK, why) for name in left})
                break
            tell(self._run_wave(wave, order, tell))
        return tell({}, complete=True)

    def _why_stop(self, plan: Plan, results: Mapping[str, Result], number: int) -> str:
        if self._cancelled():
            return f"It was cancelled before wave {number}."
        begun = plan.deployment_ids[: (number - 1) * plan.wave_size]
        failed = [name for name in begun if results[name].outcome is not Outcome.SUCCEEDED]
        if plan.stop_after_failures and len(failed) >= plan.stop_after_failures:
            return (
                f"It was not started, because {len(failed)} failed before wave {number}: {', '.join(failed)}."
            )
        return ""

    def _run_wave(
        self, wave: Sequence[str], order: Order, tell: Callable[[Mapping[str, Result]], Any]
    ) -> dict[str, Result]:
        existing = self._tier2.existing(wave)
        clusters = self._tier2.clusters(existing)
        found = {name: nobody_to_ask(name, existing, clusters) for name in wave}
        refused = {name: result for name, result in found.items() if result is not None}
        runner = self._new_runner()
        try:
            ran = runner.run([name for name in wave if name not in refused], order, tell)
        finally:
            runner.close()
        return {**refused, **ran}


def _cut(plan: Plan) -> list[tuple[str, ...]]:
    names = plan.deployment_ids
    return [names[start : start + plan.wave_size] for start in range(0, len(names), plan.wave_size)]
