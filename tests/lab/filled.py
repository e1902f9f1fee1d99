"""One manager of the lab, of any version, and the service that fills it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudify_rest_client import CloudifyClient

from cmom.clients.cluster_api import ClusterApi
from cmom.models import ManagerAccess, Secret, Version
from cmom.services.inputs import parse_resources
from cmom.services.leader import ClusterConnection
from cmom.services.relay import Relay
from cmom.services.resources.filler import ResourceFiller
from cmom.services.resources.report import Report
from cmom.services.tier1 import ActiveManagers, Tier1, connect
from lab.manager.host import Settings
from lab.manager.standalone import StandaloneManager
from tests.lab.fleet import reset_connections
from tests.lab.rest import connect as connect_client
from tests.lab.rest import manager_of

VERSIONS = ("4.3.0", "4.6.0", "7.0.5")


class LogLines(logging.Handler):
    """Keeps what is logged, as text."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class SteppedClock:
    """The clock that services get: to sleep is to move the manager's time."""

    def __init__(self, manager: StandaloneManager) -> None:
        self._manager = manager

    def monotonic(self) -> float:
        return self._manager.machine.clock.now()

    def sleep(self, seconds: float) -> None:
        self._manager.advance(seconds)


class Filled:
    """A manager, and what fills it. Use it as a context.

    Args:
        folder: For its disk, and for files that are made for a test.
        version: Of the manager.
        settings: How long things take.
    """

    def __init__(self, folder: Path, version: str, settings: Settings | None = None) -> None:
        self.folder = folder
        self.version = Version.parse(version)
        self.manager = manager_of(folder / "manager", version, settings)
        self.log = LogLines()
        self._logger = logging.Logger("test.resources", logging.DEBUG)
        self._logger.addHandler(self.log)

    def __enter__(self) -> Filled:
        self.manager.install()
        self.access = ManagerAccess(
            "admin", Secret(self.manager.password), str(self.manager.ca_cert), self.manager.port
        )
        if self.version.generation == 4:
            with ClusterApi(self.manager.ip, self.access) as api:
                api.start(self.manager.ip, "member-1")
        self.clock = SteppedClock(self.manager)
        self.relay = Relay(self._logger)
        self.tier1 = connect([self.manager.ip], self.access, self.version, self.relay, clock=self.clock)
        self._clients: list[Any] = []
        self.client: CloudifyClient = self.client_for("default_tenant")
        return self

    def __exit__(self, *_: object) -> None:
        self.tier1.close()
        for client in self._clients:
            client._client._session.close()
        if self.manager.machine.manager is not None:
            self.manager.thread.run(reset_connections(self.manager))
        self.manager.close()

    def connected(self, client: type[ClusterApi] = ClusterApi) -> Tier1:
        """Another connection, by a client of its own."""

        def made(address: str) -> ClusterApi:
            return client(address, self.access)

        kind = ClusterConnection if self.version.generation == 4 else ActiveManagers
        return Tier1(kind([self.manager.ip], made, clock=self.clock), self.version, clock=self.clock)

    def client_for(self, tenant: str) -> Any:
        """The real client, in a tenant."""
        self._clients.append(connect_client(self.manager, tenant=tenant))
        return self._clients[-1]

    def fill(self, raw: Mapping[str, Any]) -> Report:
        """Check the lists and make them true."""
        return ResourceFiller(self.tier1, self.relay, clock=self.clock).fill(parse_resources(raw))

    def outcomes(self, raw: Mapping[str, Any]) -> list[str]:
        """Fill, and return each entry's outcome in a word."""
        return [row.outcome.value for row in self.fill(raw).rows]
