"""What a manager keeps in PostgreSQL: all its stores, and what is to happen to them.

In generation 4 a cluster has one database: the leader's, replicated to the others. Here the
members share one object, so a new leader has what the old one had.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.manager.engine import Engine
from lab.manager.stores.blueprints import Blueprints
from lab.manager.stores.deployments import Deployments
from lab.manager.stores.events import Events
from lab.manager.stores.executions import Executions
from lab.manager.stores.maintenance import Maintenance
from lab.manager.stores.plugins import Plugins
from lab.manager.stores.secrets import Secrets
from lab.manager.stores.snapshots import Snapshots
from lab.manager.stores.tenants import Tenants
from lab.manager.stores.users import Users
from lab.manager.transitions import Schedule


@dataclass
class Database:
    """Every store of one manager, or of one cluster."""

    users: Users = field(default_factory=Users)
    tenants: Tenants = field(default_factory=Tenants)
    secrets: Secrets = field(default_factory=Secrets)
    plugins: Plugins = field(default_factory=Plugins)
    blueprints: Blueprints = field(default_factory=Blueprints)
    deployments: Deployments = field(default_factory=Deployments)
    executions: Executions = field(default_factory=Executions)
    events: Events = field(default_factory=Events)
    snapshots: Snapshots = field(default_factory=Snapshots)
    maintenance: Maintenance = field(default_factory=Maintenance)
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        self.engine = Engine(self.executions, self.events, self.schedule)

    def uses_tenant(self, name: str) -> bool:
        """Whether anything lives in a tenant."""
        stores = (
            self.secrets,
            self.plugins,
            self.blueprints,
            self.deployments,
            self.snapshots,
        )
        return any(item.tenant == name for store in stores for item in store)
