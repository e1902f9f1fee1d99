"""A lab: machines with addresses of their own, a clock, and one folder for all of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from lab import provision
from lab.clock import Clock, ManualClock, RealClock
from lab.faults import Fault
from lab.machine import Machine, MachineSpec
from lab.sandbox.base import Sandbox
from lab.settings import LabSettings
from lab.status import MachineStatus, status

SSH_USER = "centos"
FIRST_HOST = 11
"""The last number of the first machine's address."""

MAX_MACHINES = 200


class LabError(Exception):
    """What a user of the lab got wrong, in a sentence."""


@dataclass(frozen=True)
class LabConfig:
    """What a lab is made of.

    Attributes:
        machines: how many, spares included.
        subnet: the first three numbers of their addresses, `127.77.1`.
        public_subnet: the same for their public addresses; None: the private ones.
        ssh_port: where each serves SSH.
        rest_port: where each will serve REST.
        sandbox: `namespace`, `interpreter` or `auto`.
        settings: how long things take.
    """

    machines: int = 3
    subnet: str = "127.77.1"
    public_subnet: str | None = None
    ssh_port: int = 2222
    rest_port: int = 4443
    sandbox: str = "auto"
    settings: LabSettings = field(default_factory=LabSettings)

    def __post_init__(self) -> None:
        if not 0 <= self.machines <= MAX_MACHINES:
            raise LabError(f"a lab has up to {MAX_MACHINES} machines, not {self.machines}")
        for subnet in (self.subnet, self.public_subnet):
            if subnet is not None:
                check_subnet(subnet)
        for port in (self.ssh_port, self.rest_port):
            if not 1024 <= port <= 65535:
                raise LabError(f"port {port}: choose one between 1024 and 65535")
        if self.sandbox not in ("namespace", "interpreter", "auto"):
            raise LabError(f"sandbox {self.sandbox!r}: one of namespace, interpreter, auto")


def check_subnet(subnet: str) -> None:
    """Refuse what is not the first three numbers of a loopback address."""
    parts = subnet.split(".")
    if len(parts) != 3 or parts[0] != "127" or not all(part.isdigit() and int(part) <= 255 for part in parts):
        raise LabError(f"subnet {subnet!r}: give the first three numbers, such as 127.77.1")


