"""The figures of a run, and the report that shows them."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.soak.invariants import Violation, growth, slope_per_hour
from lab.soak.processes import Run
from lab.soak.watchers import Samples

# By how much the monitor may grow from the second quarter of its life to the last.
MOST_KILOBYTES = 8 * 1024
MOST_DESCRIPTORS = 8
# Judged is one that lived for so long at least; a younger one is still filling its caches.
LEAST_SECONDS = 300.0


@dataclass
class Figures:
    """What a run showed.

    Attributes:
        seconds: How long faults came.
        faults: By kind.
        idle_faults: By kind, those for which there was nothing to hit.
        heals: By outcome, as the clusters remember them.
        refusals: By reason, as the monitor said them.
        workflows: By name, each with how it ended and how long it took.
        broken_seconds: How long clusters were not whole, each time.
        settle_seconds: How long it took until all were whole after the faults of a round had ended.
        violations: What must not be.
    """

    seed: int
    seconds: float = 0.0
    rounds: int = 0
    clusters: Mapping[str, int] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    idle_faults: Counter[str] = field(default_factory=Counter)
    heals: Counter[str] = field(default_factory=Counter)
    heal_seconds: list[float] = field(default_factory=list)
    heals_started: int = 0
    heals_killed: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    workflows: dict[str, Counter[str]] = field(default_factory=dict)
    workflow_seconds: dict[str, list[float]] = field(default_factory=dict)
    broken_seconds: list[float] = field(default_factory=list)
    settle_seconds: list[float] = field(default_factory=list)
    looks: int = 0
    removals: int = 0
    wipes: int = 0
    races: int = 0
    snapshots: int = 0
    monitor_starts: int = 0
    monitor: dict[str, Any] = field(default_factory=dict)
    violations: list[dict[str, Any]] = field(default_factory=list)

    def take_runs(self, runs: Iterable[Run]) -> None:
        """Take down how workflows ended."""
        for run in runs:
            how = "killed" if run.killed else "succeeded" if run.code == 0 else "failed"
            self.workflows.setdefault(run.workflow, Counter())[how] += 1
            if run.ended is not None and not run.killed:
                self.workflow_seconds.setdefault(run.workflow, []).append(run.ended - run.began)

    def take_samples(self, samples: Samples) -> list[Violation]:
        """Take down what the longest-lived monitor took; return what is not flat."""
        pid = samples.longest()
        if pid is None:
            return []
        kilobytes, descriptors = samples.kilobytes[pid], samples.descriptors[pid]
        lived = kilobytes[-1][0] - kilobytes[0][0]
        settled = {
            name: values[len(values) // 4 :] for name, values in (("kb", kilobytes), ("fd", descriptors))
        }
        self.monitor = {
            "lived_seconds": lived,
            "samples": len(kilobytes),
            "megabytes_first": kilobytes[0][1] / 1024,
            "megabytes_median": statistics.median(value for _, value in kilobytes) / 1024,
            "megabytes_most": max(value for _, value in kilobytes) / 1024,
            "megabytes_last": kilobytes[-1][1] / 1024,
            "megabytes_growth": growth(kilobytes) / 1024,
            "megabytes_slope_per_hour": slope_per_hour(settled["kb"]) / 1024,
            "descriptors_median": statistics.median(value for _, value in descriptors),
            "descriptors_most": max(value for _, value in descriptors),
            "descriptors_growth": growth(descriptors),
            "descriptors_slope_per_hour": slope_per_hour(settled["fd"]),
        }
        if lived < LEAST_SECONDS:
            return []
        found = []
        if growth(kilobytes) > MOST_KILOBYTES:
            grown = growth(kilobytes) / 1024
            found.append(
                Violation("memory", "monitor", f"the monitor grew by {grown:.1f} MB in {lived:.0f} s")
            )
        if growth(descriptors) > MOST_DESCRIPTORS:
            grown = growth(descriptors)
            found.append(
                Violation(
                    "descriptors",
                    "monitor",
                    f"the monitor holds {grown:.0f} descriptors more in {lived:.0f} s",
                )
            )
        return found

    def as_text(self) -> str:
        """Return the report, in Markdown."""
        rows = [
            f"# Soak: seed {self.seed}",
            "",
            f"**Broken rules: {len(self.violations)}.**" if self.violations else "**No rule was broken.**",
            "",
            f"- {self.rounds} rounds, {self.seconds:.0f} s in all, on {machine()}",
            f"- clusters: {_counted(self.clusters)}",
            f"- faults: {sum(self.faults.values())} ({_counted(self.faults)})",
            f"- nothing to hit: {sum(self.idle_faults.values())} ({_counted(self.idle_faults)})",
            f"- heals started by the monitor: {self.heals_started}, of which {self.heals_killed} were killed",
            f"- heals by outcome: {_counted(self.heals)}; a healed one took {_times(self.heal_seconds)}",
            f"- refusals said by the monitor: {_counted(self.refusals)}",
            f"- clusters not whole: {_times(self.broken_seconds)}",
            f"- whole again after the faults of a round: {_times(self.settle_seconds)}",
            f"- looks at all machines: {self.looks}; removals from clusters: {self.removals}; managers "
            f"wiped: {self.wipes}; came back within the last 5 s before: {self.races}",
            f"- snapshots that got a name, all whole: {self.snapshots}",
            f"- monitor: started {self.monitor_starts} times; {_monitor(self.monitor)}",
            "",
            "| workflow | succeeded | failed | killed | took |",
            "| --- | --- | --- | --- | --- |",
        ]
        for name, how in sorted(self.workflows.items()):
            took = _times(self.workflow_seconds.get(name, []))
            rows.append(f"| `{name}` | {how['succeeded']} | {how['failed']} | {how['killed']} | {took} |")
        for violation in self.violations:
            rows += ["", f"## {violation['rule']} at {violation['at']:.0f} s", "", violation["text"], ""]
            rows += [f"    {line}" for line in violation["timeline"]]
            rows += ["", f"Again: `{violation['again']}`"]
        return "\n".join(rows) + "\n"

    def write(self, folder: Path) -> None:
        """Write the report, for people and as JSON."""
        (folder / "report.md").write_text(self.as_text(), encoding="utf-8")
        (folder / "report.json").write_text(json.dumps(vars(self), indent=1) + "\n", encoding="utf-8")


def machine() -> str:
    """Describe this machine."""
    cores = len(os.sched_getaffinity(0))
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kernel, python = platform.release().partition("-")[0], platform.python_version()
    return f"{cores} cores, {gigabytes:.0f} GB, Linux {kernel}, Python {python}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _times(seconds: Sequence[float]) -> str:
    if not seconds:
        return "never"
    most = f"median {statistics.median(seconds):.0f} s, at most {max(seconds):.0f} s"
    return f"{len(seconds)} times, {most}"


def _monitor(told: Mapping[str, Any]) -> str:
    if not told:
        return "never looked at"
    return (
        f"the longest-lived lived {told['lived_seconds']:.0f} s and had {told['megabytes_median']:.1f} MB "
        f"(at most {told['megabytes_most']:.1f}, slope {told['megabytes_slope_per_hour']:+.1f} MB an hour) "
        f"and {told['descriptors_median']:.0f} descriptors (at most {told['descriptors_most']:.0f}, slope "
        f"{told['descriptors_slope_per_hour']:+.1f} an hour)"
    )
