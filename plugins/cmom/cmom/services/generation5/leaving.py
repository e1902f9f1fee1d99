"""A member of a cluster that runs is taken out of it, dead or alive: the manager, the broker, the database.

That order is that of the installer's documentation; never is it done so that no living majority is left.
"""

from __future__ import annotations

from cmom.clients.active_api import ActiveApi
from cmom.errors import ActionRequired, TryAgainLater
from cmom.models import Host
from cmom.services.generation5.changes import Change, Waits, databases_of, living_of
from cmom.services.generation5.commands import demand
from cmom.services.generation5.layout import SMALLEST_CLUSTER, Service, member_name
from cmom.services.generation5.machines import Machines
from cmom.services.generation5.managers import Managers, NobodyTells
from cmom.services.generation5.survey import Word
from cmom.services.generations.interface import ClusterSpec
from cmom.services.removal import demand_still_dead

# A broker counts as running for up to a minute after it has died (`brokers remove` says so).
_BROKER_SECONDS = 120.0
_TELLING_SECONDS = 120.0
# Words of refusals that mean: later; or that there is nothing to do.
_STILL_RUNNING = "must be shut down"
_NO_BROKER = "not found in cluster"
_NO_DATABASE = "Cannot find node with address"


class Leaving:
    """Takes members out of a cluster.

    Args:
        spec: The cluster.
        managers: Its managers.
    """

    def __init__(self, spec: ClusterSpec, managers: Managers) -> None:
        self._spec = spec
        self._managers = managers
        self._hosts = tuple(spec.hosts)
        self._waits = Waits(spec, managers)

    def remove(self, host: Host, *, dead: bool) -> bool:
        """Make sure that a machine is not a member.

        Args:
            host: Which.
            dead: Whether its machine is dead; else its services are removed from it on the way.

        Returns:
            Whether anything was changed.

        Raises:
            ActionRequired: What is left would be no cluster.
            CameBack: It was dead, and is no more.
            TryAgainLater: Something executes, or takes longer.
        """
        others = [one for one in self._hosts if one.ip != host.ip]
        if not others:
            self._spec.logger.info("%s is the last member and stays: its cluster ends with it.", host.ip)
            return False
        members = self._managers.members()
        if dead:
            demand_still_dead(host, members)
        living = living_of(others, members)
        if not living:
            raise TryAgainLater(f"No other member than {host.ip} is alive that could be told.")
        with Machines(self._spec) as machines:
            layout = machines[living[0]].layout
            change = Change(host, living, machines, layout)
            self._refuse_too_few(change, dead=dead)
            self._waits.until_quiet(but=host if dead else None)
            if dead:
                demand_still_dead(host, self._managers.members())
            changed = [self.manager(change, dead=dead)]
            if Service.BROKER in layout.services:
                changed.append(self.broker(change, dead=dead))
            if Service.DATABASE in layout.services:
                changed.append(self.database(change, dead=dead))
        return any(changed)

    def manager(self, change: Change, *, dead: bool) -> bool:
        """Take the manager out; see `remove`."""
        host = change.host
        removed = False if dead else change.machines[host].ensure_removed(Service.MANAGER)
        return self._unlist(host, but=host, wait_seconds=_TELLING_SECONDS) or removed

    def forget(self, host: Host) -> bool:
        """Take a manager off the list in a database that stays when its whole cluster goes.

        Left on it, it would be a dead member of whatever cluster comes after this one on that database.
        It is asked itself, too: the last one has nobody else.

        Raises:
            NobodyTells: None answers.
        """
        wait_seconds = self._waits.times.leader_seconds
        if not any(isinstance(word, Word) for word in self._managers.ask(wait_seconds).values()):
            raise NobodyTells(
                f"no manager answers that could take {member_name(host)} off the list in the database"
            )
        return self._unlist(host, but=None, wait_seconds=wait_seconds)

    def _unlist(self, host: Host, *, but: Host | None, wait_seconds: float) -> bool:
        listed = self._managers.tell(
            lambda one: one.list_managers(), "listing the managers", but=but, wait_seconds=wait_seconds
        )
        names = [one.hostname for one in listed if one.private_ip == host.ip]
        if not names:
            return False
        said = " and ".join(names)
        self._spec.logger.info("Removing the manager %s (%s) from the cluster.", said, host.ip)

        def remove(manager: ActiveApi) -> None:
            for name in names:
                manager.remove_manager(name)

        self._managers.tell(remove, f"removing the manager {said}", but=but, wait_seconds=wait_seconds)
        return True

    def broker(self, change: Change, *, dead: bool) -> bool:
        """Take the broker out; see `remove`."""
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

            self._waits.until(gone, f"the broker {name} to be removed", _BROKER_SECONDS)
            removed = True
        doing = f"unregistering the broker {name}"
        return self._managers.tell(lambda one: one.remove_broker(name), doing, but=host) or removed

    def database(self, change: Change, *, dead: bool) -> bool:
        """Take the database out; see `remove`."""
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
            if host.ip not in databases_of(change.machines, other):
                continue
            commands = change.machines.commands(other)
            outcome = commands.remove_database(host.ip, Service.MANAGER)
            doing = f"telling {other.ip} that the database {host.ip} is gone"
            removed = demand(outcome, commands.machine, doing, _NO_DATABASE) or removed
            self._waits.until_serving(other)
        return removed

    def _let_another_lead(self, change: Change, *, dead: bool) -> None:
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
        wait = self._waits.times.leader_seconds
        self._waits.until(lambda: not leads(), f"another database than {host.ip} to lead", wait)

    def _refuse_too_few(self, change: Change, *, dead: bool) -> None:
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
