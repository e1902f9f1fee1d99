"""A lab inside a test: its event loop in a thread of its own, everything callable from outside."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import pytest

from lab.clock import Clock, ManualClock
from lab.core import Lab, LabConfig
from lab.machine import Machine
from lab.manager import certificates
from lab.manager.five import lifecycle
from lab.materials import Materials
from lab.settings import LabSettings
from lab.status import MachineStatus
from lab.subnets import any_subnet

Result = TypeVar("Result")
CALL_SECONDS = 60.0
"""How long any call into the lab's thread may take."""


class LabThread:
    """A context manager: a lab that runs while the test does.

    Each picks a free subnet by itself, so tests may run side by side.

    Args:
        folder: for disks and keys, usually `tmp_path`.
        machines: how many.
        settings: how long things take; instant by default.
        clock: its time; by default one that stands still and is moved with `advance`.
        sandbox: `namespace`, `interpreter` or `auto`.
        version: of the install package among the materials.
        config: further settings of the lab.
    """

    def __init__(
        self,
        folder: Path,
        machines: int = 3,
        settings: LabSettings | None = None,
        clock: Clock | None = None,
        sandbox: str = "auto",
        version: str = "4.6.0",
        **config: Any,
    ) -> None:
        self.folder = folder
        self.version = version
        self._config = LabConfig(
            machines=machines,
            settings=settings or LabSettings.instant(),
            sandbox=sandbox,
            **config,
        )
        self._clock = clock or ManualClock()
        self._chosen_subnet = "subnet" in config
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lab", daemon=True)
        self._locks: list[socket.socket] = []
        self._materials: Materials | None = None
        self.lab: Lab

    def __enter__(self) -> LabThread:
        self._thread.start()
        try:
            if not self._chosen_subnet:
                ports = (self._config.ssh_port, self._config.rest_port)
                subnet, lock = any_subnet(ports, self._config.machines)
                self._locks.append(lock)
                self._config = replace(self._config, subnet=subnet)
            self.lab = self.run(self._start)
        except BaseException:
            self._finish()
            raise
        return self

    async def _start(self) -> Lab:
        lab = Lab(self.folder, self._config, self._clock)
        await lab.start()
        return lab

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.run(self.lab.stop)
        finally:
            self._finish()

    def _finish(self) -> None:
        self.run(_end_tasks)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        for lock in self._locks:
            lock.close()

    def run(self, function: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run a coroutine function in the lab's loop and return its result."""
        future = asyncio.run_coroutine_threadsafe(function(), self._loop)
        try:
            return future.result(CALL_SECONDS)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise

    def call(self, function: Callable[..., Result], *args: Any, **options: Any) -> Result:
        """Call a plain function in the lab's loop and return its result."""

        async def inside() -> Result:
            return function(*args, **options)

        return self.run(inside)

    def machine(self, name: str) -> Machine:
        """A machine; read its attributes freely, change it with `run` or `call` only."""
        return self.lab.machine(name)

    @property
    def machines(self) -> list[Machine]:
        """All machines."""
        return list(self.lab.machines.values())

    @property
    def ssh_key(self) -> Path:
        """The private key that may log in."""
        return self.lab.folder / "ssh_key"

    def inputs(self) -> dict[str, Any]:
        """The inputs of hosts_blueprint.yaml for this lab; what they name is made on first use."""
        return self.materials().inputs(self.machines, self.lab.config)

    def materials(self) -> Materials:
        """The files an installation needs; made on first use."""
        if self._materials is None:
            self._materials = Materials.make(self.lab.folder, self.version, authority=_authority())
        return self._materials

    def kill(self, name: str) -> None:
        """Cut a machine's power."""
        self.run(lambda: self.lab.kill(name))

    def start(self, name: str) -> None:
        """Switch a machine on."""
        self.run(lambda: self.lab.switch_on(name))

    def rebuild(self, name: str) -> None:
        """Give a machine an empty disk and a new host key."""
        self.run(lambda: self.lab.rebuild(name))

    def partition(self, name: str, cut_from: str = "tier2") -> None:
        """Cut a machine off."""
        self.call(self.lab.partition, name, cut_from)

    def heal_partition(self, name: str) -> None:
        """Undo a partition."""
        self.call(self.lab.heal_partition, name)

    def fault(self, name: str, kind: str, **options: Any) -> None:
        """Put a fault onto a machine; `clear` removes them."""
        self.call(lambda: self.lab.fault(name, kind, **options))

    def switch_service(self, name: str, service: str, *, on: bool) -> None:
        """Start or stop one service of generation 5 on a living machine.

        Args:
            service: `database_service`, `queue_service` or `manager_service`.
        """
        self.run(lambda: lifecycle.set_running(self.lab.machine(name), service, on=on))

    def advance(self, seconds: float) -> None:
        """Move the clock, letting everything happen that is due on the way."""
        self.run(lambda: self.lab.advance(seconds))

    def status(self) -> list[MachineStatus]:
        """What each machine is doing."""
        return self.call(self.lab.status)


@functools.cache
def _authority() -> tuple[bytes, bytes]:
    # A key takes long to make, and no test looks at another's.
    return certificates.make_authority()


async def _end_tasks() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def lab_thread(tmp_path: Path) -> Iterator[LabThread]:
    """Three machines with a clock moved by hand."""
    with LabThread(tmp_path) as lab:
        yield lab