class Lab:
    """The machines of one folder. Use it from one event loop only.

    Args:
        folder: where the machines' disks and keys lie; made when it is not there.
        config: what it is made of.
        clock: its time.
    """

    def __init__(self, folder: Path, config: LabConfig, clock: Clock | None = None) -> None:
        self.folder = folder.resolve()
        self.config = config
        self.clock: Clock = clock or RealClock()
        self.machines: dict[str, Machine] = {}
        self.sandbox_kind = config.sandbox
        self.sandbox_note = ""
        self._key = ""
        self._make_sandbox: Callable[[Machine], Sandbox]

    async def start(self, authorized_key: str | None = None) -> None:
        """Make the machines and switch them on; they are up when this returns.

        Args:
            authorized_key: the OpenSSH public key that may log in; by default the key of the
                lab's folder, made when it is not there.

        Raises:
            lab.network.AddressTakenError: an address and port is in use.
            LabError: namespaces were asked for and are not to be had.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._key = authorized_key or make_ssh_key(self.folder / "ssh_key")
        self._make_sandbox = await self._sandbox_maker()
        for number in range(self.config.machines):
            name, last = f"m{number + 1}", FIRST_HOST + number
            ip = f"{self.config.subnet}.{last}"
            public_ip = f"{self.config.public_subnet or self.config.subnet}.{last}"
            self._make(name, f"manager-{number + 1}", ip, public_ip)
        try:
            for machine in self.machines.values():
                await machine.boot()
        except BaseException:
            await self.stop()
            raise

    async def add_machine(self, name: str, hostname: str, ip: str, public_ip: str) -> Machine:
        """Make one more machine in a lab that runs, and switch it on; it takes boot_seconds.

        Args:
            name: its name in the lab; it must be free, like its addresses.

        Raises:
            LabError: the name or an address is another machine's.
            lab.network.AddressTakenError: an address and port is in use by something else.
        """
        for taken in (name, ip, public_ip):
            if any(taken in (one.name, one.ip, one.public_ip) for one in self.machines.values()):
                raise LabError(f"there is a machine {taken!r} already")
        machine = self._make(name, hostname, ip, public_ip)
        try:
            await machine.boot(delay_seconds=self.config.settings.boot_seconds)
        except BaseException:
            await self.remove_machine(name)
            raise
        return machine

    async def remove_machine(self, name: str) -> None:
        """Switch a machine off for good and remove its disk."""
        await self.machines.pop(self.machine(name).name).destroy()

    def _make(self, name: str, hostname: str, ip: str, public_ip: str) -> Machine:
        identity = provision.Identity(name, hostname, SSH_USER, ip)
        machine = self.machines[name] = Machine(
            MachineSpec(identity, public_ip, self.config.ssh_port, self.config.rest_port),
            self.folder / "machines" / name,
            self._key,
            self.clock,
            self.config.settings,
            self._make_sandbox,
            lambda: list(self.machines.values()),
        )
        return machine

    async def _sandbox_maker(self) -> Callable[[Machine], Sandbox]:
        from lab.sandbox.interpreter import InterpreterSandbox
        from lab.sandbox.namespace import NamespaceSandbox
        from lab.sandbox.probe import unavailable_reason

        if self.config.sandbox != "interpreter":
            reason = await unavailable_reason(self.folder)
            if reason is None:
                self.sandbox_kind = "namespace"
                return lambda machine: NamespaceSandbox(
                    provision.plan(machine.disk, machine.identity, machine.access.hidden)
                )
            if self.config.sandbox == "namespace":
                raise LabError(f"this system does not allow user namespaces: {reason}")
            self.sandbox_note = f"no user namespaces here: {reason}"
        self.sandbox_kind = "interpreter"
        return InterpreterSandbox

    async def stop(self) -> None:
        """Switch everything off and remove the machines' folders."""
        machines = list(self.machines.values())
        await asyncio.gather(*(machine.destroy() for machine in machines))
        self.machines.clear()
        folder = self.folder / "machines"
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def machine(self, name: str) -> Machine:
        """The machine of this name, address or host name.

        Raises:
            LabError: there is none.
        """
        for machine in self.machines.values():
            if name in (machine.name, machine.ip, machine.public_ip, machine.hostname):
                return machine
        raise LabError(f"no machine {name!r}; there are: {', '.join(self.machines)}")

    async def kill(self, name: str) -> None:
        """Cut a machine's power."""
        await self.machine(name).kill()

    async def switch_on(self, name: str) -> None:
        """Switch a machine on; it takes boot_seconds."""
        await self.machine(name).boot(delay_seconds=self.config.settings.boot_seconds)

    async def rebuild(self, name: str) -> None:
        """Give a machine an empty disk and a new host key."""
        await self.machine(name).rebuild()

    def partition(self, name: str, cut_from: str = "tier2") -> None:
        """Cut a machine off from tier2, peers or all."""
        self.machine(name).cut(cut_from)

    def heal_partition(self, name: str) -> None:
        """Undo a partition."""
        self.machine(name).heal()

    def fault(self, name: str, kind: str, **options: Any) -> None:
        """Put a fault onto a machine, or with kind `clear` remove all of them.

        Args:
            name: the machine.
            kind: one of lab.faults.KINDS, or `clear`.
            options: the fields of lab.faults.Fault.
        """
        board = self.machine(name).faults
        if kind == "clear":
            board.clear()
            return
        try:
            board.add(Fault(kind, **options))
        except (TypeError, ValueError) as error:
            raise LabError(str(error)) from None

    async def advance(self, seconds: float) -> None:
        """Move a clock that is moved by hand."""
        if not isinstance(self.clock, ManualClock):
            raise LabError("the lab's clock runs by itself; start it with --clock manual")
        await self.clock.advance_stepwise(seconds)

    def status(self) -> list[MachineStatus]:
        """What each machine is doing."""
        return [status(machine) for machine in self.machines.values()]


def make_ssh_key(file: Path) -> str:
    """The public half of the key in `file`; a new one is made when there is none."""
    if file.exists():
        return asyncssh.read_private_key(file).export_public_key().decode()
    key = asyncssh.generate_private_key("ssh-ed25519", comment="lab")
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        target.write(key.export_private_key("openssh"))
    return key.export_public_key().decode()
