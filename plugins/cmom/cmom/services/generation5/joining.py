"""A machine is brought (back) into a cluster that runs: the database, the broker, the manager.

That order is that of the installer's documentation. What is missing on the machine is installed; what the
cluster lists of the machine's former self goes first. The other managers are told of the database as soon as
it has joined: from then on it may come to lead. They are told of the broker, too, before the manager is
installed: once that is there, nobody misses anything on the machine any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cmom.errors import ActionRequired, CommandFailed, TryAgainLater
from cmom.models import Host, Member
from cmom.services.generation5.changes import Change, Waits, databases_of, is_whole, living_of
from cmom.services.generation5.commands import DatabaseNode, demand, lacks_majority
from cmom.services.generation5.forming import ensure_broker
from cmom.services.generation5.layout import Layout, Service, member_name
from cmom.services.generation5.leadership import let_known_lead
from cmom.services.generation5.leaving import Leaving
from cmom.services.generation5.machines import Machines
from cmom.services.generation5.managers import Managers, NobodyTells
from cmom.services.generations.interface import ClusterSpec

_KNOWN_DATABASE = "already part of the cluster"


class Joining:
    """Brings members into a cluster.

    Args:
        spec: The cluster.
        managers: Its managers.
    """

    def __init__(self, spec: ClusterSpec, managers: Managers) -> None:
        self._spec = spec
        self._managers = managers
        self._hosts = tuple(spec.hosts)
        self._waits = Waits(spec, managers)
        self._leaving = Leaving(spec, managers)

    def join(self, host: Host) -> bool:
        """Make sure that a machine is a working member; what is missing on it is installed.

        Returns:
            Whether anything was changed.

        Raises:
            ActionRequired: An installer failed, or the member does not fit into the cluster.
            TryAgainLater: Something executes, or takes longer.
        """
        members = self._members()
        if self._spec.forming and is_whole(members, host):
            return False
        others = [one for one in self._hosts if one.ip != host.ip]
        with Machines(self._spec) as machines:
            layout = machines[host].layout
            if layout.single or not others:
                self._refuse_beside_single(host, others, layout)
                return False
            living = living_of(others, members)
            if not living:
                raise TryAgainLater(f"No member is alive that {host.ip} could join.")
            change = Change(host, living, machines, layout)
            changed = [self._forget_former(change), machines[host].ensure_files()]
            if Service.DATABASE in layout.services:
                changed.append(self._join_database(change))
                changed += [self._tell_of_database(change, other) for other in living]
            if Service.BROKER in layout.services:
                changed += [self._join_broker(change), self._register_broker(host)]
            changed.append(self._join_manager(change))
        self._waits.until_whole(host)
        self._waits.until_all_well(living)
        return any(changed)

    def _members(self) -> tuple[Member, ...]:
        """List the members, when an interrupted join has kept the managers from it, too."""
        try:
            return self._managers.members()
        except NobodyTells:
            if not let_known_lead(self._spec, self._waits):
                raise
        return self._managers.members()

    def _join_database(self, change: Change) -> bool:
        host, machine, survivor = change.host, change.machines[change.host], change.survivor
        if machine.has(Service.DATABASE) and not _rows_of(change):
            # The installer ends well, with a warning, when etcd has no majority; nothing makes up for that.
            self._spec.logger.info("The database of %s is not in the cluster; it is installed anew.", host.ip)
            machine.ensure_removed(Service.DATABASE)
        if not machine.has(Service.DATABASE):
            self._waits.until_quiet(but=host)
        changed = self._ensure_installed(change, Service.DATABASE)
        if not _rows_of(change):
            raise TryAgainLater(
                f"The database of {host.ip} was installed while those of the cluster had no majority, so it "
                "is not in the cluster. It is installed anew when they have one."
            )

        def alive() -> bool:
            return any(node.address == host.ip and node.alive for node in survivor.databases())

        what = f"the database {host.ip} to be in the cluster"
        self._waits.until(alive, what, self._waits.times.form_seconds)
        return changed

    def _join_broker(self, change: Change) -> bool:
        if not change.machines[change.host].has(Service.BROKER):
            self._waits.until_quiet(but=change.host)
        with _later_without_majority():
            return ensure_broker(change.machines, change.host, change.others[0])

    def _join_manager(self, change: Change) -> bool:
        changed = self._ensure_installed(change, Service.MANAGER)
        self._waits.until_serving(change.host)
        return changed

    def _ensure_installed(self, change: Change, service: Service) -> bool:
        with _later_without_majority():
            return change.machines[change.host].ensure_installed(service)

    def _forget_former(self, change: Change) -> bool:
        """Take out what the cluster still lists of a machine on which nothing of it was begun.

        A heal that failed while its member joined makes the machine anew; what had joined by then is dead.
        """
        machine = change.machines[change.host]
        begun = {service for service in change.layout.services if machine.is_begun(service)}
        changed = [] if Service.MANAGER in begun else [self._leaving.manager(change, dead=True)]
        if Service.BROKER in change.layout.services and Service.BROKER not in begun:
            changed.append(self._leaving.broker(change, dead=True))
        if Service.DATABASE in change.layout.services and Service.DATABASE not in begun and _rows_of(change):
            changed.append(self._leaving.database(change, dead=True))
        return any(changed)

    def _tell_of_database(self, change: Change, other: Host) -> bool:
        """Let a manager that was there before use the new database, too."""
        host = change.host
        if host.ip in databases_of(change.machines, other):
            return False
        commands = change.machines.commands(other)
        outcome = commands.add_database(host.ip)
        doing = f"telling {other.ip} of the database {host.ip}"
        changed = demand(outcome, commands.machine, doing, _KNOWN_DATABASE)
        self._waits.until_serving(other)
        return changed

    def _register_broker(self, host: Host) -> bool:
        name = member_name(host)
        doing = f"registering the broker {name}"
        if name in self._managers.tell(lambda one: one.list_brokers(), doing, but=host):
            return False
        return self._managers.tell(lambda one: one.add_broker(name, host.ip), doing, but=host)

    def _refuse_beside_single(self, host: Host, others: Sequence[Host], layout: Layout) -> None:
        if layout.single and others:
            raise ActionRequired(
                f"{host.ip} cannot be a member beside {others[0].ip}: the first manager of this deployment "
                "was installed alone, with its database and broker inside. Make a new deployment of 3 or "
                "more, and restore a backup of this one onto it (old_deployment_id, backup)."
            )


def _rows_of(change: Change) -> tuple[DatabaseNode, ...]:
    """Return what etcd lists of the database in question: one row, or none."""
    return tuple(node for node in change.survivor.databases() if node.address == change.host.ip)


@contextmanager
def _later_without_majority() -> Iterator[None]:
    """Let an installer that found no majority, or nobody to join, be tried again: another member has died."""
    try:
        yield
    except CommandFailed as error:
        if lacks_majority(error.output):
            raise TryAgainLater(f"Another member is dead, it seems. {error}") from error
        raise
