"""Doing what the schedule says: faults begin and end, several at once on the same machine."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lab.faults import Fault
from lab.manager.engine import Script
from lab.soak.observer import Look, Seen
from lab.soak.schedule import Event
from lab.soak.timeline import Timeline

if TYPE_CHECKING:
    from lab.settings import LabSettings
    from lab.testing import LabThread

# What a disk that hardly moves makes of the times on a machine.
_SLOW = 8.0
_SLOW_FIELDS = (
    "install_seconds",
    "service_start_seconds",
    "snapshot_seconds",
    "replicate_seconds",
    "environment_seconds",
    "initialise_seconds",
)
# So long the last machines of a cluster stay off at most: without a majority only a person can help, and here
# that person switches them on again.
LONGEST_WITHOUT_MAJORITY_SECONDS = 30.0


@dataclass
class Active:
    """A fault that lasts.

    Attributes:
        machines: Which it hits.
        until: When it ends, on the timeline.
    """

    event: Event
    machines: tuple[str, ...]
    until: float


@dataclass
class Damage:
    """Applies faults to a lab.

    Attributes:
        clusters: The machines of each, by name, in the schedule's order.
        usual: How long things take on a machine that is well.
    """

    lab: LabThread
    clusters: Mapping[str, Sequence[str]]
    usual: LabSettings
    timeline: Timeline
    active: list[Active] = field(default_factory=list)

    def begin(self, event: Event, look: Look) -> bool:
        """Let a fault begin; tell whether there was anything to hit."""
        cluster = list(self.clusters)[event.cluster]
        machines = self._hit(event, look, self.clusters[cluster])
        if not machines:
            return False
        names = ", ".join(machines)
        until = f"for {event.seconds:.0f} s" if event.seconds else "until it is healed"
        if event.kind == "failing_snapshot":
            until = "once"
        self.timeline.note("fault", f"{event.kind} {event.detail} {cluster}: {names} {until}")
        if event.kind == "failing_snapshot":
            self.lab.call(self._fail_snapshot, machines[0])
            return True
        seconds = event.seconds
        if event.kind in ("kill", "kill_two"):
            seconds = self._kill(machines, event.seconds, look, self.clusters[cluster])
        if seconds:
            self.active.append(Active(event, machines, self.timeline.now() + seconds))
        if event.kind not in ("kill", "kill_two"):
            self._renew(machines)
        return True

    def end_due(self, *, all_of_them: bool = False) -> None:
        """Let those end whose time is over."""
        now = self.timeline.now()
        due = [one for one in self.active if all_of_them or one.until <= now]
        self.active = [one for one in self.active if one not in due]
        if all_of_them:
            self.lab.call(self._let_snapshots_succeed)
        for one in due:
            self.timeline.note(
                "fault", f"the end of {one.event.kind} {one.event.detail}: {', '.join(one.machines)}"
            )
            if one.event.kind in ("kill", "kill_two"):
                self.switch_on(one.machines)
            else:
                self._renew(one.machines)

    def lasts_on(self, name: str) -> bool:
        """Tell whether a fault on a machine is to end by itself."""
        return any(name in one.machines for one in self.active)

    def switch_on(self, names: Sequence[str]) -> None:
        """Switch machines on, as they are."""
        for name in names:
            self.lab.start(name)

    def _hit(self, event: Event, look: Look, names: Sequence[str]) -> tuple[str, ...]:
        if event.kind == "partition_everything":
            return tuple(name for machines in self.clusters.values() for name in machines)
        seen = look.of(names)
        if event.kind == "kill_two":
            members = [one.name for one in seen if look.lists(one) and one.power == "on"]
            return tuple(random.Random(event.pick).sample(members, 2)) if len(members) > 2 else ()
        wanted = [one.name for one in seen if self._is_meant(event, one)]
        return (wanted[int(event.pick * len(wanted)) % len(wanted)],) if wanted else ()

    @staticmethod
    def _is_meant(event: Event, seen: Seen) -> bool:
        if event.kind == "kill" and seen.power == "off":
            return False
        if event.role == "leader":
            return seen.leads
        if event.role == "replica":
            return bool(seen.cluster) and not seen.leads
        return True

    def _kill(self, machines: Sequence[str], seconds: float, look: Look, names: Sequence[str]) -> float:
        members = [seen for seen in look.of(names) if look.lists(seen)]
        if not seconds and not any(seen.name in machines for seen in members):
            seconds = LONGEST_WITHOUT_MAJORITY_SECONDS  # it is just being installed, which is waited for long
        left = [seen for seen in members if seen.power == "on" and seen.name not in machines]
        if len(left) * 2 <= len(members):
            seconds = min(seconds or LONGEST_WITHOUT_MAJORITY_SECONDS, LONGEST_WITHOUT_MAJORITY_SECONDS)
            self.timeline.note(
                "fault", f"no majority is left; {', '.join(machines)} come back in {seconds:.0f} s"
            )
        for name in machines:
            self.lab.kill(name)
        return seconds

    def _fail_snapshot(self, name: str) -> None:
        manager = self.lab.machine(name).manager
        if manager is not None:
            manager.script(Script("create_snapshot", error="No space left on device"))

    def _let_snapshots_succeed(self) -> None:
        for machine in self.lab.lab.machines.values():
            if machine.manager is not None:
                machine.manager.database.engine.scripts.clear()

    def _renew(self, names: Sequence[str]) -> None:
        """Put onto machines what still lasts of the faults on them."""
        for name in names:
            faults = [one.event for one in self.active if name in one.machines]
            self.lab.call(self._apply, name, faults)

    def _apply(self, name: str, events: Sequence[Event]) -> None:
        machine = self.lab.machine(name)
        machine.faults.clear()
        cuts = {event.detail for event in events if event.kind.startswith("partition")}
        cut = "all" if len(cuts) > 1 else next(iter(cuts), None)
        if cut != machine.partition:
            machine.heal()
            if cut is not None:
                machine.cut(cut)
        slow = any(event.kind == "slow_disk" for event in events)
        machine.settings = slowed(self.usual) if slow else self.usual
        for event in events:
            fault = board_fault(event)
            if fault is not None:
                machine.faults.add(fault)


def slowed(usual: LabSettings) -> LabSettings:
    """Return how long things take on a slow disk."""
    changes: dict[str, Any] = {name: getattr(usual, name) * _SLOW for name in _SLOW_FIELDS}
    return replace(usual, **changes)


def board_fault(event: Event) -> Fault | None:
    """Return what an event puts onto a machine's board of faults; None for nothing."""
    made = {
        "rest_hang": lambda: Fault("hang"),
        "rest_slow": lambda: Fault("slow", seconds=float(event.detail)),
        "rest_error": lambda: Fault(event.detail),
        "rest_cut": lambda: Fault("cut", after_bytes=int(event.detail)),
        "ssh_hang": lambda: Fault("ssh-hang"),
        "ssh_refuse": lambda: Fault("ssh-refuse"),
        "ssh_cut": lambda: Fault("ssh-cut", after_bytes=int(event.detail)),
        "install_fails": lambda: Fault(event.detail),
    }.get(event.kind)
    return None if made is None else made()
