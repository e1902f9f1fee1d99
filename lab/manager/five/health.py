"""What generation 5 says about its services: of one manager, and of the whole cluster.

`/status` asks the manager's own services, `/cluster-status` asks Prometheus about every address in
the tables. Prometheus has nothing to say about what is off or out of reach, and nothing at all for
`status_settle_seconds` after a manager's start. As in manager-rest 7.0 a node is called by the
manager at its address, else by the database, else by the broker.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.manager.five import names
from lab.manager.five.databases import DatabaseNode
from lab.manager.host import Settings
from lab.manager.transitions import timestamp

if TYPE_CHECKING:
    from lab.manager.models import Manager

OK, DEGRADED, FAIL = "OK", "Degraded", "Fail"
ACTIVE, INACTIVE = "Active", "Inactive"

# Unit -> what `/status` calls it; BASE_SERVICES are always there.
BASE_SERVICES = {
    "nginx": "Webserver",
    "cloudify-mgmtworker": "Management Worker",
    "cloudify-restservice": "Manager Rest-Service",
    "cloudify-api": "Cloudify API",
    "cloudify-execution-scheduler": "Cloudify Execution Scheduler",
}
OTHER_SERVICES = {
    "cloudify-stage": "Cloudify Console",
    "cloudify-amqp-postgres": "AMQP-Postgres",
    "cloudify-composer": "Cloudify Composer",
    "prometheus": "Monitoring Service",
}
# Unit -> what `/cluster-status` calls it.
_MANAGER_UNITS = {
    "nginx": "Webserver",
    "cloudify-mgmtworker": "Management Worker",
    "cloudify-restservice": "Manager REST",
    "cloudify-api": "Cloudify API",
    "cloudify-execution-scheduler": "Cloudify Execution Scheduler",
    "cloudify-stage": "Management Console",
    "cloudify-amqp-postgres": "AMQP-Postgres",
    "cloudify-composer": "Composer",
    "prometheus": "Prometheus",
    "blackbox_exporter": "Blackbox Exporter",
    "node_exporter": "Node Exporter",
}
_BROKER_UNITS = {"cloudify-rabbitmq": "RabbitMQ Broker", "node_exporter": "Node Exporter"}
_DATABASE_UNITS = {
    "etcd": "Etcd key-value store",
    "patroni": "Patroni HA Template",
    "postgres_exporter": "Prometheus exporter for PostgreSQL",
    "node_exporter": "Node Exporter",
}


@dataclass
class _Seen:
    """What Prometheus knows of one service on one machine: its units, and its metric when it is well."""

    units: dict[str, str] = field(default_factory=dict)
    stopped: tuple[str, ...] = ()
    metric: str = ""


def settling(manager: Manager) -> bool:
    """Whether a manager has started so lately that nothing is known yet."""
    return manager.now() - manager.on_since < manager.settings.status_settle_seconds


def own_services(manager: Manager) -> dict[str, dict[str, Any]]:
    """The services of `/status`, by name."""
    base = INACTIVE if settling(manager) else ACTIVE
    found = {name: _service(base, unit, name) for unit, name in BASE_SERVICES.items()}
    found |= {name: _service(ACTIVE, unit, name) for unit, name in OTHER_SERVICES.items()}
    if manager.link is None:
        found["RabbitMQ"] = _service(ACTIVE, "cloudify-rabbitmq", "RabbitMQ")
        found["PostgreSQL"] = _service(ACTIVE, "postgresql-14", "PostgreSQL")
        return found
    tables, backing = manager.tables, manager.machine.backing
    works = manager.link.has_broker(list(tables.brokers.values()))
    found["RabbitMQ"] = {
        **_service(ACTIVE if works else INACTIVE, "cloudify-rabbitmq", "RabbitMQ"),
        "is_remote": backing.broker is None,
    }
    found["RabbitMQ"]["extra_info"]["connection_check"] = OK if works else "Broker check failed"
    if manager.link.external:
        found["PostgreSQL"] = {"status": ACTIVE, "is_remote": True, "extra_info": {}}
    if backing.database is not None and backing.database.nodes:
        state = ACTIVE if backing.database.running else INACTIVE
        found["Patroni HA Postgres"] = _service(state, "patroni", "Patroni HA Postgres")
    synced = all(row.synced for row in tables.managers.values() if row.manager is manager)
    found["File Sync Service"] = _service(
        ACTIVE if synced else INACTIVE, "cloudify-syncthing", "File Sync Service"
    )
    found["File Sync Service"]["extra_info"]["connection_check"] = (
        OK if synced else "No device was seen recently"
    )
    return found


def own_status(manager: Manager) -> str:
    """`OK` when every service is active, `Fail` otherwise."""
    services = own_services(manager).values()
    return OK if all(service["status"] == ACTIVE for service in services) else FAIL


def cluster_status(manager: Manager) -> dict[str, Any]:
    """The answer of `/cluster-status`."""
    tables = manager.tables
    hosts = {
        "manager": [(row.hostname, row.private_ip) for row in tables.managers.values()],
        "db": [(row.name, row.host) for row in tables.db_nodes.values()],
        "broker": [(row.name, row.host) for row in tables.brokers.values()],
    }
    called: dict[str, str] = {}
    for pairs in hosts.values():
        for name, address in pairs:
            called.setdefault(address, name)
    public = {row.private_ip: row.public_ip for row in tables.managers.values()}
    external = {
        "manager": False,
        "db": any(row.is_external for row in tables.db_nodes.values()),
        "broker": any(row.is_external for row in tables.brokers.values()),
    }
    services: dict[str, Any] = {}
    for kind in ("broker", "db", "manager"):
        if external[kind]:
            services[kind] = {"is_external": True, "status": OK}
            continue
        nodes = {
            called[address]: _node(manager, kind, address, public.get(address)) for _, address in hosts[kind]
        }
        services[kind] = {"is_external": False, "status": _word(kind, nodes), "nodes": nodes}
    words = [service["status"] for service in services.values()]
    overall = FAIL if FAIL in words else DEGRADED if DEGRADED in words else OK
    return {"status": overall, "services": services}


def _word(kind: str, nodes: dict[str, Any]) -> str:
    healthy = sum(node["status"] == OK for node in nodes.values())
    if healthy == len(nodes):
        return OK
    return DEGRADED if healthy >= (1 if kind == "manager" else len(nodes) // 2 + 1) else FAIL


def _node(manager: Manager, kind: str, address: str, public_ip: str | None) -> dict[str, Any]:
    seen = _Seen() if settling(manager) else _look(manager, kind, address)
    services = {
        name: {
            "status": INACTIVE if unit in seen.stopped else ACTIVE,
            "extra_info": _supervisord(unit, name, running=unit not in seen.stopped),
        }
        for unit, name in seen.units.items()
    }
    metrics = []
    if seen.metric:
        metrics.append(
            {
                "metric_name": f"{seen.metric} on {address}",
                "metric_type": {"db": "postgres_healthy", "broker": "rabbitmq_healthy"}.get(
                    kind, "manager_healthy"
                ),
                "healthy": True,
                "last_check": timestamp(manager.now()),
            }
        )
    failures = [] if services else ["No services."]
    failures += [] if metrics else ["No metrics"]
    failures += [f"Service {name} not active." for name, one in services.items() if one["status"] == INACTIVE]
    told = {"failures": failures} if manager.traits.node_failures else {}
    return {
        "private_ip": address,
        "public_ip": public_ip,
        "version": next((row.version for row in manager.tables.managers.values()), "UNKNOWN"),
        "status": FAIL if failures else OK,
        **told,
        "services": services,
        "metrics": metrics,
    }


def _look(manager: Manager, kind: str, address: str) -> _Seen:
    if kind == "manager":
        return _look_at_manager(manager, address)
    if manager.link is None:
        return _Seen(_BROKER_UNITS, metric="rabbitmq")
    machine = manager.machine
    resolved = names.resolve(machine, address) or address
    there = machine if resolved in (machine.ip, machine.public_ip) else machine.find_peer(resolved)
    if there is None:
        return _Seen()
    one = there.backing.broker if kind == "broker" else there.backing.database
    if one is None:
        return _Seen()
    if there is not machine and not machine.reachable_by_peer(there):
        # The last answer stands for a while after a death.
        if one.off_since is None or manager.now() - one.off_since >= Settings.of(there).status_lag_seconds:
            return _Seen()
        return _healthy(kind)
    if not one.running:
        return _Seen(
            *(
                (_BROKER_UNITS, ("cloudify-rabbitmq",))
                if kind == "broker"
                else (_DATABASE_UNITS, ("etcd", "patroni"))
            )
        )
    if isinstance(one, DatabaseNode) and one.apart:
        return _Seen(_DATABASE_UNITS, ("etcd",))
    return _healthy(kind)


def _healthy(kind: str) -> _Seen:
    return (
        _Seen(_BROKER_UNITS, metric="rabbitmq")
        if kind == "broker"
        else _Seen(_DATABASE_UNITS, metric="postgresql")
    )


def _look_at_manager(manager: Manager, address: str) -> _Seen:
    row = next(row for row in manager.tables.managers.values() if row.private_ip == address)
    other = row.manager
    reached = other is manager or manager.machine.reachable_by_peer(other.machine)
    if not reached or not other.running:
        lag = (
            other.off_since is not None
            and manager.now() - other.off_since < other.settings.status_lag_seconds
        )
        return _Seen(_MANAGER_UNITS, metric="http endpoints") if lag else _Seen()
    units = dict(_MANAGER_UNITS)
    if manager.link is not None:
        units["cloudify-syncthing"] = "Syncthing"
    # Its probe asks `/ok`, which is not so while one of its services is not.
    return _Seen(units, metric="http endpoints" if own_status(other) == OK else "")


def _service(state: str, unit: str, name: str) -> dict[str, Any]:
    return {
        "status": state,
        "is_remote": False,
        "extra_info": _supervisord(unit, name, running=state == ACTIVE),
    }


def _supervisord(unit: str, name: str, *, running: bool) -> dict[str, Any]:
    return {
        "supervisord": {
            "unit_id": unit,
            "display_name": name,
            "instances": [{"Id": unit, "Description": name, "state": "running" if running else "stopped"}],
        }
    }
