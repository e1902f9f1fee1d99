"""Which fault comes when: all of it follows from the seed, so a run that found something can be repeated.

What a fault hits is told by its part in the cluster (the leader, a replica), since who that is depends on
what happened before; which machine it was then stands in the timeline.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

TIER2, PEERS, ALL = "tier2", "peers", "all"


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    Attributes:
        weight: How often it comes, beside the others.
        seconds: How long it lasts, from and to; with `for_ever` it may also stay until somebody heals it.
        details: One of these is chosen with it.
        roles: Whom it hits; empty where it hits no machine.
    """

    weight: int
    seconds: tuple[float, float] = (0.0, 0.0)
    details: tuple[str, ...] = ("",)
    roles: tuple[str, ...] = ("leader", "replica", "replica", "any")
    for_ever: float = 0.0


KINDS = {
    "kill": Kind(22, (3.0, 45.0), for_ever=0.7),
    "kill_two": Kind(2, (20.0, 45.0)),
    "partition": Kind(14, (5.0, 40.0), (TIER2, TIER2, PEERS, PEERS, ALL)),
    "partition_everything": Kind(2, (8.0, 30.0), (TIER2,), ()),
    "rest_hang": Kind(4, (5.0, 30.0)),
    "rest_slow": Kind(5, (5.0, 30.0), ("1", "4")),
    "rest_error": Kind(6, (5.0, 30.0), ("500", "503", "broken-json", "refuse")),
    "rest_cut": Kind(4, (5.0, 30.0), ("200", "100000")),
    "ssh_hang": Kind(3, (5.0, 30.0)),
    "ssh_refuse": Kind(2, (5.0, 30.0)),
    "ssh_cut": Kind(3, (5.0, 20.0), ("3000", "200000")),
    "slow_disk": Kind(6, (10.0, 50.0), roles=("any",)),
    "failing_snapshot": Kind(6, roles=("leader",)),
    "install_fails": Kind(3, (20.0, 60.0), ("install-fail", "install-hang"), ("any",)),
    "kill_heal": Kind(8, roles=()),
    "kill_workflow": Kind(6, roles=()),
    "kill_monitor": Kind(3, roles=()),
}


@dataclass(frozen=True)
class Pace:
    """How dense the faults are.

    Attributes:
        gap_seconds: Between two faults, from and to.
        kill_monitor: Whether the monitor may be killed, too.
    """

    gap_seconds: tuple[float, float] = (4.0, 18.0)
    kill_monitor: bool = True


@dataclass(frozen=True)
class Event:
    """One fault.

    Attributes:
        at_seconds: When, since the beginning of its round.
        kind: One of KINDS.
        cluster: Which cluster, counted from 0.
        role: ``leader``, ``replica`` or ``any``; empty where it hits no machine.
        pick: Which of those that are meant, 0 to 1.
        seconds: How long it lasts; 0: until it is mended by the product.
        detail: What the kind needs to know.
    """

    at_seconds: float
    kind: str
    cluster: int
    role: str
    pick: float
    seconds: float
    detail: str


def plan_round(
    seed: int, number: int, seconds: float, clusters: int, pace: Pace | None = None
) -> tuple[Event, ...]:
    """Return the faults of one round, in their order.

    Args:
        seed: The run's.
        number: The round's; each follows from the seed alone, so one can be repeated without those before.
        seconds: How long faults come.
        clusters: How many there are.
        pace: How dense they are.
    """
    pace = pace or Pace()
    # Not for cryptography: it has to be the same each time.
    chance = random.Random(f"{seed}/{number}")
    kinds = [kind for kind in KINDS if pace.kill_monitor or kind != "kill_monitor"]
    weights = [KINDS[kind].weight for kind in kinds]
    events, at = [], chance.uniform(*pace.gap_seconds) / 2
    while at < seconds:
        kind = chance.choices(kinds, weights)[0]
        known = KINDS[kind]
        lasts = chance.uniform(*known.seconds)
        stays = chance.random() < known.for_ever
        events.append(
            Event(
                round(at, 1),
                kind,
                chance.randrange(clusters),
                chance.choice(known.roles) if known.roles else "",
                round(chance.random(), 3),
                0.0 if stays else round(lasts, 1),
                chance.choice(known.details),
            )
        )
        at += chance.uniform(*pace.gap_seconds)
    return tuple(events)
