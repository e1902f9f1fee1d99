"""What each machine of a lab is doing, in a row of a table."""

from __future__ import annotations

from dataclasses import dataclass

from lab.machine import Machine
from lab.packages import MANAGER_PACKAGE


@dataclass(frozen=True)
class MachineStatus:
    """One row of `lab status`.

    Attributes:
        power: `on`, `off` or `booting`.
        partition: `none`, or whom it is cut off from.
        rpm: the installed manager package's version, or `none`.
        manager: the running manager's version, or `none`.
        role: `leader`, `replica` or `none`; `active` in a cluster of generation 5.
        database: `leader`, `replica`, `stopped` or `none` (generation 5).
        broker: `running`, `stopped` or `none` (generation 5).
    """

    name: str
    ip: str
    public_ip: str
    hostname: str
    power: str
    partition: str
    rpm: str
    manager: str
    role: str
    database: str = "none"
    broker: str = "none"


def status(machine: Machine) -> MachineStatus:
    package = machine.rpm_database.get(MANAGER_PACKAGE) if machine.disk.exists() else None
    manager = machine.manager
    return MachineStatus(
        name=machine.name,
        ip=machine.ip,
        public_ip=machine.public_ip,
        hostname=machine.hostname,
        power=machine.power,
        partition=machine.partition or "none",
        rpm=package.version if package is not None else "none",
        manager=manager.version if manager is not None else "none",
        role=_role(machine),
        database=_database(machine),
        broker=_broker(machine),
    )


def _database(machine: Machine) -> str:
    node = machine.backing.database
    if node is None:
        return "none"
    cluster = node.cluster
    if not node.alive or cluster is None:
        return "stopped"
    return "leader" if cluster.acting_leader() is node else "replica"


def _broker(machine: Machine) -> str:
    broker = machine.backing.broker
    if broker is None:
        return "none"
    return "running" if broker.running else "stopped"


def _role(machine: Machine) -> str:
    manager = machine.manager
    if manager is None or not manager.running:
        return "none"
    from lab.manager.cluster import SeatState

    manager.settle()
    if manager.link is not None:
        return "active"
    if manager.seat.state is not SeatState.MEMBER:
        return "none"
    return "leader" if manager.seat.is_leader else "replica"
