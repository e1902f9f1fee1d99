"""What the lab itself knows of its machines, looked at many times a second, as plain data."""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.manager.cluster import SeatState

if TYPE_CHECKING:
    from lab.machine import Machine
    from lab.manager import Manager
    from lab.manager.five.databases import DatabaseNode

LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Seen:
    """One machine, as it is.

    Attributes:
        name: In the lab.
        power: ``on``, ``off`` or ``booting``.
        partition: Whom it is cut off from; empty for nobody.
        installation: A number that another manager on the same machine does not have; 0 for none.
        cluster: Which cluster its manager is a member of; empty for none.
        leads: Whether it runs and leads that.
        healthy: Whether it is a member that runs, is reached by its leader and has caught up.
    """

    name: str
    ip: str
    power: str = "on"
    partition: str = ""
    installation: int = 0
    cluster: str = ""
    leads: bool = False
    healthy: bool = False

    def __str__(self) -> str:
        words = [self.power]
        if self.partition:
            words.append(f"cut off from {self.partition}")
        if self.installation:
            words.append(f"manager #{self.installation}")
        if self.cluster:
            words.append("leads" if self.leads else "member")
            words.append("healthy" if self.healthy else "not healthy")
        return f"{self.name} ({self.ip}): {', '.join(words)}"


@dataclass(frozen=True)
class Look:
    """All machines at one moment.

    Attributes:
        at: On the lab's clock, in seconds.
        machines: By name.
        members: The private addresses that each cluster lists, by cluster.
    """

    at: float
    machines: Mapping[str, Seen]
    members: Mapping[str, tuple[str, ...]]

    def of(self, names: Sequence[str]) -> list[Seen]:
        """Return some of the machines."""
        return [self.machines[name] for name in names if name in self.machines]

    def lists(self, seen: Seen) -> bool:
        """Tell whether its cluster lists a machine; a dead one does not know that it was removed."""
        return seen.ip in self.members.get(seen.cluster, ())


class Observer:
    """Looks at the machines of a lab. Use it from the lab's event loop.

    Args:
        machines: Gives them.
        told: Called with each look.
    """

    def __init__(self, machines: Callable[[], Sequence[Machine]], told: Callable[[Look], None]) -> None:
        self._machines = machines
        self._told = told
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._count = itertools.count(1)

    async def watch(self) -> None:
        """Look, until cancelled."""
        while True:
            self._told(self.look())
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> Look:
        """Look once; what was due until now happens first."""
        machines = self._machines()
        for machine in machines:
            if machine.manager is not None:
                machine.manager.settle()
        members: dict[str, tuple[str, ...]] = {}
        seen = {machine.name: self._seen(machine, members) for machine in machines}
        return Look(machines[0].clock.now() if machines else 0.0, seen, members)

    def _seen(self, machine: Machine, members: dict[str, tuple[str, ...]]) -> Seen:
        manager = machine.manager
        common: dict[str, Any] = {
            "name": machine.name,
            "ip": machine.ip,
            "power": machine.power,
            "partition": machine.partition or "",
        }
        if manager is None:
            return Seen(**common)
        common["installation"] = self._number_of(manager)
        if machine.backing.database is not None:
            return self._seen_over(machine.backing.database, manager, members, common)
        cluster, name = manager.seat.cluster, manager.seat.node_name
        if manager.seat.state is not SeatState.MEMBER or cluster is None or name is None:
            return Seen(**common)
        members[cluster.token] = tuple(node.host_ip for node in cluster.nodes.values())
        node, leader = cluster.nodes.get(name), cluster.nodes[cluster.leader]
        leads = manager.running and manager.seat.is_leader
        healthy = (
            node is not None
            and manager.running
            and (leads or leader.reaches(node))
            and cluster.is_online(node, manager.now())
            and node.missed_since is None
        )
        return Seen(**common, cluster=cluster.token, leads=leads, healthy=healthy)

    def _seen_over(
        self,
        database: DatabaseNode,
        manager: Manager,
        members: dict[str, tuple[str, ...]],
        common: dict[str, Any],
    ) -> Seen:
        """Look at a manager of generation 5: a member is one with its database, its broker and itself."""
        cluster, broker = database.cluster, manager.machine.backing.broker
        if cluster is None or cluster.data is None or database.apart:
            return Seen(**common)
        token = f"databases {self._number_of(cluster)}"
        listed = {row.private_ip for row in cluster.data.tables.managers.values()}
        brokers = {row.host for row in cluster.data.tables.brokers.values()}
        members[token] = tuple(ip for ip in cluster.members if ip in listed & brokers)
        leader = cluster.acting_leader()
        healthy = (
            manager.running
            and database.address in members[token]
            and broker is not None
            and broker.running
            and broker.known
            and leader is not None
            and leader.reaches(database)
            and database.ready_at <= manager.now()
        )
        return Seen(**common, cluster=token, leads=leader is database, healthy=healthy)

    def _number_of(self, thing: object) -> int:
        """Return a number that no other thing has."""
        number = self._numbers.get(thing)
        if number is None:
            number = self._numbers[thing] = next(self._count)
        return number
