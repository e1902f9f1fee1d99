"""Listening to all members, each at its own moment: their SSH greeting each time, their REST service
sometimes.

REST is asked once a minute, and whenever SSH is silent: a machine whose SSH server is dead but whose
manager answers is no dead machine.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from dataclasses import dataclass

from cmom.clients.heartbeats import Beat, rest_beat, ssh_beat
from cmom.monitor.fleet import Fleet, MemberKey, WatchedMember
from cmom.monitor.metrics import Metrics
from cmom.monitor.rota import Rota, Turn, phase_of

# What this process needs beside the sockets that it listens with.
_OTHER_DESCRIPTORS = 128
_LONGEST_SLEEP_SECONDS = 1.0


@dataclass(frozen=True)
class Looks:
    """How members are looked at.

    Attributes:
        timeout_seconds: For each heartbeat.
        rest_interval_seconds: How often REST is asked of a member that is heard over SSH.
    """

    timeout_seconds: float
    rest_interval_seconds: float


@dataclass(frozen=True)
class Sign:
    """Both looks at one member.

    Attributes:
        rest: None when it was not asked.
    """

    ssh: Beat
    rest: Beat | None

    @property
    def heard(self) -> bool | None:
        """Whether it lives; None when this machine itself could not look, and nothing was heard."""
        found = [one.heard for one in (self.ssh, self.rest) if one is not None]
        if True in found:
            return True
        return None if None in found else False

    @property
    def detail(self) -> str:
        """What came, for people."""
        if self.rest is None or self.ssh.heard:
            return f"SSH: {self.ssh.detail}"
        return f"SSH: {self.ssh.detail}; REST: {self.rest.detail}"


class Listener:
    """Looks at every member of the fleet when its turn has come.

    Args:
        fleet: Whose members.
        looks: How.
        metrics: Where it is counted.
        heard: Called with every member that was looked at.
        clock: Monotonic seconds; that of the event loop.
    """

    def __init__(
        self,
        fleet: Fleet,
        looks: Looks,
        metrics: Metrics,
        heard: Callable[[WatchedMember], None],
        clock: Callable[[], float],
    ) -> None:
        self._fleet = fleet
        self._looks = looks
        self._metrics = metrics
        self._heard = heard
        self._clock = clock
        self._rota: Rota[MemberKey] = Rota()
        self._looking: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        # Beyond so many the system would refuse; whoever is over it waits, and is late rather than taken
        # for dead.
        self._sockets = asyncio.Semaphore(descriptors() - _OTHER_DESCRIPTORS)

    def take_over(self) -> None:
        """Look at the members that the fleet has now, and at no others."""
        now = self._clock()
        wanted = set()
        for cluster in self._fleet.clusters.values():
            for member in cluster.members.values():
                if member.pulse is None:
                    continue
                wanted.add(member.key)
                phase = phase_of(f"{member.key.cluster} {member.key.instance_id}")
                if member.key not in self._rota:
                    member.rest_due = now + phase * self._looks.rest_interval_seconds
                self._rota.put(member.key, cluster.times.interval_seconds, phase, now)
        for key in [key for key in self._rota if key not in wanted]:
            self._rota.remove(key)
        self._changed.set()

    async def run(self) -> None:
        """Look, until cancelled."""
        try:
            while True:
                for turn in self._rota.due(self._clock()):
                    self._begin(turn)
                await self._sleep()
        finally:
            for task in self._looking:
                task.cancel()
            await asyncio.gather(*self._looking, return_exceptions=True)

    async def look(self, member: WatchedMember, *, thoroughly: bool = False) -> Sign:
        """Look at one member now.

        Args:
            member: Which.
            thoroughly: Whether REST is asked whatever SSH says.
        """
        timeout = self._looks.timeout_seconds
        host, ssh_port, rest_port = member.address, member.ssh_port, member.rest_port
        silent = member.pulse is not None and member.pulse.silent
        async with self._sockets:
            if silent or thoroughly:
                ssh, rest = await asyncio.gather(
                    ssh_beat(host, ssh_port, timeout), rest_beat(host, rest_port, timeout)
                )
                return self._counted(Sign(ssh, rest))
            ssh = await ssh_beat(host, ssh_port, timeout)
            asked = not ssh.heard or self._clock() >= member.rest_due
            return self._counted(Sign(ssh, await rest_beat(host, rest_port, timeout) if asked else None))

    def _counted(self, sign: Sign) -> Sign:
        self._metrics.beat("ssh", sign.ssh)
        if sign.rest is not None:
            self._metrics.beat("rest", sign.rest)
        return sign

    def _begin(self, turn: Turn[MemberKey]) -> None:
        member = self._fleet.member(turn.key)
        if member is None or member.pulse is None or member.listening:
            return
        self._metrics.late(self._clock() - turn.due)
        member.listening = True
        task = asyncio.get_running_loop().create_task(self._listen(member))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def _listen(self, member: WatchedMember) -> None:
        began, pulse_before = self._clock(), member.pulse
        try:
            sign = await self.look(member)
        finally:
            member.listening = False
        # Meanwhile it may have been uninstalled, or be another machine.
        if member.pulse is None or member.pulse is not pulse_before:
            return
        cluster = self._fleet.clusters.get(member.key.cluster)
        if cluster is None:
            return
        if sign.rest is not None:
            member.rest = sign.rest
            member.rest_due = began + self._looks.rest_interval_seconds
        member.pulse = member.pulse.listen(sign.heard, began, cluster.times, sign.detail)
        self._heard(member)

    async def _sleep(self) -> None:
        due = self._rota.next_due()
        wait = _LONGEST_SLEEP_SECONDS if due is None else min(due - self._clock(), _LONGEST_SLEEP_SECONDS)
        if wait <= 0:
            await asyncio.sleep(0)
            return
        self._changed.clear()
        timer = asyncio.get_running_loop().call_later(wait, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()


def descriptors() -> int:
    """Let this process have as many open files as it may, and return how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(hard if hard != resource.RLIM_INFINITY else 2**20, 2**20)
