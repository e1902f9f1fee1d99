"""A cluster made of machines: databases on all, then brokers and managers one after another.

Each step looks first and does what is missing, so a Tier 2 that is killed anywhere begins again from the
beginning and finds what was done. What runs on a machine goes on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

from cmom.clients.manager import ManagerClient
from cmom.errors import ActionRequired
from cmom.models import Host
from cmom.services.cluster_times import ClusterTimes
from cmom.services.generation5.commands import demand
from cmom.services.generation5.layout import Layout, Service, member_name
from cmom.services.generation5.machines import Machines
from cmom.services.generations.interface import ClusterSpec
from cmom.services.relay import Relay
from cmom.services.serving import wait_until_serving
from cmom.services.waiting import SystemClock


class Forming:
    """Makes a cluster of the machines of a `spec`."""

    def __init__(self, spec: ClusterSpec) -> None:
        self._spec = spec
        self._hosts = tuple(spec.hosts)
        self._relay = Relay(spec.logger)
        self._clock = spec.clock or SystemClock()
        self._times = spec.times or ClusterTimes()

    def prepare(self) -> bool:
        """Install databases and brokers on all, and the first manager, so that a snapshot can be restored.

        Returns:
            Whether anything was changed.

        Raises:
            ActionRequired: A machine is not as it has to be, or an installer failed.
            TryAgainLater: A machine is out of reach, or what was installed does not come up in time.
        """
        with Machines(self._spec, logger=self._relay) as machines:
            layout = machines[self._hosts[0]].layout
            if layout.single:
                self._refuse_more()
                return False
            self._refuse_equal_names()
            steps: list[tuple[Service, Callable[[Machines], bool]]] = [
                (Service.DATABASE, self._databases),
                (Service.BROKER, self._brokers),
            ]
            done = [step(machines) for service, step in steps if service in layout.services]
            done.append(self._manager(machines, self._hosts[0], first=True))
        return any(done)

    def finish(self) -> bool:
        """Install all other managers, one after another."""
        with Machines(self._spec, logger=self._relay) as machines:
            if self._layout(machines).single:
                self._refuse_more()
                return False
            changed = [self._manager(machines, host) for host in self._hosts[1:]]
        return any(changed)

    def _layout(self, machines: Machines) -> Layout:
        return machines[self._hosts[0]].layout

    def _databases(self, machines: Machines) -> bool:
        """All of them side by side: the first ones wait for nobody, and lead when a majority is there."""
        members = [machines[host] for host in self._hosts]  # logged in to in this thread
        self._spec.logger.info("Installing the databases on %d machines.", len(members))

        def install(number: int) -> Callable[[], bool]:
            return lambda: members[number].ensure_installed(Service.DATABASE)

        tasks = [install(number) for number in range(len(members))]
        changed = [outcome for _, outcome in self._relay.run(tasks, workers=len(tasks))]
        commands = machines.commands(self._hosts[0])

        def whole() -> bool:
            nodes = commands.databases()
            alive = {node.address for node in nodes if node.alive}
            return {host.ip for host in self._hosts} <= alive and any(one.state == "leader" for one in nodes)

        self._times.wait_until_formed(whole, "the databases to be a cluster with a leader", self._clock)
        return any(changed)

    def _brokers(self, machines: Machines) -> bool:
        changed = []
        for host in self._hosts:
            others = [one for one in self._hosts if one != host and machines[one].has(Service.BROKER)]
            changed.append(ensure_broker(machines, host, others[0] if others else None))
        return any(changed)

    def _manager(self, machines: Machines, host: Host, *, first: bool = False) -> bool:
        changed = machines[host].ensure_installed(Service.MANAGER, first=first)
        with ManagerClient(host.public_ip, self._spec.access) as manager:
            interval_seconds = self._times.poll_seconds
            wait_until_serving(
                manager, self._spec.logger, interval_seconds=interval_seconds, clock=self._spec.clock
            )
        return changed

    def _refuse_more(self) -> None:
        if len(self._hosts) > 1:
            raise ActionRequired(
                "The first manager of this deployment was installed alone, with its database and broker "
                "inside, and cannot be a member of a cluster. Make a new deployment of 3 or more, and "
                "restore a backup of this one onto it (old_deployment_id, backup)."
            )

    def _refuse_equal_names(self) -> None:
        names: dict[str, Host] = {}
        for host in self._hosts:
            other = names.setdefault(member_name(host), host)
            if other != host:
                raise ActionRequired(
                    f"{other.ip} and {host.ip} would both be called {member_name(host)} in the cluster "
                    "(the host name up to its first dot). Give them other host names."
                )


def ensure_broker(machines: Machines, host: Host, join: Host | None) -> bool:
    """Have the broker of a member in the cluster of another one.

    Args:
        machines: Of the cluster.
        host: The member.
        join: Whose broker it joins; None for the first one.
    """
    changed = machines[host].ensure_installed(Service.BROKER, join=join)
    if join is None:
        return changed
    commands = machines.commands(host)
    if member_name(join) in commands.brokers():
        return changed
    outcome = commands.join_broker(member_name(join))
    demand(outcome, commands.machine, f"letting the broker join that of {member_name(join)}")
    return True
