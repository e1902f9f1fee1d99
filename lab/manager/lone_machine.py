"""The least of a machine that a manager can be installed on: a disk, an address, faults, and no SSH."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path

from aiohttp import web

from lab.clock import Clock
from lab.faults import FaultBoard
from lab.manager.five.backing import Backing
from lab.manager.host import Settings
from lab.manager.models import Manager
from lab.packages import MANAGER_PACKAGE, Package, RpmDatabase


class LoneMachine:
    """A machine with a manager's package on it, alone in the world."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        version: str,
        ip: str,
        port: int,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.name = self.hostname = name
        self.ip = self.public_ip = ip
        self.rest_port = port
        self.disk = folder
        self.settings = settings
        self.clock = clock
        self.faults = FaultBoard()
        self.manager: Manager | None = None
        self.backing = Backing()
        self._cut_off = False
        self.rpm_database = RpmDatabase(self.path("/var/lib/rpm/packages.json"))
        self.rpm_database.add(Package(MANAGER_PACKAGE, version, "ga", "x86_64"))
        self._runner: web.AppRunner | None = None

    def path(self, inside: str, /) -> Path:
        """The host's path of a path on the machine."""
        path = Path(os.path.normpath(self.disk / inside.lstrip("/")))
        if not path.is_relative_to(self.disk):
            raise ValueError(f"{inside} leaves the disk")
        return path

    async def serve_rest(self, app: web.Application, ssl_context: ssl.SSLContext) -> None:
        """Bind the REST port."""
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.ip, self.rest_port, ssl_context=ssl_context)
        await site.start()

    async def stop_rest(self) -> None:
        """Close the REST port."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            if runner.server is not None:
                # A power cut resets what is open; nobody says goodbye.
                for connection in list(runner.server.connections):
                    if connection.transport is not None:
                        connection.transport.abort()
            await runner.cleanup()
            await asyncio.sleep(0)

    @property
    def cut_off(self) -> bool:
        """Whether its peers cannot reach it."""
        return self._cut_off

    @cut_off.setter
    def cut_off(self, cut_off: bool) -> None:
        # What was due before happened under the old conditions.
        if self.manager is not None:
            self.manager.settle()
        self._cut_off = cut_off

    def reachable_by_peer(self, other: LoneMachine) -> bool:
        """Whether the two can talk to each other."""
        return not (self.cut_off or other.cut_off)

    def find_peer(self, address: str) -> LoneMachine | None:
        """It is alone."""
        return None
