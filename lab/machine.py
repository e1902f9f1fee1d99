"""One emulated machine: a disk, addresses, power, a network, and perhaps a manager on it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh
from aiohttp import web

from lab import programs, provision
from lab.clock import Clock
from lab.connection import SSH_FAULTS
from lab.disk import Disk
from lab.faults import FaultBoard
from lab.manager.five.backing import Backing
from lab.network import PortGate, check_free
from lab.packages import RpmDatabase
from lab.rest_server import RestServer
from lab.sandbox.access import Access
from lab.sandbox.base import Sandbox
from lab.settings import LabSettings
from lab.ssh_server import SshServer
from lab.tools.server import ToolServer
from lab.tools.units import Units

if TYPE_CHECKING:
    from lab.manager import Manager

CUT_FROM = ("tier2", "peers", "all")
"""Whom a partition cuts a machine off from: the clients outside, the other machines, or both."""

RPM_DATABASE = "var/lib/rpm/lab.json"
"""Where on its disk the installed packages are kept."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MachineSpec:
    """Who a machine is and where it listens.

    Attributes:
        identity: name, host name, user and private address.
        public_ip: the address clients outside use; the private one when it is the same.
        ssh_port: where SSH listens.
        rest_port: where the manager's REST will listen.
    """

    identity: provision.Identity
    public_ip: str
    ssh_port: int
    rest_port: int


MakeSandbox = Callable[["Machine"], Sandbox]


