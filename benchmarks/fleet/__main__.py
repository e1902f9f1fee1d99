"""The status of 10, 100 and 1,000 clusters, a tenth of which is black-holed, from a simulated Tier 2.

    python -m benchmarks.fleet [--sizes 10 100 1000]

Tier 2 is simulated in a process of its own and asked with the real REST client. First it runs as many
executions as it is asked for; then, with the largest fleet, 20 at once as a manager does. The exit code is
0 when the bars are held.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from benchmarks.fleet.process import Setting, simulated
from benchmarks.fleet.tier2 import client_of
from benchmarks.results import Row, add_options, finish
from cmom_meta.clients.rest import RestTier2
from cmom_meta.runtime import BY_NAME
from cmom_meta.services.fleet import FleetStatus
from cmom_meta.services.runner import Limits, Runner

GOAL_SECONDS = 10.0
AT_ONCE = 20
ONE_BY_ONE = 10


@dataclass
class Figures:
    """What was measured.

    Attributes:
        tables: Each status that was published: after how many seconds, with how many fresh rows.
    """

    tables: list[tuple[float, int]] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)
    memory_bytes: int = 0
    output_bytes: int = 0


def measure(setting: Setting) -> Figures:
    """Ask the fleet once."""
    figures = Figures()
    with simulated(setting) as port:
        began = time.monotonic()

        def publish(status: dict[str, Any]) -> None:
            figures.output_bytes = len(json.dumps(status))
            figures.tables.append((time.monotonic() - began, status["summary"]["fresh"]))
            figures.status = status

        tier2 = RestTier2(client_of(port))
        runner = Runner(tier2, Limits(setting.max_parallel, setting.deployment_timeout, setting.timeout))
        try:
            names = {f"cluster-{number:04}": BY_NAME for number in range(setting.size)}
            FleetStatus(tier2, runner, publish).collect(names)
        finally:
            runner.close()
    figures.memory_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return figures


def show(title: str, figures: Figures) -> None:
    """Print a line."""
    first, last = figures.tables[0], figures.tables[-1]
    summary = figures.status["summary"]
    print(
        f"{title}: last known with ages after {first[0]:.1f} s, complete after {last[0]:.1f} s: "
        f"{summary['fresh']} fresh, {sum(summary['no_answer'].values())} reasons {summary['no_answer']}; "
        f"memory {figures.memory_bytes / 1e6:.0f} MB, output {figures.output_bytes / 1e6:.2f} MB",
        flush=True,
    )


def unbounded(size: int) -> Row:
    """Measure a Tier 2 that runs as many executions as it is asked for; who is silent for 4 s is told so."""
    figures = measure(Setting(size, None, 1.0, None, size, 4.0, 60.0))
    show(f"{size} clusters, no bound", figures)
    alone = measure(Setting(ONE_BY_ONE, None, 1.0, None, 1, 4.0, 600.0)).tables[-1][0]
    one_by_one = alone / ONE_BY_ONE * size
    dead = len(range(0, size, 10))
    summary, seconds = figures.status["summary"], figures.tables[-1][0]
    silent = [row for row in figures.status["clusters"] if not row["fresh"]]
    held = seconds < GOAL_SECONDS and summary["fresh"] == size - dead
    held &= summary["no_answer"] == {"timed_out": dead}
    held &= all(row["detail"] and row["age_seconds"] for row in silent)
    return Row(
        what=f"status of {size} clusters, a tenth black-holed, Tier 2 unbounded (simulated)",
        bar=f"under {GOAL_SECONDS:g} s, {size - dead} answers and {dead} reasons",
        ratio=f"{one_by_one / seconds:.0f} times faster than one by one",
        measured=f"{seconds:.1f} s, {summary['fresh']} answers and {len(silent)} reasons; last known after "
        f"{figures.tables[0][0]:.1f} s; {figures.memory_bytes / 1e6:.0f} MB",
        beside=f"{ONE_BY_ONE} of them one by one {alone:.1f} s, which is {one_by_one:.0f} s for {size}",
        held=held,
    )


def bounded(size: int) -> Row:
    """Measure a Tier 2 as a manager is; as in cmom's get_status, a dead one is told after some 6 s."""
    figures = measure(Setting(size, AT_ONCE, 0.5, 6.5, AT_ONCE, 20.0, 600.0))
    fresh = figures.status["summary"]["fresh"]
    show(f"{size} clusters, {AT_ONCE} at once", figures)
    by_second = ", ".join(f"{fresh} at {seconds:.0f} s" for seconds, fresh in figures.tables)
    print(f"  fresh by the second: {by_second}")
    first, last = figures.tables[0][0], figures.tables[-1][0]
    dead = len(range(0, size, 10))
    least = ((size - dead) * 0.5 + dead * 6.5) / AT_ONCE
    return Row(
        what=f"the same on a Tier 2 that runs {AT_ONCE} executions at once",
        bar=f"last known with ages under {GOAL_SECONDS:g} s, then all",
        ratio=f"{last / least:.2f} times what the executions alone take",
        measured=f"last known after {first:.1f} s, {fresh} fresh after {last:.0f} s",
        beside=f"the executions alone, {AT_ONCE} by {AT_ONCE}: {least:.0f} s",
        held=first < GOAL_SECONDS and fresh == size,
    )


def main() -> int:
    """Measure, print, and tell whether the bars are held."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000])
    add_options(parser)
    options = parser.parse_args()
    sizes = sorted(options.sizes)
    return finish([*map(unbounded, sizes), bounded(sizes[-1])], options)


if __name__ == "__main__":
    sys.exit(main())
