"""The manager itself in generation 5: status, cluster status, members, tokens, configuration.

One manager with its own broker and its own database. Changing the members is premium and belongs
to clusters of generation 5, which the lab does not have yet.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lab.manager.calls import Call
from lab.manager.exceptions import BadParametersError, NotFoundError
from lab.manager.installer import CA_CERT
from lab.manager.responses.formats import listing, nothing, reply
from lab.manager.responses.tenants import premium
from lab.manager.stores.users import Token
from lab.manager.transitions import timestamp

_SERVICES = {
    "Webserver": "nginx",
    "Management Worker": "cloudify-mgmtworker",
    "Manager Rest-Service": "cloudify-restservice",
    "Cloudify API": "cloudify-api",
    "Cloudify Execution Scheduler": "cloudify-execution-scheduler",
    "AMQP-Postgres": "cloudify-amqp-postgres",
    "Monitoring Service": "prometheus",
    "RabbitMQ": "cloudify-rabbitmq",
    "PostgreSQL": "postgresql-14",
}
_BROKER_SERVICES = ("RabbitMQ", "Monitoring Service", "Webserver")
_TOKEN_FIELDS = (
    "id",
    "value",
    "role",
    "username",
    "description",
    "expiration_date",
    "last_used",
)
_MANAGER_FIELDS = (
    "id",
    "hostname",
    "private_ip",
    "public_ip",
    "version",
    "edition",
    "distribution",
    "distro_release",
    "last_seen",
    "networks",
    "ca_cert_content",
    "fs_sync_node_id",
    "monitoring_username",
)
_BROKER_FIELDS = (
    "name",
    "host",
    "management_host",
    "port",
    "networks",
    "is_external",
    "params",
    "ca_cert_content",
    "username",
    "node_id",
)
_DB_FIELDS = ("name", "host", "is_external", "node_id")


async def ok(call: Call) -> web.StreamResponse:
    """GET /ok."""
    return web.Response(text="OK")


async def license_check(call: Call) -> web.StreamResponse:
    """GET /license-check: whether there is a licence; the lab's managers have one."""
    return reply("OK")


async def status(call: Call) -> web.StreamResponse:
    """GET /status."""
    return reply(
        {
            "status": _word(call),
            "services": {
                name: {"status": "Active", "is_remote": False, "extra_info": _extra(name)}
                for name in _SERVICES
            },
        }
    )


async def cluster_status(call: Call) -> web.StreamResponse:
    """GET /cluster-status; with `summary` one word, and then 500 when it is `Fail`."""
    word = _word(call)
    if call.flag("summary"):
        return reply({"status": word}, 500 if word == "Fail" else 200)
    return reply(
        {
            "status": word,
            "services": {
                "broker": {
                    "is_external": False,
                    "status": word,
                    "nodes": {call.manager.machine.hostname: _node(call, _BROKER_SERVICES)},
                },
                "db": {"is_external": False, "status": word, "nodes": {}},
                "manager": {
                    "is_external": False,
                    "status": word,
                    "nodes": {call.manager.machine.hostname: _node(call, tuple(_SERVICES))},
                },
            },
        }
    )


async def managers(call: Call) -> web.StreamResponse:
    """GET /managers."""
    manager = call.manager
    authority = manager.machine.path(CA_CERT)
    item = {
        "id": 0,
        "hostname": manager.machine.hostname,
        "private_ip": manager.configuration.private_ip,
        "public_ip": manager.configuration.public_ip,
        "version": manager.version,
        "edition": manager.edition,
        "distribution": "centos",
        "distro_release": "core",
        "last_seen": timestamp(call.now),
        "networks": {"default": manager.configuration.private_ip},
        "ca_cert_content": authority.read_text() if authority.is_file() else None,
        "fs_sync_node_id": None,
        "monitoring_username": "monitoring",
    }
    return listing(call, [item], fields=_MANAGER_FIELDS)


