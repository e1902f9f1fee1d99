"""Which benchmarks there are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

# A busy machine is slow, not hanging.
_PATIENCE = 4
_LEAST_DEADLINE_SECONDS = 300.0


@dataclass(frozen=True)
class Benchmark:
    """One module that is run as a program.

    Attributes:
        does: What it does, for who waits for it.
        words: The module, and how it is called in full.
        quick: What is added to see that it works, with figures that mean little.
        minutes: About how long it takes in full, on two idle cores.
    """

    does: str
    words: tuple[str, ...]
    quick: tuple[str, ...]
    minutes: float

    @property
    def deadline_seconds(self) -> float:
        """After how long it hangs, and is ended."""
        return max(_PATIENCE * self.minutes * 60, _LEAST_DEADLINE_SECONDS)


BENCHMARKS = {
    "install": Benchmark(
        "installs 1, 3 and 4 machines of the lab with the real cfy; beside it as many nodes that do nothing",
        ("benchmarks.install",),
        ("--install-seconds", "2"),
        1.5,
    ),
    "resources": Benchmark(
        "makes 100 entries with add_resources; beside it with one cfy process for each",
        ("benchmarks.resources",),
        ("--entries", "10"),
        1,
    ),
    "download": Benchmark(
        "downloads a snapshot of 5 GB three times, by turns with curl and with ours",
        ("benchmarks.download",),
        ("--gigabytes", "0.2", "--rounds", "1"),
        2,
    ),
    "status": Benchmark(
        "asks a cluster of three for its status with a member black-holed; beside it curl",
        ("benchmarks.status",),
        (),
        1.5,
    ),
    "fleet": Benchmark(
        "asks up to 1,000 clusters of a simulated Tier 2, a tenth of which is black-holed",
        ("benchmarks.fleet",),
        ("--sizes", "10", "100"),
        2.5,
    ),
    "monitor": Benchmark(
        "watches 10,000 simulated members for two minutes; beside it a curl for each greeting",
        ("benchmarks.monitor",),
        ("--members", "1000", "--seconds", "20"),
        2.5,
    ),
    "death": Benchmark(
        "installs three members, kills one, and waits until the monitor begins to heal it",
        ("benchmarks.monitor.death",),
        (),
        2.5,
    ),
    "tests": Benchmark("runs the unit tests", ("benchmarks.tests",), ("--arguments", "-k find_python"), 1),
    "suite": Benchmark(
        "runs all tests", ("benchmarks.tests", "--all"), ("--arguments", "-k find_python"), 10
    ),
}


def total(names: Collection[str]) -> str:
    """Say about how long these take together."""
    return f"about {sum(BENCHMARKS[name].minutes for name in names):g} min"
