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
from cmom_meta.clients.rest import RestTier2
from cmom_meta.runtime import BY_NAME
from cmom_meta.services.fleet import FleetStatus
from cmom_meta.services.runner import Limits, Runner

GOAL_SECONDS = 10.0
AT_ONCE = 20


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


def main() -> int:
    """Measure, print, and tell whether the bars are held."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000])
    sizes = sorted(parser.parse_args().sizes)
    held = True
    for size in sizes:
        # Side by side without a bound; who has not answered after 4 s is told so.
        figures = measure(Setting(size, None, 1.0, None, size, 4.0, 60.0))
        show(f"{size} clusters, no bound", figures)
        dead = len(range(0, size, 10))
        summary = figures.status["summary"]
        held &= figures.tables[-1][0] < GOAL_SECONDS and summary["fresh"] == size - dead
        held &= summary["no_answer"] == {"timed_out": dead}
        held &= all(
            row["detail"] and row["age_seconds"] for row in figures.status["clusters"] if not row["fresh"]
        )
    size = sizes[-1]
    # As cmom's get_status does it: a dead cluster is told after 6 s and some.
    figures = measure(Setting(size, AT_ONCE, 0.5, 6.5, AT_ONCE, 20.0, 600.0))
    show(f"{size} clusters, {AT_ONCE} at once", figures)
    in_time = [fresh for seconds, fresh in figures.tables if seconds < GOAL_SECONDS]
    print(
        "  fresh by the second: "
        + ", ".join(f"{fresh} at {seconds:.0f} s" for seconds, fresh in figures.tables)
    )
    held &= bool(in_time) and figures.status["summary"]["fresh"] == size
    print("The bars are held." if held else "The bars are NOT held.")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
