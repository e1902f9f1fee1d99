"""What all changes of the membership have in common: who is told, and what is waited for.

The clusters of databases and brokers are changed only while nothing executes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import yaml

from cmom.clients.manager import ManagerClient
from cmom.errors import CommandFailed, TryAgainLater
from cmom.models import Host, Member
from cmom.services.cluster_times import ClusterTimes
from cmom.services.generation5.commands import MemberCommands
from cmom.services.generation5.layout import Layout
from cmom.services.generation5.machines import Machines
from cmom.services.generation5.managers import Managers
from cmom.services.generations.interface import ClusterSpec
from cmom.services.serving import wait_until_serving
from cmom.services.waiting import SystemClock, wait_for

# What a manager uses; it holds passwords, and is only looked at (`cloudify-rest.conf` of 5.1 to 7.0).
_REST_CONFIG = "/opt/manager/cloudify-rest.conf"
# How long a wait goes on without a word.
_SILENT_SECONDS = 30.0


@dataclass(frozen=True)
class Change:
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
        """The commands on the first of the others."""
        return self.machines.commands(self.others[0])


class Waits:
    """What a change of the membership waits for.

    Args:
        spec: The cluster.
        managers: Its managers.
    """

    def __init__(self, spec: ClusterSpec, managers: Managers) -> None:
        self._spec = spec
        self._managers = managers
        self._clock = spec.clock or SystemClock()
        self.times = spec.times or ClusterTimes()

    def until_quiet(self, *, but: Host | None) -> None:
        """Wait for the end of what executes: databases and brokers are changed only while nothing does."""
        last: list[str] = []

        def quiet() -> bool:
            last[:] = self._managers.running_executions(but=but)
            return not last

        try:
            self.until(quiet, "the executions on the cluster to end", self.times.settle_seconds)
        except TryAgainLater as error:
            running = "; ".join(last[:5])
            if not running:
                raise
            raise TryAgainLater(
                f"Databases and brokers are changed only while nothing executes, and there runs: {running}. "
                "Wait for its end, or cancel it (cfy executions cancel)."
            ) from error

    def until_serving(self, host: Host) -> None:
        """Wait for the REST service of a member."""
        with ManagerClient(host.public_ip, self._spec.access) as manager:
            interval = self.times.poll_seconds
            wait_until_serving(manager, self._spec.logger, interval_seconds=interval, clock=self._spec.clock)

    def until_whole(self, host: Host) -> None:
        """Wait until the managers say that all is well with a member; tell what they say meanwhile."""
        last = ""

        def whole() -> bool:
            nonlocal last
            members = self._managers.members()
            stand = _stand_of(next((one for one in members if one.host_ip == host.ip), None))
            if stand != last:
                last = stand
                self._spec.logger.info("%s is %s.", host.public_ip, stand)
            return is_whole(members, host)

        what = f"{host.public_ip} to be a member with all its services well"
        self.until(whole, what, self.times.online_seconds)

    def until_all_well(self, others: Sequence[Host]) -> None:
        """Wait for those whose services were restarted when they were told of the new member.

        One that has died meanwhile is not waited for, and one that is not well for another reason does not
        hold up the join, which is done.
        """

        def well() -> bool:
            members = self._managers.members()
            return all(is_whole(members, other) or not self._spec.greets(other) for other in others)

        try:
            self.until(well, "the other members to be well again", self.times.online_seconds)
        except TryAgainLater as error:
            self._spec.logger.warning("%s", error)

    def until(self, probe: Callable[[], bool], what: str, wait_seconds: float) -> None:
        """Wait for anything else; now and then it is told why that takes so long.

        Args:
            probe: Looks once.
            what: For messages.
            wait_seconds: The deadline.
        """
        told = 0.0

        def tell(waited: float, said: str) -> None:
            nonlocal told
            if waited - told >= _SILENT_SECONDS:
                told = waited
                self._spec.logger.info("Waiting for %s since %.0f s. %s", what, waited, said)

        wait_for(
            probe,
            what,
            wait_seconds=wait_seconds,
            interval_seconds=self.times.poll_seconds,
            clock=self._clock,
            on_wait=tell,
        )


def databases_of(machines: Machines, other: Host) -> tuple[str, ...]:
    """Return the databases that a manager uses, by its own configuration; none where there is no manager."""
    text = machines[other].site.installer.machine.read_file(_REST_CONFIG)
    try:
        found = (yaml.safe_load(text or "") or {}).get("postgresql_host") or ()
    except (yaml.YAMLError, AttributeError):
        raise CommandFailed(f"{_REST_CONFIG} on {other.ip} cannot be understood", 1, "") from None
    return (found,) if isinstance(found, str) else tuple(str(one) for one in found)


def _stand_of(member: Member | None) -> str:
    """Say how a member is."""
    if member is None:
        return "not listed"
    failing = ", ".join(name for name, passes in member.checks.items() if not passes)
    if not member.checks:
        return "a member of which nothing is known"
    return f"a member, failing: {failing}" if failing else "a member, all services well"


def is_whole(members: Sequence[Member], host: Host) -> bool:
    """Tell whether a machine is a member with all its services well."""
    return any(member.host_ip == host.ip and member.healthy for member in members)


def living_of(hosts: Sequence[Host], members: Sequence[Member]) -> tuple[Host, ...]:
    """Return those that are whole members."""
    well = {member.host_ip for member in members if member.healthy}
    return tuple(host for host in hosts if host.ip in well)
