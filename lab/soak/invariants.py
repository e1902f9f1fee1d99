"""What must never be, as functions of what was seen: no process, no lab and no clock takes part here."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.soak.observer import Look, Seen

# Between the last look of a heal at a member and what it does to it some time passes, in which the member may
# come back. So long it is nobody's fault; what comes back within it is counted.
RACE_SECONDS = 5.0


@dataclass(frozen=True)
class Violation:
    """Something that must not be.

    Attributes:
        rule: Which rule, in one word that does not change.
        subject: Whom it is about: the same about the same is told once.
        text: What was seen.
    """

    rule: str
    subject: str
    text: str


class ClusterRules:
    """Never two leaders, never a healthy member destroyed.

    Args:
        clusters: The machines of each cluster, by its name.
    """

    def __init__(self, clusters: Mapping[str, Sequence[str]]) -> None:
        self._clusters = clusters
        self._before: Look | None = None
        self._healthy_since: dict[str, float] = {}
        self.removals = 0
        self.wipes = 0
        self.races = 0

    def look(self, look: Look) -> Iterator[Violation]:
        """Judge what has changed since the last look."""
        for cluster, names in self._clusters.items():
            yield from self._leaders(cluster, look.of(names))
        before, self._before = self._before, look
        if before is not None:
            for name, was in before.machines.items():
                yield from self._change(was, look.machines.get(name), before, look)
        for name, seen in look.machines.items():
            if not seen.healthy:
                self._healthy_since.pop(name, None)
            else:
                self._healthy_since.setdefault(name, look.at)

    @staticmethod
    def _leaders(cluster: str, seen: Sequence[Seen]) -> Iterator[Violation]:
        leaders = [one for one in seen if one.leads]
        if len(leaders) > 1:
            names = "; ".join(str(one) for one in leaders)
            yield Violation("two_leaders", cluster, f"{cluster} has two leaders: {names}")

    def _change(self, was: Seen, now: Seen | None, before: Look, look: Look) -> Iterator[Violation]:
        listed = before.lists(was)
        removed = bool(was.cluster) and listed and was.ip not in look.members.get(was.cluster, (was.ip,))
        wiped = bool(was.installation) and (now is None or now.installation != was.installation)
        self.removals += removed
        self.wipes += wiped
        if not was.healthy or not (removed or wiped):
            return
        lasted = look.at - self._healthy_since.get(was.name, look.at)
        if removed and not wiped and lasted < RACE_SECONDS:
            self.races += 1
            return
        what = "its manager was wiped" if wiped else "it was removed from its cluster"
        yield Violation(
            "healthy_destroyed",
            was.name,
            f"{was} had been healthy for {lasted:.1f} s by the lab's own record when {what}",
        )


def whole(look: Look, names: Sequence[str], size: int) -> str:
    """Say what a cluster lacks to be whole; empty when it is.

    Args:
        look: What was seen.
        names: Its machines, spares among them.
        size: How many members it has to have.
    """
    members = [seen for seen in look.of(names) if seen.cluster]
    healthy = [seen for seen in members if seen.healthy]
    clusters = {seen.cluster for seen in members}
    listed = [ip for cluster in clusters for ip in look.members.get(cluster, ())]
    leaders = [seen for seen in members if seen.leads]
    if len(healthy) == size == len(listed) and len(leaders) == 1 and len(clusters) == 1:
        return ""
    shown = "; ".join(str(seen) for seen in look.of(names))
    counts = f"{len(healthy)} of {size} members are healthy, {len(listed)} are listed, {len(leaders)} lead"
    return f"{counts}: {shown}"


def archive_fault(path: Path) -> str:
    """Say what is wrong with a snapshot that has a name; empty for nothing, and when it is gone by now."""
    manifest = path.with_suffix(".json")
    try:
        told = json.loads(manifest.read_text(encoding="utf-8"))
        expected = (int(told["bytes"]), str(told["sha256"]))
        content = path.read_bytes()
    except FileNotFoundError:
        # A snapshot is deleted before its manifest, and has one before it has its name.
        return f"{path.name} has no manifest" if path.exists() and not manifest.exists() else ""
    except (ValueError, KeyError) as error:
        return f"the manifest of {path.name} cannot be read: {error}" if path.exists() else ""
    found = (len(content), hashlib.sha256(content).hexdigest())
    return "" if found == expected else f"{path.name} is {found}, and its manifest says {expected}"


def ledger_faults(
    ledger: Mapping[str, Mapping[str, Any]],
    hosts: Iterable[str],
    members: Iterable[str],
    holders: Iterable[str],
) -> list[str]:
    """Compare who holds which machine with who is a member: nothing may leak.

    Args:
        ledger: Entries ``{ip}`` of the pool by the node instance that holds them, as Tier 2 stores them.
        hosts: The addresses in the pool.
        members: The addresses that the cluster itself lists.
        holders: The node instances there are.
    """
    held = [str(entry.get("ip")) for entry in ledger.values()]
    faults = []
    if len(set(held)) != len(held):
        faults.append(f"a machine is held twice: {sorted(held)}")
    if set(held) - set(hosts):
        faults.append(f"machines are held that are none of the pool: {sorted(set(held) - set(hosts))}")
    if set(ledger) != set(holders):
        faults.append(f"{sorted(ledger)} hold machines, and the node instances are {sorted(holders)}")
    if set(held) != set(members):
        faults.append(f"held are {sorted(set(held))}, and members are {sorted(set(members))}")
    return faults


def slope_per_hour(samples: Sequence[tuple[float, float]]) -> float:
    """Return how fast something grows: the slope of the line through (seconds, value), for an hour."""
    if len({at for at, _ in samples}) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*samples, strict=True)).slope * 3600.0


def growth(samples: Sequence[tuple[float, float]]) -> float:
    """Return by how much the median of the last quarter is above that of the second one.

    The first quarter is left out: whatever begins fills its caches.
    """
    quarter = len(samples) // 4
    if quarter == 0:
        return 0.0
    values = [value for _, value in samples]
    return statistics.median(values[-quarter:]) - statistics.median(values[quarter : 2 * quarter])


def files_with(words: Sequence[str], paths: Iterable[Path]) -> list[Path]:
    """Return the files in which one of some secret words stands."""
    sought = [word.encode() for word in words]
    found = []
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if any(word in content for word in sought):
            found.append(path)
    return found