class Machine:
    """An emulated machine. Use it from the lab's event loop only.

    Args:
        spec: who it is.
        folder: its folder on the host; the disk is made in it.
        authorized_key: the public key that may log in.
        clock: the lab's time.
        settings: how long things take.
        make_sandbox: how its commands run.
        neighbours: gives all machines of the lab, this one included.
    """

    def __init__(
        self,
        spec: MachineSpec,
        folder: Path,
        authorized_key: str,
        clock: Clock,
        settings: LabSettings,
        make_sandbox: MakeSandbox,
        neighbours: Callable[[], Sequence[Machine]],
    ) -> None:
        self.identity = spec.identity
        self.name = spec.identity.name
        self.hostname = spec.identity.hostname
        self.ip = spec.identity.ip
        self.public_ip = spec.public_ip
        self.ssh_port = spec.ssh_port
        self.rest_port = spec.rest_port
        self.ssh_user = spec.identity.user
        self.clock = clock
        self.settings = settings
        self.faults = FaultBoard()
        # Every command line that anybody could have read in the machine's process list so far.
        self.arguments_seen: list[str] = []
        self.manager: Manager | None = None
        self.backing = Backing()
        self.partition: str | None = None
        self.power = "off"
        self.folder = folder
        self.disk = folder / "disk"
        self.disk_map = Disk(self.disk)
        self.access = Access(self.disk, spec.identity.home)
        self.rpm_database = RpmDatabase(self.disk / RPM_DATABASE)
        self.units = Units(self)
        self.tools = ToolServer(self)
        self._authorized_key = authorized_key
        self._neighbours = neighbours
        self._make_sandbox = make_sandbox
        self.sandbox: Sandbox = make_sandbox(self)
        self._ssh_gate: PortGate | None = None
        self._rest = RestServer(self.addresses, self.rest_port, clock, self.faults)
        self._boot: asyncio.Task[None] | None = None
        self._services: asyncio.Task[None] | None = None
        self._cycle: asyncio.Task[None] | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address it listens on."""
        return tuple(dict.fromkeys((self.ip, self.public_ip)))

    @property
    def powered(self) -> bool:
        """Whether it is on and has booted."""
        return self.power == "on"

    @property
    def cut_off(self) -> bool:
        """Whether clients outside are cut off from it."""
        return self.partition in ("tier2", "all")

    def path(self, inside: str) -> Path:
        """'/etc/x' on the machine -> its path on the host, never outside the disk."""
        return self.disk_map.place(inside).host

    def find_program(self, name: str, search: str, cwd: str = "/") -> str | None:
        """Where the machine has a program, as a shell would find it.

        Args:
            name: `rpm`, or a path.
            search: the PATH to search; not used for a path.
            cwd: what a relative path counts from.
        """
        return programs.find_program(self.disk_map, name, search, cwd)

    async def boot(self, *, delay_seconds: float = 0.0) -> None:
        """Switch on: at once when there is no delay, else in the background.

        Raises:
            lab.network.AddressTakenError: its address and port are in use.
        """
        if self.power != "off":
            return
        if not self.disk.exists():
            self._install_system()
        self.power = "booting"
        if delay_seconds > 0:
            self._boot = asyncio.get_running_loop().create_task(self._booting(delay_seconds))
            return
        await self._come_up()

    async def _booting(self, delay_seconds: float) -> None:
        await self.clock.sleep(delay_seconds)
        try:
            await self._come_up()
        except Exception:
            _log.exception("%s: cannot boot", self.name)

    async def _come_up(self) -> None:
        server = SshServer(self, self._host_key())
        gate = PortGate(self.addresses, self.ssh_port, server.serve, self.clock, self.faults, SSH_FAULTS)
        try:
            # The REST port is opened much later; that it is taken is better said now.
            check_free(self.addresses, self.rest_port)
            gate.open(swallow=self.cut_off)
        except Exception:
            self.power = "off"
            raise
        self._ssh_gate = gate
        self.tools.open(self.disk / "run/lab")
        await self.sandbox.start()
        self.power = "on"
        _log.info("%s is on", self.name)
        installed = (self.manager, self.backing.database, self.backing.broker)
        if all(one is None for one in installed):
            return
        if self.settings.service_start_seconds > 0:
            self._services = asyncio.get_running_loop().create_task(self._start_services())
            return
        self.backing.power_on()
        if self.manager is not None:
            await self.manager.power_on()

    async def _start_services(self) -> None:
        await self.clock.sleep(self.settings.service_start_seconds)
        self.backing.power_on()
        if self.manager is not None:
            try:
                await self.manager.power_on()
            except Exception:
                _log.exception("%s: the manager does not start", self.name)

    def _install_system(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        provision.make_disk(self.disk, self.identity, self._authorized_key)
        key = asyncssh.generate_private_key("ssh-ed25519", comment=self.hostname)
        private = self.folder / "host_key"
        private.unlink(missing_ok=True)
        descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.export_private_key())
        public = self.disk / "etc/ssh/ssh_host_ed25519_key.pub"
        public.write_bytes(key.export_public_key())

    def _host_key(self) -> asyncssh.SSHKey:
        return asyncssh.read_private_key(self.folder / "host_key")

    async def kill(self) -> None:
        """Cut the power: connections are reset, processes gone, memory lost; the disk stays."""
        under_way = [task for task in (self._boot, self._services) if task is not None]
        self._boot = self._services = None
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        if self.power == "off":
            return
        self._settle()
        self.power = "off"
        if self._ssh_gate is not None:
            self._ssh_gate.close()
            self._ssh_gate = None
        if self.manager is not None:
            self.manager.power_off()
        self.backing.power_off()
        await self._rest.stop()
        await self.sandbox.stop()
        await self.tools.close()
        self.units.forget()
        _log.info("%s is off", self.name)

    async def rebuild(self) -> None:
        """Put a fresh system on an empty disk, with a new host key, and switch it on."""
        await self.kill()
        self.manager = None
        self.backing.clear()
        await asyncio.to_thread(provision.remove_disk, self.disk)
        self.faults.clear()
        await self.boot(delay_seconds=self.settings.boot_seconds)

    def power_cycle(self) -> None:
        """Reboot from within: what asked for it dies with everything else."""
        self._cycle = asyncio.get_running_loop().create_task(self._reboot())

    async def _reboot(self) -> None:
        await self.kill()
        await self.boot(delay_seconds=self.settings.boot_seconds)

    def power_down(self) -> None:
        """Switch off from within."""
        self._cycle = asyncio.get_running_loop().create_task(self.kill())

    def cut(self, cut_from: str = "tier2") -> None:
        """Put a partition between the machine and others.

        Args:
            cut_from: one of CUT_FROM.
        """
        if cut_from not in CUT_FROM:
            raise ValueError(f"a partition is from one of {', '.join(CUT_FROM)}, not {cut_from!r}")
        self._settle()
        self.partition = cut_from
        self._apply_partition()

    def heal(self) -> None:
        """Remove the partition."""
        self._settle()
        self.partition = None
        self._apply_partition()

    def _settle(self) -> None:
        """Have the manager do what was due before the machine's reach changes, and not be judged after it."""
        if self.manager is not None:
            self.manager.settle()
        self.backing.settle()

    def _apply_partition(self) -> None:
        for gate in (self._ssh_gate, self._rest.gate):
            if gate is not None and gate.is_open:
                if self.cut_off:
                    gate.swallow()
                else:
                    gate.release()

    async def serve_rest(self, app: web.Application, ssl_context: ssl.SSLContext) -> None:
        """Serve `app` over TLS on rest_port of the machine's address(es).

        Raises:
            lab.network.AddressTakenError: something else listens there.
        """
        await self._rest.serve(app, ssl_context, swallow=self.cut_off)

    async def stop_rest(self) -> None:
        """Close rest_port and reset its connections."""
        await self._rest.stop()

    def reachable_by_peer(self, other: Machine) -> bool:
        """Whether `other` could talk to this machine now."""
        apart = any(one.partition in ("peers", "all") for one in (self, other))
        return self.powered and other.powered and not apart

    def peers(self) -> list[Machine]:
        """The other machines of the lab, whatever their state."""
        return [machine for machine in self._neighbours() if machine is not self]

    def find_peer(self, address: str) -> Machine | None:
        """The other machine with this ip, public_ip, host name or name."""
        for machine in self.peers():
            if address in (machine.ip, machine.public_ip, machine.hostname, machine.name):
                return machine
        return None

    async def destroy(self) -> None:
        """Switch off for good and remove the folder."""
        if self._cycle is not None:
            self._cycle.cancel()
            await asyncio.gather(self._cycle, return_exceptions=True)
        await self.kill()
        await asyncio.to_thread(provision.remove_disk, self.disk)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)
