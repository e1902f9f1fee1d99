"""The services on a manager's machine: units, and the names that people see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.manager.generation import parse_version

if TYPE_CHECKING:
    from lab.manager.models import Manager


@dataclass(frozen=True)
class Service:
    """One service; `state` is `running` or `down`."""

    unit: str
    display_name: str
    state: str
    pid: int


_ALWAYS = (
    ("nginx", "Webserver"),
    ("cloudify-mgmtworker", "Management Worker"),
    ("cloudify-restservice", "Manager Rest-Service"),
    ("cloudify-rabbitmq", "RabbitMQ"),
    ("cloudify-amqp-postgres", "AMQP-Postgres"),
    ("cloudify-stage", "Cloudify Console"),
    ("cloudify-composer", "Cloudify Composer"),
)
_ALONE = (("postgresql-9.5", "PostgreSQL"),)
_CLUSTERED = (
    ("cloudify-postgresql", "PostgreSQL"),
    ("cloudify-consul", "Consul"),
    ("cloudify-syncthing", "Syncthing"),
)
_METRICS = (
    ("cloudify-influxdb", "InfluxDB"),
    ("cloudify-riemann", "Riemann"),
    ("cloudify-amqpinflux", "AMQP InfluxDB"),
)


def of(manager: Manager) -> list[Service]:
    """The services of a manager of generation 4, as they are now."""
    pairs = [*_ALWAYS, *(_CLUSTERED if manager.seat.cluster is not None else _ALONE)]
    if parse_version(manager.version) < (4, 6, 0):
        pairs += _METRICS
    state = "running" if manager.running else "down"
    return [Service(unit, name, state, 1000 + 7 * position) for position, (unit, name) in enumerate(pairs)]
