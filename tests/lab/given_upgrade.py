"""An old manager that holds something, its snapshot, and a new manager that is to hold the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cmom.clients.snapshots import RestoreOptions
from cmom.models import ManagerAccess, Secret, Version
from cmom.runtime import RestoreRecord
from cmom.services.relay import Relay
from cmom.services.snapshots.restore import SnapshotRestorer
from cmom.services.snapshots.restore_patience import RestoreTimes
from cmom.services.snapshots.source import open_snapshot
from cmom.services.tier1 import ActiveManagers, Tier1, connect_alone
from lab.manager import samples
from lab.manager.host import Settings
from lab.manager.standalone import StandaloneManager
from tests.lab.filled import Filled, LogLines, SteppedClock
from tests.lab.fleet import reset_connections
from tests.lab.given_snapshots import Backups
from tests.lab.rest import connect, manager_of

SETTINGS = Settings(
    snapshot_seconds=5,
    snapshot_linger_seconds=2,
    restore_seconds=4,
    restore_outage_seconds=12,
    execution_seconds=10,
    rate_limit=False,
)
TENANTS = ("blue", "default_tenant")
DEPLOYMENTS = ("bakery", "florist", "shop")


def fill(filled: Filled) -> None:
    """Give a manager tenants, secrets, and deployments in two tenants, all but one of which are installed."""
    path = str(samples.make_blueprint(filled.folder))
    report = filled.fill(
        {
            "tenants": ["blue"],
            "secrets": [{"key": "key", "string": "value"}],
            "blueprints": [{"path": path, "tenant": tenant} for tenant in TENANTS],
            "deployments": [
                {"blueprint_id": "sample", "deployment_id": name, "tenant": tenant}
                for tenant in TENANTS
                for name in DEPLOYMENTS
            ],
        }
    )
    assert report.good, report.table()
    filled.manager.advance(5)
    for tenant in TENANTS:
        client = filled.client_for(tenant)
        for name in DEPLOYMENTS:
            if (tenant, name) != ("blue", "florist"):
                client.executions.start(name, "install")
    filled.manager.advance(30)


def snapshot_of(filled: Filled) -> Backups:
    """Take a backup of it, called ``mine``."""
    backups = Backups(filled.tier1, filled.clock, filled.folder / "snapshots")
    backups.take("mine")
    return backups


class NewManager:
    """A manager that was just installed, and what restores onto it. Use it as a context."""

    def __init__(self, folder: Path, version: str, settings: Settings = SETTINGS) -> None:
        self.version = Version.parse(version)
        self.manager: StandaloneManager = manager_of(folder / "new", version, settings)
        self.log = LogLines()
        self.records: list[RestoreRecord] = []
        self.times = RestoreTimes()

    def __enter__(self) -> NewManager:
        import logging

        self.manager.install()
        self.access = ManagerAccess(
            "admin", Secret(self.manager.password), str(self.manager.ca_cert), self.manager.port
        )
        self.logger = logging.Logger("test.restore", logging.DEBUG)
        self.logger.addHandler(self.log)
        self.clock = SteppedClock(self.manager)
        self.relay = Relay(self.logger)
        self.tier1 = connect_alone(self.manager.ip, self.access, self.version, clock=self.clock)
        self._clients: list[Any] = []
        self.client = self.client_for("default_tenant")
        return self

    def __exit__(self, *_: object) -> None:
        self.tier1.close()
        for client in self._clients:
            client._client._session.close()
        self.manager.thread.run(reset_connections(self.manager))
        self.manager.close()

    def client_for(self, tenant: str) -> Any:
        """The real client, in a tenant."""
        self._clients.append(connect(self.manager, tenant=tenant))
        return self._clients[-1]

    def connected(self, client: Callable[..., Any]) -> Tier1:
        """Another connection, by a client of its own."""
        managers = ActiveManagers(
            [self.manager.ip], lambda address: client(address, self.access), clock=self.clock
        )
        return Tier1(managers, self.version, clock=self.clock)

    def restorer(self, tier1: Tier1 | None = None) -> SnapshotRestorer:
        """What restores onto it."""
        return SnapshotRestorer(
            tier1 or self.tier1, self.logger, remember=self.records.append, times=self.times, clock=self.clock
        )

    def restore(
        self,
        path: Path,
        options: RestoreOptions | None = None,
        *,
        tier1: Tier1 | None = None,
    ) -> RestoreRecord:
        """Restore a snapshot, going on from what was remembered last."""
        before = self.records[-1] if self.records else None
        return self.restorer(tier1).restore(open_snapshot(path), options or RestoreOptions(), before)

    def restores(self, status: str | None = None) -> list[Any]:
        """The restores that it knows of."""
        listed = self.client.executions.list(
            include_system_workflows=True, workflow_id="restore_snapshot", _all_tenants=True
        )
        return [one for one in listed if status is None or one.status == status]

    def assert_holds_all(self) -> None:
        """It holds what `fill` gave to the old one."""
        for tenant in TENANTS:
            found = self.client_for(tenant).deployments.list()
            assert sorted(deployment.id for deployment in found) == sorted(DEPLOYMENTS)
        assert self.client.secrets.get("key").value == "value"