async def brokers(call: Call) -> web.StreamResponse:
    """GET /brokers."""
    manager = call.manager
    item = {
        "name": manager.machine.hostname,
        "host": manager.configuration.private_ip,
        "management_host": "127.0.0.1",
        "port": 5671,
        "networks": {"default": manager.configuration.private_ip},
        "is_external": False,
        "params": {},
        "ca_cert_content": None,
        "username": "cloudify",
        "node_id": manager.machine.hostname,
    }
    return listing(call, [item], fields=_BROKER_FIELDS)


async def db_nodes(call: Call) -> web.StreamResponse:
    """GET /db-nodes: a manager with its own database has none."""
    return listing(call, [], fields=_DB_FIELDS)


async def change_members(call: Call) -> web.StreamResponse:
    """Any writing to /managers, /brokers and /db-nodes."""
    premium(call)
    raise BadParametersError("This manager is not part of a cluster")


async def config(call: Call) -> web.StreamResponse:
    """GET /config: with a `scope` by name, without one as a list."""
    items = [
        {
            "name": name,
            "value": value,
            "scope": "rest",
            "schema": None,
            "is_editable": True,
            "updater_name": None,
            "updated_at": None,
        }
        for name, value in (
            ("blueprint_folder_max_size_mb", 50),
            ("blueprint_folder_max_files", 10000),
            ("default_page_size", 1000),
            ("rest_service_log_level", "INFO"),
        )
    ]
    if call.argument("scope"):
        return reply({str(item["name"]): item for item in items})
    return listing(call, items, fields=tuple(items[0]))


async def list_tokens(call: Call) -> web.StreamResponse:
    """GET /tokens; of the values only the beginning is shown."""
    items = [
        {**_token(call, token), "value": f"ctok-{token.id}-********"}
        for token in call.database.users.tokens.values()
    ]
    return listing(call, items, fields=_TOKEN_FIELDS)


async def create_token(call: Call) -> web.StreamResponse:
    """POST /tokens {description, expiration_date}; this once with the whole value."""
    body = await call.json(optional=True)
    description = body.get("description")
    token = call.database.users.make_token(call.user, str(description) if description else None)
    return reply(_token(call, token))


async def delete_token(call: Call) -> web.StreamResponse:
    """DELETE /tokens/ID."""
    if call.database.users.tokens.pop(call.part("id"), None) is None:
        raise NotFoundError(f"Requested `Token` with ID `{call.part('id')}` was not found")
    return nothing()


async def snapshot_status(call: Call) -> web.StreamResponse:
    """GET /snapshot-status: whether a restore is in progress."""
    running = any(
        execution.workflow_id == "restore_snapshot" for execution in call.database.executions.active()
    )
    words = "Snapshot restore in progress..." if running else "Snapshot restore not in progress"
    return reply({"status": words})


def _word(call: Call) -> str:
    settling = call.now - call.manager.on_since < call.manager.settings.status_settle_seconds
    return "Fail" if settling else "OK"


def _extra(name: str) -> dict[str, Any]:
    return {
        "supervisord": {
            "unit_id": _SERVICES[name],
            "display_name": name,
            "instances": [{"Id": _SERVICES[name], "Description": name, "state": "running"}],
        }
    }


def _node(call: Call, services: tuple[str, ...]) -> dict[str, Any]:
    manager = call.manager
    metric = {
        "metric_name": "up",
        "metric_type": "node",
        "healthy": _word(call) == "OK",
        "last_check": timestamp(call.now),
    }
    return {
        "private_ip": manager.configuration.private_ip,
        "public_ip": manager.configuration.public_ip,
        "version": manager.version,
        "status": _word(call),
        "failures": [],
        "services": {name: {"status": "Active", "extra_info": _extra(name)} for name in services},
        "metrics": [metric],
    }


def _token(call: Call, token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "value": token.value,
        "username": token.username,
        "role": call.user.role,
        "description": token.description,
        "expiration_date": None,
        "last_used": timestamp(token.last_used),
    }
