"""A leader of the databases that the managers do not know: another one leads again.

A database has a vote, and may come to lead, as soon as it has joined; a manager uses it only when it was told
of it. When the old leader dies between the two, the cluster has a leader and no manager finds it, and
``dbs add`` finds none either. Then a database that all managers know leads again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from cmom.errors import TryAgainLater
from cmom.models import Host
from cmom.services.generation5.changes import Waits, databases_of
from cmom.services.generation5.commands import DatabaseNode, MemberCommands, demand
from cmom.services.generation5.layout import Service
from cmom.services.generation5.machines import Machines
from cmom.services.generations.interface import ClusterSpec

_SWITCH_SECONDS = 60.0


def let_known_lead(spec: ClusterSpec, waits: Waits) -> bool:
    """Make sure that the managers know the database that leads.

    Args:
        spec: The cluster.
        waits: Its waits.

    Returns:
        Whether another database leads now.

    Raises:
        CommandFailed: The database that is to lead is refused.
        TryAgainLater: It does not take over, or too few members are alive.
    """
    with Machines(spec) as machines:
        awake = [host for host in spec.hosts if spec.greets(host)]
        asked = next(_that_list(awake, machines), None)
        if asked is None:
            return False
        commands, nodes = asked
        leader = next((node for node in nodes if node.state == "leader" and node.alive), None)
        known = _known_to_all(awake, machines)
        if leader is None or known is None or leader.address in known:
            return False
        others = [node for node in nodes if node.alive and node.address in known]
        if not others:
            spec.logger.warning(
                "The database %s leads, of which the managers were never told, and no other one is alive.",
                leader.address,
            )
            return False
        successor = min(others, key=lambda node: node.state != "sync_replica").address
        spec.logger.info(
            "The database %s leads, of which the managers were never told; %s is to lead again.",
            leader.address,
            successor,
        )
        outcome = commands.set_database_master(successor)
        demand(outcome, commands.machine, f"letting the database {successor} lead")

        def leads() -> bool:
            return any(
                one.address == successor and one.state == "leader" and one.alive
                for one in commands.databases()
            )

        waits.until(leads, f"the database {successor} to lead", _SWITCH_SECONDS)
    return True


def _that_list(
    hosts: Iterable[Host], machines: Machines
) -> Iterator[tuple[MemberCommands, tuple[DatabaseNode, ...]]]:
    """Return what members say of the databases; nothing of those that are dead, or have none."""
    for host in hosts:
        if Service.DATABASE not in machines[host].layout.services:
            return
        commands = machines.commands(host)
        with suppress(TryAgainLater):
            yield commands, commands.databases()


def _known_to_all(hosts: Iterable[Host], machines: Machines) -> set[str] | None:
    """Return the databases that all managers use; None where there is no manager."""
    used = [set(found) for host in hosts if (found := databases_of(machines, host))]
    return set.intersection(*used) if used else None
