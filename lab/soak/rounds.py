"""Rounds of faults, each followed by a rest in which all has to become whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.local_profile import LocalProfile
from lab.soak.chores import Chores, pause_all, run_all
from lab.soak.damage import Damage
from lab.soak.invariants import Violation, whole
from lab.soak.judge import Judge
from lab.soak.observer import Look
from lab.soak.processes import Monitor, Run, Workflows, kill_group
from lab.soak.rest import AtRest
from lab.soak.schedule import Event, Pace, plan_round
from lab.soak.setting import MEMBERS, MONITOR, SECRET, SECRETS, TIMES
from lab.soak.watchers import Histories, Processes, Snapshots, Watcher, properties_of
from lab.testing import LabThread

_TICK_SECONDS = 0.1
# After all faults have ended every cluster is whole within so long, though other people's work runs beside.
WHOLE_SECONDS = 300.0


@dataclass(frozen=True)
class Options:
    """What a soak is told.

    Attributes:
        seconds: How long, rests included; the round that has begun is finished.
        round_seconds: How long faults come until a rest.
        first_round: Where to begin, to repeat one.
        clusters: How many.
        generation: Of their managers: 4 or 5.
    """

    folder: Path
    seed: int
    seconds: float = 3600.0
    round_seconds: float = 240.0
    first_round: int = 1
    clusters: int = 3
    generation: int = 4


class Rounds:
    """Everything that runs once the clusters are installed.

    Args:
        options: What the soak was told.
        judge: Is told what must not be.
        lab: The machines.
        profile: The Tier 2.
        logs: The folder for what workflows print.
        say: Prints a line.
    """

    def __init__(
        self,
        options: Options,
        judge: Judge,
        lab: LabThread,
        profile: LocalProfile,
        logs: Path,
        say: Callable[[str], None],
    ) -> None:
        self._options, self._judge, self._lab, self._profile, self._say = options, judge, lab, profile, say
        self._clusters, self._figures, self._timeline = judge.clusters, judge.figures, judge.timeline
        self._snapshot_folder = Path(lab.inputs()["snapshots_path"])
        self._monitor = Monitor(profile, dict(MONITOR), self._timeline)
        self._workflows = Workflows(profile, self._timeline, logs)
        self._damage = Damage(lab, self._clusters.machines, TIMES, self._timeline)
        self._chores = []
        for name in self._clusters.machines:
            own = self._options.folder / "uploads" / name
            own.mkdir(parents=True)
            self._chores.append(Chores(self._workflows, name, self._options.seed, SECRET, own, self._ended))
        self._snapshots = Snapshots(self._snapshot_folder, judge.violated)
        self._processes = Processes(profile, self._monitor, SECRETS, self._timeline.now, judge.violated)
        self._histories = Histories(profile, self._clusters.machines)
        self._at_rest = AtRest(profile, lab, self._snapshot_folder, logs, SECRETS)
        self._heals_killed = 0
        self._watchers = [
            Watcher(self._snapshots.look, 1.0, self._watcher_failed),
            Watcher(self._processes.look, 2.0, self._watcher_failed),
            Watcher(self._histories.look, 3.0, self._watcher_failed),
        ]

    def run(self) -> None:
        """Run rounds until the time is over."""
        self._monitor.start()
        began = self._timeline.now()
        try:
            for watcher in self._watchers:
                watcher.start()
            for chores in self._chores:
                chores.start()
            while self._timeline.now() - began < self._options.seconds:
                whole_again = self._one_round(began)
                self._figures.rounds += 1
                self._figures.seconds = self._timeline.now() - began
                if not whole_again:
                    self._say("The soak ends here: what is not whole cannot be broken any further.")
                    break
        finally:
            self._figures.seconds = self._timeline.now() - began
            self._end()

    def _one_round(self, began: float) -> bool:
        number = self._judge.round
        left = self._options.seconds - (self._timeline.now() - began)
        seconds = min(self._options.round_seconds, left)
        # In the second half it lives on, so that it can be seen whether it grows.
        pace = Pace(kill_monitor=left > self._options.seconds / 2)
        events = plan_round(self._options.seed, number, seconds, len(self._clusters.machines), pace)
        self._say(f"Round {number}: {len(events)} faults in {seconds:.0f} s ...")
        start = self._timeline.now()
        for event in events:
            self._until(start + event.at_seconds)
            hit = self._begin(event)
            (self._figures.faults if hit else self._figures.idle_faults)[event.kind] += 1
        self._until(start + seconds)
        settled = self._settle()
        self._judge.round += 1
        return settled

    def _until(self, moment: float) -> None:
        while self._timeline.now() < moment:
            self._damage.end_due()
            self._repair_spares()
            time.sleep(_TICK_SECONDS)

    def _begin(self, event: Event) -> bool:
        if event.kind == "kill_monitor":
            self._timeline.note("fault", "kill_monitor")
            self._monitor.kill()
            return True
        if event.kind in ("kill_heal", "kill_workflow"):
            runs = self._monitor.heals if event.kind == "kill_heal" else self._workflows.runs
            running = [run for run in runs if run.runs]
            if not running:
                return False
            chosen = running[int(event.pick * len(running)) % len(running)]
            self._timeline.note("fault", f"{event.kind}: {chosen.deployment} {chosen.workflow}, {chosen.pid}")
            self._heals_killed += event.kind == "kill_heal"
            return kill_group(self._profile, chosen)
        return self._damage.begin(event, self._judge.look)

    def _settle(self) -> bool:
        """End all faults, and wait until all is whole; tell whether it is."""
        began = self._timeline.now()
        self._timeline.note("soak", "rest: all faults end, but the dead stay dead")
        self._damage.end_due(all_of_them=True)
        pause_all(self._chores)
        run_all(self._chores, "resume_healing")
        lacking = self._wait_until_whole(began)
        seconds = self._timeline.now() - began
        if lacking:
            for cluster, lacks in lacking.items():
                text = f"{cluster} is not whole {seconds:.0f} s after all faults have ended: {lacks}"
                self._judge.violated(Violation("not_whole", cluster, text))
            return False
        self._figures.settle_seconds.append(seconds)
        self._timeline.note("soak", f"all clusters are whole after {seconds:.0f} s")
        self._look_at_rest()
        self._say(f"  whole after {seconds:.0f} s; {self._in_short()}")
        for chores in self._chores:
            chores.go_on()
        return True

    def _wait_until_whole(self, began: float) -> dict[str, str]:
        while True:
            look = self._judge.look
            lacking = {}
            for cluster, names in self._clusters.machines.items():
                lacks = whole(look, names, MEMBERS) or self._unfinished(cluster)
                if lacks:
                    lacking[cluster] = lacks
                    self._help(look, names)
            self._repair_spares()
            if not lacking or self._timeline.now() - began > WHOLE_SECONDS:
                return lacking
            time.sleep(1.0)

    def _unfinished(self, cluster: str) -> str:
        """Say which heal has not ended; its end is part of being whole."""
        running = [run.pid for run in self._monitor.heals if run.deployment == cluster and run.runs]
        if running:
            return f"its heal still runs: {running}"
        healing = properties_of(self._profile, cluster, "cloudify_cluster").get("healing") or {}
        journals = healing.get("journals") or {}
        return f"a heal has not ended: {list(journals.values())}" if journals else ""

    def _help(self, look: Look, names: tuple[str, ...]) -> None:
        """Do what only a person can: without a majority, bring a machine back."""
        members = [seen for seen in look.of(names) if look.lists(seen)]
        off = [seen.name for seen in members if seen.power == "off"]
        if off and len(off) * 2 >= len(members):
            self._timeline.note("soak", f"a person switches {', '.join(off)} on: no majority is left")
            self._damage.switch_on(off)

    def _look_at_rest(self) -> None:
        for workflow in ("get_status", "backup", "verify_backups", "get_status"):
            for run in run_all(self._chores, workflow):
                if run.code != 0:
                    text = (
                        f"{run.deployment}: {workflow} ended with code {run.code} at rest; see {run.log.name}"
                    )
                    self._judge.violated(Violation("workflow_at_rest", f"{run.deployment} {workflow}", text))
        for cluster, names in self._clusters.machines.items():
            for violation in self._at_rest.of_deployment(cluster, names, self._judge.look):
                self._judge.violated(violation)
        process = self._monitor.process
        for violation in self._at_rest.of_all(None if process is None else process.pid):
            self._judge.violated(violation)
        self._snapshots.look(again=True)

    def _repair_spares(self) -> None:
        """A person makes dead machines, whose place a spare has taken, anew: they are the next spares."""
        for cluster in self._clusters.with_spares:
            look = self._judge.look
            for seen in look.of(self._clusters.machines[cluster]):
                if seen.power == "off" and not look.lists(seen) and not self._damage.lasts_on(seen.name):
                    self._timeline.note("soak", f"a person makes {seen.name} anew, to be a spare")
                    self._lab.rebuild(seen.name)

    def _ended(self, run: Run, in_time: bool) -> None:
        if not in_time:
            text = f"{run.deployment}: {run.workflow} had not ended in time; see {run.log.name}"
            self._judge.violated(Violation("hangs", str(run.pid), text))
        elif run.workflow == "get_status" and run.code != 0 and not run.killed:
            text = f"{run.deployment}: get_status ended with code {run.code}; see {run.log.name}"
            self._judge.violated(Violation("no_status", run.log.name, text))

    def _watcher_failed(self, error: Exception) -> None:
        text = f"the soak itself failed: {type(error).__name__}: {error}"
        self._judge.violated(Violation("soak_failed", text, text))

    def _in_short(self) -> str:
        ended = [entry["outcome"] for entry in self._histories.entries.values()]
        heals = f"{len(self._monitor.heals)} heals so far, {ended.count('healed')} healed"
        return f"{heals}, {self._snapshots.seen} snapshots"

    def _end(self) -> None:
        for chores in self._chores:
            chores.stop()
        for watcher in self._watchers:
            watcher.stop()
        if self._monitor.stop() not in (0, None):
            self._judge.violated(
                Violation("monitor_end", "monitor", "the monitor did not end well on SIGTERM")
            )
        for run in self._monitor.heals:
            kill_group(self._profile, run)
        self._histories.look()
        figures, rules = self._figures, self._judge.rules
        figures.clusters = dict.fromkeys(self._clusters.machines, MEMBERS)
        figures.take_runs(run for run in self._workflows.runs)
        for entry in self._histories.entries.values():
            figures.heals[entry["outcome"]] += 1
            if entry["outcome"] == "healed":
                figures.heal_seconds.append(_seconds_between(entry["started_at"], entry["at"]))
        figures.heals_started, figures.heals_killed = len(self._monitor.heals), self._heals_killed
        figures.refusals, figures.monitor_starts = self._monitor.refusals, self._monitor.starts
        figures.removals, figures.wipes, figures.races = rules.removals, rules.wipes, rules.races
        figures.snapshots = self._snapshots.seen
        for violation in figures.take_samples(self._processes.samples):
            self._judge.violated(violation)


def _seconds_between(first: str, last: str) -> float:
    kind = "%Y-%m-%dT%H:%M:%SZ"
    return time.mktime(time.strptime(last, kind)) - time.mktime(time.strptime(first, kind))
