"""What the manager needs from the machine it is installed on.

The manager is written against these protocols and not against the lab's own machine, so that it
can run on anything that has a disk, an address, a clock and a board of faults: a machine of the
lab, or the lone machine of `lab.manager.standalone`.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web

from lab.clock import Clock
from lab.faults import FaultBoard
from lab.packages import MANAGER_PACKAGE, RpmDatabase

if TYPE_CHECKING:
    from lab.manager.five.backing import Backing
    from lab.manager.models import Manager


class Machine(Protocol):
    """A machine: an address, a disk, power and a network."""

    name: str
    hostname: str
    ip: str
    public_ip: str
    rest_port: int
    clock: Clock
    faults: FaultBoard
    rpm_database: RpmDatabase
    manager: Manager | None
    backing: Backing

    @property
    def settings(self) -> Any:
        """An object with the durations of `Settings`, as far as it knows them."""

    def path(self, inside: str, /) -> Path:
        """The host's path of a path on the machine."""

    async def serve_rest(self, app: web.Application, ssl_context: ssl.SSLContext) -> None:
        """Bind the REST port on every address of the machine."""

    async def stop_rest(self) -> None:
        """Close the REST port."""

    def reachable_by_peer(self, other: Any) -> bool:
        """Whether the two machines can talk to each other now."""

    def find_peer(self, address: str) -> Any:
        """The other machine at an address; None when there is none."""


@dataclass(frozen=True)
class Settings:
    """How long things take on a manager, and what it is; everything is immediate by default.

    The lab's own settings may have more fields, or fewer: what is missing there keeps the value
    that stands here.

    Attributes:
        install_seconds, remove_seconds: one run of `cfy_manager`.
        election_seconds: from the death of a leader until a replica is leader.
        offline_seconds: from the death of a member until the leader shows it offline.
        initialise_seconds: from `PUT /cluster` until the first member's cluster stands.
        join_seconds: from `PUT /cluster` on a joining manager until it is a replica.
        replicate_seconds: from having joined until the leader shows it online.
        edition: `premium` or `community`; clusters and tenants are premium.
        removed_replica_seconds: how long a removed node goes on answering as a replica.
        environment_pending_seconds: how long `create_deployment_environment` is `pending`.
        snapshot_linger_seconds: from a snapshot's `created` to the end of its execution.
        restore_outage_seconds: how long REST answers 502 after a restore.
        status_settle_seconds: how long generation 5 says `Fail` after a start.
        rate_limit: whether generation 5 limits the requests of a client, as nginx does there.
        service_install_seconds: one run of `cfy_manager` for a database or a broker (generation 5).
        database_form_seconds: from the majority's installation until the databases can be used.
        database_failover_seconds: from the death of the leading database until another one leads.
        database_wait_seconds: how long an installation waits for a leading database.
        broker_linger_seconds: how long a broker that stopped is still counted as running.
        status_lag_seconds: how long after a death generation 5 goes on saying that all is well.
        snapshot_padding_bytes: added to each snapshot, to make it as large as in the field.
    """

    edition: str = "premium"
    install_seconds: float = 0.0
    remove_seconds: float = 0.0
    election_seconds: float = 0.0
    offline_seconds: float = 0.0
    initialise_seconds: float = 0.0
    join_seconds: float = 0.0
    replicate_seconds: float = 0.0
    removed_replica_seconds: float = 0.0
    plugin_install_seconds: float = 0.0
    blueprint_seconds: float = 0.0
    environment_pending_seconds: float = 0.0
    environment_seconds: float = 0.0
    execution_pending_seconds: float = 0.0
    execution_seconds: float = 0.0
    cancel_seconds: float = 0.0
    snapshot_seconds: float = 0.0
    snapshot_linger_seconds: float = 0.0
    restore_seconds: float = 0.0
    restore_outage_seconds: float = 0.0
    maintenance_seconds: float = 0.0
    snapshot_padding_bytes: int = 0
    status_settle_seconds: float = 0.0
    service_install_seconds: float = 0.0
    database_form_seconds: float = 0.0
    database_failover_seconds: float = 0.0
    database_wait_seconds: float = 0.0
    broker_linger_seconds: float = 0.0
    status_lag_seconds: float = 0.0
    rate_limit: bool = True

    @classmethod
    def of(cls, machine: Machine) -> Settings:
        """Read the settings of a machine, whatever class they are of."""
        given = machine.settings
        known: dict[str, Any] = {
            field.name: getattr(given, field.name) for field in fields(cls) if hasattr(given, field.name)
        }
        return cls(**known)


def installed_version(machine: Machine) -> str | None:
    """The version of the install package on the machine, e.g. `4.6.0`; None without one."""
    package = machine.rpm_database.get(MANAGER_PACKAGE)
    return None if package is None else package.version
