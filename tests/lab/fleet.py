"""A few managers of the lab on addresses of their own, with one CA, one clock and one port."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cmom.models import Host, ManagerAccess, Secret
from lab.clock import ManualClock
from lab.manager import certificates
from lab.manager.host import Settings
from lab.manager.standalone import LoopThread, StandaloneManager
from lab.ports import free_port

CANARY = "canary-7c1f-password"


class FleetClock:
    """The clock that services get: to sleep is to move the time of the managers."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def monotonic(self) -> float:
        return self._fleet.clock.now()

    def sleep(self, seconds: float) -> None:
        self._fleet.advance(seconds)


class Fleet:
    """Managers that see each other.

    Args:
        folder: For their disks.
        count: How many.
        settings: How long things take, in the time of `clock`.
    """

    def __init__(self, folder: Path, count: int = 3, settings: Settings | None = None) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.services_clock = FleetClock(self)
        self.settings = settings or Settings()
        self.thread = LoopThread()
        ips = [f"127.77.0.{number}" for number in range(21, 21 + count)]
        self.hosts = tuple(Host(ip, ip, f"member-{number}") for number, ip in enumerate(ips, 1))
        self.port = free_port(ips)
        self.ca = write_ca(folder / "ca", _authority())
        self.access = ManagerAccess("admin", Secret(CANARY), str(self.ca[0]), self.port)
        self.at_the_end: list[Callable[[], None]] = []
        """What is to be done before everything is switched off: clients to be closed."""
        self._holes: list[socket.socket] = []
        self.managers = {host.ip: self._make(host, "disk") for host in self.hosts}
        for manager in self.managers.values():
            manager.install()

    def __getitem__(self, host: Host) -> StandaloneManager:
        return self.managers[host.ip]

    def _make(self, host: Host, disk: str, **arguments: Any) -> StandaloneManager:
        given: dict[str, Any] = {"ca": self.ca, "password": CANARY, "version": "4.6.0", **arguments}
        return StandaloneManager(
            self.folder / host.hostname / disk,
            ip=host.ip,
            port=self.port,
            name=host.hostname,
            thread=self.thread,
            clock=self.clock,
            settings=self.settings,
            **given,
        )

    def rebuild(self, host: Host, **arguments: Any) -> StandaloneManager:
        """Replace a machine by an empty one with a manager just installed."""
        self.switch_off(host)
        self.managers[host.ip] = self._make(host, f"disk-{self.clock.now()}", **arguments)
        self.managers[host.ip].install()
        return self.managers[host.ip]

    def switch_off(self, host: Host) -> None:
        """Cut a machine's power."""
        self._cut(self[host])

    def black_hole(self, host: Host) -> None:
        """Let a machine's address swallow everything: no answer to a connection at all."""
        self.switch_off(host)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.ip, self.port))
        listener.listen(0)
        self._holes.append(listener)
        for _ in range(3):  # a full queue of connections nobody accepts: the kernel drops what comes after
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((host.ip, self.port))
            self._holes.append(filler)

    def clear_faults(self, host: Host) -> None:
        """Take all faults off a machine."""

        async def clear() -> None:
            self[host].machine.faults.clear()

        self.thread.run(clear())

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.thread.run(self.clock.advance_stepwise(seconds))

    def change_settings(self, **changes: float) -> None:
        """Make things take another time from now on."""
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        for manager in self.managers.values():
            manager.machine.settings = self.settings

    def close(self) -> None:
        """Switch everything off."""
        for done in self.at_the_end:
            done()
        for hole in self._holes:
            hole.close()
        for manager in self.managers.values():
            self._cut(manager)
        self.thread.run(_finish_handlers())
        self.thread.close()

    def _cut(self, manager: StandaloneManager) -> None:
        if manager.machine.manager is not None and manager.manager.powered:
            self.thread.run(reset_connections(manager))
            manager.kill()


async def _finish_handlers() -> None:
    """Wait for handlers that notice only now that their client is gone."""
    handlers = asyncio.all_tasks() - {asyncio.current_task()}
    if handlers:
        _, late = await asyncio.wait(handlers, timeout=2.0)
        for handler in late:
            handler.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def reset_connections(manager: StandaloneManager) -> None:
    """Reset all connections of a manager, as a power cut does."""
    runner = manager.machine._runner
    if runner is None or runner.server is None:
        return
    for connection in list(runner.server.connections):
        if connection.transport is not None:
            connection.transport.abort()
    await asyncio.sleep(0)  # for the loop to notice


def make_ca(folder: Path) -> tuple[Path, Path]:
    """Make a CA; return the files of its certificate and its key."""
    return write_ca(folder, certificates.make_authority())


def write_ca(folder: Path, authority: tuple[bytes, bytes]) -> tuple[Path, Path]:
    """Write a CA's certificate and its key; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "ca_cert.pem", folder / "ca_key.pem"
    for path, content in zip(paths, authority, strict=True):
        path.write_bytes(content)
    return paths


@functools.cache
def _authority() -> tuple[bytes, bytes]:
    """The CA of all fleets: making a key takes longer than most tests."""
    return certificates.make_authority()
