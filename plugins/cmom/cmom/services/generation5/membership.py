"""A member of a cluster that runs: taken out of it, dead or alive, and brought (back) into it.

The order is that of the installer's documentation: out go the manager, the broker, the database; in come the
database, the broker, the manager. The clusters below the managers are changed only while nothing executes,
and never so that no living majority is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import yaml

from cmom.clients.manager import ManagerClient
from cmom.errors import ActionRequired, CommandFailed, TryAgainLater
from cmom.models import Host, Member
from cmom.services.formation import ClusterTimes
from cmom.services.generation5.commands import MemberCommands, demand
from cmom.services.generation5.forming import ensure_broker
from cmom.services.generation5.layout import SMALLEST_CLUSTER, Layout, Service, member_name
from cmom.services.generation5.machines import Machines
from cmom.services.generation5.managers import Managers
from cmom.services.generations.interface import ClusterSpec
from cmom.services.serving import wait_until_serving
from cmom.services.waiting import SystemClock, wait_for

# What a manager uses; it holds passwords, and is only looked at (`cloudify-rest.conf` of 5.1 to 7.0).
_REST_CONFIG = "/opt/manager/cloudify-rest.conf"
# A broker counts as running for up to a minute after it has died (`brokers remove` says so).
_BROKER_SECONDS = 120.0
# Words of refusals that mean: later; or that there is nothing to do.
_STILL_RUNNING = "must be shut down"
_NO_BROKER = "not found in cluster"
_NO_DATABASE = "Cannot find node with address"
_KNOWN_DATABASE = "already part of the cluster"


@dataclass(frozen=True)
class _Change:
    """One change of the membership.

    Attributes:
        host: Whose.
        others: All other hosts that are alive, the first of which is asked and told.
    """

    host: Host
    others: tuple[Host, ...]
    machines: Machines
    layout: Layout

    @property
    def survivor(self) -> MemberCommands:
        return self.machines.commands(self.others[0])


class Membership:
    """Takes members out of a cluster and brings them in.

    Args:
        spec: The cluster.
        managers: Its managers.
    """

    def __init__(self, spec: ClusterSpec, managers: Managers) -> None:
        self._spec = spec
        self._managers = managers
        self._hosts = tuple(spec.hosts)
        self._clock = spec.clock or SystemClock()
        self._times = spec.times or ClusterTimes()

    def remove(self, host: Host, *, dead: bool) -> bool:
        """Make sure that a machine is not a member.

        Args:
            host: Which.
            dead: Whether its machine is dead; else its services are removed from it on the way.

        Returns:
            Whether anything was changed.

        Raises:
            ActionRequired: What is left would be no cluster.
            TryAgainLater: Something executes, or takes longer.
        """
        others = [one for one in self._hosts if one.ip != host.ip]
        if not others:
            self._spec.logger.info("%s is the last member and stays: its cluster ends with it.", host.ip)
            return False
        members = self._managers.members()
        living = _living(others, members)
        if not living:
            raise TryAgainLater(f"No other member than {host.ip} is alive that could be told.")
        with Machines(self._spec) as machines:
            layout = machines[living[0]].layout
            change = _Change(host, living, machines, layout)
            self._refuse_too_few(change, dead=dead)
            self._wait_until_quiet(but=host if dead else None)
            changed = [self._remove_manager(change, dead=dead)]
            if Service.BROKER in layout.services:
                changed.append(self._remove_broker(change, dead=dead))
            if Service.DATABASE in layout.services:
                changed.append(self._remove_database(change, dead=dead))
        return any(changed)

    def join(self, host: Host) -> bool:
        """Make sure that a machine is a working member; what is missing on it is installed.

        Returns:
            Whether anything was changed.

        Raises:
            ActionRequired: An installer failed, or the member does not fit into the cluster.
            TryAgainLater: Something executes, or takes longer.
        """
        members = self._managers.members()
        if self._spec.forming and _is_whole(members, host):
            return False
        others = [one for one in self._hosts if one.ip != host.ip]
        with Machines(self._spec) as machines:
            layout = machines[host].layout
            if layout.single or not others:
                self._refuse_beside_single(host, others, layout)
                return False
            living = _living(others, members)
            if not living:
                raise TryAgainLater(f"No member is alive that {host.ip} could join.")
            change = _Change(host, living, machines, layout)
            changed = [machines[host].ensure_files()]
            if Service.DATABASE in layout.services:
                changed.append(self._join_database(change))
            if Service.BROKER in layout.services:
                changed.append(self._join_broker(change))
            changed.append(self._join_manager(change))
            if Service.DATABASE in layout.services:
                changed += [self._tell_of_database(change, other) for other in living]
            if Service.BROKER in layout.services:
                changed.append(self._register_broker(host))
        self._wait_until_whole(host)
        self._wait_until_all_well(living)
        return any(changed)

    def _remove_manager(self, change: _Change, *, dead: bool) -> bool:
        host = change.host
        removed = False if dead else change.machines[host].ensure_removed(Service.MANAGER)
        listed = self._managers.tell(lambda one: one.list_managers(), "listing the managers", but=host)
        names = [one.hostname for one in listed if one.private_ip == host.ip]
        for name in names:
            self._spec.logger.info("Removing the manager %s (%s) from the cluster.", name, host.ip)
            self._remove_listed(name, host)
        return removed or bool(names)

    def _remove_listed(self, name: str, host: Host) -> bool:
        return self._managers.tell(
            lambda one: one.remove_manager(name), f"removing the manager {name}", but=host
        )

    def _remove_broker(self, change: _Change, *, dead: bool) -> bool:
        host, name = change.host, member_name(change.host)
        removed = False if dead else change.machines[host].ensure_removed(Service.BROKER)
        survivor = change.survivor
        if name in survivor.brokers():
            self._spec.logger.info("Removing the broker %s from the cluster.", name)

            def gone() -> bool:
                outcome = survivor.remove_broker(name)
                if _STILL_RUNNING in outcome.said and not outcome.ok:
                    return False
                demand(outcome, survivor.machine, f"removing the broker {name}", _NO_BROKER)
                return True

            self._wait(gone, f"the broker {name} to be removed", _BROKER_SECONDS)
            removed = True
        doing = f"unregistering the broker {name}"
        return self._managers.tell(lambda one: one.remove_broker(name), doing, but=host) or removed

    def _remove_database(self, change: _Change, *, dead: bool) -> bool:
        host, survivor = change.host, change.survivor
        self._let_another_lead(change, dead=dead)
        removed = False
        if host.ip in {node.address for node in survivor.databases()}:
            self._spec.logger.info("Removing the database %s from the cluster.", host.ip)
            doing = f"removing the database {host.ip}"
            outcome = survivor.remove_database(host.ip, Service.DATABASE)
            removed = demand(outcome, survivor.machine, doing, _NO_DATABASE)
        if not dead:
            removed = change.machines[host].ensure_removed(Service.DATABASE) or removed
        for other in change.others:
            if host.ip not in self._databases_of(change, other):
                continue
            commands = change.machines.commands(other)
            outcome = commands.remove_database(host.ip, Service.MANAGER)
            doing = f"telling {other.ip} that the database {host.ip} is gone"
            removed = demand(outcome, commands.machine, doing, _NO_DATABASE) or removed
            self._wait_until_serving(other)
        return removed

    def _let_another_lead(self, change: _Change, *, dead: bool) -> None:
        """A database that leads is not removed; of one that is dead another takes over by itself."""
        host, survivor = change.host, change.survivor

        def leads() -> bool:
            return any(node.address == host.ip and node.state == "leader" for node in survivor.databases())

        if not leads():
            return
        if not dead:
            others = [node for node in survivor.databases() if node.alive and node.address != host.ip]
            if not others:
                raise TryAgainLater(f"No database can take over from {host.ip}.")
            successor = min(others, key=lambda node: node.state != "sync_replica").address
            outcome = survivor.set_database_master(successor)
            demand(outcome, survivor.machine, f"letting the database {successor} lead")
        wait = self._times.leader_seconds
        self._wait(lambda: not leads(), f"another database than {host.ip} to lead", wait)

    def _join_database(self, change: _Change) -> bool:
        host = change.host
        machine, survivor = change.machines[host], change.survivor
        if not machine.has(Service.DATABASE):
            self._wait_until_quiet(but=host)
        changed = machine.ensure_installed(Service.DATABASE)

        def alive() -> bool:
            return any(node.address == host.ip and node.alive for node in survivor.databases())

        self._wait(alive, f"the database {host.ip} to be in the cluster", self._times.form_seconds)
        return changed

    def _join_broker(self, change: _Change) -> bool:
        if not change.machines[change.host].has(Service.BROKER):
            self._wait_until_quiet(but=change.host)
        return ensure_broker(change.machines, change.host, change.others[0])

    def _join_manager(self, change: _Change) -> bool:
        changed = change.machines[change.host].ensure_installed(Service.MANAGER)
        self._wait_until_serving(change.host)
        return changed

    def _tell_of_database(self, change: _Change, other: Host) -> bool:
        """Let a manager that was there before use the new database, too."""
        host = change.host
        if host.ip in self._databases_of(change, other):
            return False
        commands = change.machines.commands(other)
        outcome = commands.add_database(host.ip)
        doing = f"telling {other.ip} of the database {host.ip}"
        changed = demand(outcome, commands.machine, doing, _KNOWN_DATABASE)
        self._wait_until_serving(other)
        return changed

    def _register_broker(self, host: Host) -> bool:
        name = member_name(host)
        doing = f"registering the broker {name}"
        if name in self._managers.tell(lambda one: one.list_brokers(), doing, but=host):
            return False
        return self._managers.tell(lambda one: one.add_broker(name, host.ip), doing, but=host)

    def _databases_of(self, change: _Change, other: Host) -> tuple[str, ...]:
        """Return the databases that a manager uses, by its own configuration."""
        text = change.machines[other].site.installer.machine.read_file(_REST_CONFIG)
        try:
            found = (yaml.safe_load(text or "") or {}).get("postgresql_host") or ()
        except (yaml.YAMLError, AttributeError):
            raise CommandFailed(f"{_REST_CONFIG} on {other.ip} cannot be understood", 1, "") from None
        return (found,) if isinstance(found, str) else tuple(str(one) for one in found)

    def _refuse_beside_single(self, host: Host, others: Sequence[Host], layout: Layout) -> None:
        if layout.single and others:
            raise ActionRequired(
                f"{host.ip} cannot be a member beside {others[0].ip}: the first manager of this deployment "
                "was installed alone, with its database and broker inside. Make a new deployment of 3 or "
                "more, and restore a backup of this one onto it (old_deployment_id, backup)."
            )

    def _refuse_too_few(self, change: _Change, *, dead: bool) -> None:
        if not change.layout.keeps_data:
            return
        others = [one for one in self._hosts if one.ip != change.host.ip]
        if not dead and len(others) < SMALLEST_CLUSTER:
            raise ActionRequired(
                f"{change.host.ip} cannot leave: a cluster of generation 5 needs {SMALLEST_CLUSTER} members, "
                "for a majority of its databases and brokers must live. Uninstall it as a whole, or add a "
                "member first."
            )
        alive, needed = len(change.others), len(others) // 2 + 1
        if alive < needed:
            gone = ", ".join(one.ip for one in others if one not in change.others)
            raise TryAgainLater(
                f"Without {change.host.ip} only {alive} of the {len(others)} other members are alive ({gone} "
                "not), which is no majority. Nothing is removed; the cluster goes on as it is."
            )

    def _wait_until_quiet(self, *, but: Host | None) -> None:
        """Wait for the end of what executes: databases and brokers are changed only while nothing does."""
        last: list[str] = []

        def quiet() -> bool:
            last[:] = self._managers.running_executions(but=but)
            return not last

        try:
            self._wait(quiet, "the executions on the cluster to end", self._times.settle_seconds)
        except TryAgainLater as error:
            running = "; ".join(last[:5])
            if not running:
                raise
            raise TryAgainLater(
                f"Databases and brokers are changed only while nothing executes, and there runs: {running}. "
                "Wait for its end, or cancel it (cfy executions cancel)."
            ) from error

    def _wait_until_serving(self, host: Host) -> None:
        with ManagerClient(host.public_ip, self._spec.access) as manager:
            interval = self._times.poll_seconds
            wait_until_serving(manager, self._spec.logger, interval_seconds=interval, clock=self._spec.clock)

    def _wait_until_whole(self, host: Host) -> None:
        last = ""

        def whole() -> bool:
            nonlocal last
            members = self._managers.members()
            stand = stand_of(next((one for one in members if one.host_ip == host.ip), None))
            if stand != last:
                last = stand
                self._spec.logger.info("%s is %s.", host.public_ip, stand)
            return _is_whole(members, host)

        what = f"{host.public_ip} to be a member with all its services well"
        self._wait(whole, what, self._times.online_seconds)

    def _wait_until_all_well(self, others: Sequence[Host]) -> None:
        """Wait for those whose services were restarted when they were told of the new member.

        One that is not well for another reason does not hold up the join, which is done.
        """

        def well() -> bool:
            members = self._managers.members()
            return all(_is_whole(members, other) for other in others)

        try:
            self._wait(well, "the other members to be well again", self._times.online_seconds)
        except TryAgainLater as error:
            self._spec.logger.warning("%s", error)

    def _wait(self, probe: Callable[[], bool], what: str, wait_seconds: float) -> None:
        wait_for(
            probe,
            what,
            wait_seconds=wait_seconds,
            interval_seconds=self._times.poll_seconds,
            clock=self._clock,
        )


def stand_of(member: Member | None) -> str:
    """Say how a member is."""
    if member is None:
        return "not listed"
    failing = ", ".join(name for name, passes in member.checks.items() if not passes)
    if not member.checks:
        return "a member of which nothing is known"
    return f"a member, failing: {failing}" if failing else "a member, all services well"


def _is_whole(members: Sequence[Member], host: Host) -> bool:
    return any(member.host_ip == host.ip and member.healthy for member in members)


def _living(hosts: Sequence[Host], members: Sequence[Member]) -> tuple[Host, ...]:
    well = {member.host_ip for member in members if member.healthy}
    return tuple(host for host in hosts if host.ip in well)
