"""A simulated Tier 2: as much of a manager's REST service as the meta plugin asks, with many clusters.

Its executions take the time they are given. It runs as many at once as it is told, and puts the others into a
queue, as a manager does.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from aiohttp import web
from cloudify_rest_client.client import CloudifyClient

CLUSTER_NODE = "cloudify_cluster"
CLUSTER_TYPES = ["cloudify.nodes.Root", "cloudify.nodes.CloudifyTier1Cluster"]
START_SECONDS = 30.0
SERVICES = (
    "InfluxDB", "Cloudify Composer", "AMQP-Postgres", "AMQP InfluxDB", "RabbitMQ", "Webserver",
    "Management Worker", "PostgreSQL", "Cloudify Console", "Manager Rest-Service", "Riemann",
)  # fmt: skip


@dataclass
class Deployment:
    """One deployment of the simulated Tier 2.

    Attributes:
        seconds: How long a workflow of it takes; None for ever.
        error: With what its workflows fail; empty for success.
        properties: The runtime properties of its cluster; None when it has no cluster.
        refuses: ``(HTTP status, error code, message)`` for whoever starts a workflow on it.
    """

    id: str
    seconds: float | None = 0.0
    error: str = ""
    properties: dict[str, Any] | None = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    refuses: tuple[int, str, str] | None = None


@dataclass
class Execution:
    """One execution."""

    id: str
    deployment: Deployment
    workflow_id: str
    status: str = "pending"


def status_of(condition: str, moment: datetime, members: int = 3) -> dict[str, Any]:
    """Return a cluster's status, of the size that a real one has."""
    checks = {"database": "OK", "consul": "OK", "cloudify services": "OK", "heartbeat": "OK"}
    rows = [
        {"name": f"manager-{number}", "host_ip": f"10.0.0.{number}", "state": "replica", **checks}
        for number in range(members)
    ]
    when = moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "leader_status": [{"service": name, "status": "running"} for name in SERVICES],
        "cluster_status": rows,
        "error": "",
        "condition": condition,
        "reason": "",
        "observed_at": when,
        "last_transition": when,
        "last_backup": {"created_at": when},
    }


class SimulatedTier2:
    """The state, and the requests that read and change it.

    Args:
        deployments: All that there are.
        at_once: How many executions run at the same time; None for any number.
        clock: In seconds.
    """

    def __init__(
        self,
        deployments: Iterable[Deployment],
        *,
        at_once: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.deployments = {one.id: one for one in deployments}
        self.executions: dict[str, Execution] = {}
        self.requests: list[str] = []
        self.silent = False
        self.most_running = 0
        self._at_once, self._clock = at_once, clock
        self._pending: deque[Execution] = deque()
        self._running: list[tuple[float, int, Execution]] = []
        self._numbers = itertools.count()

    def application(self) -> web.Application:
        """Return the REST service."""
        app = web.Application(middlewares=[self._count])
        base = "/api/v3.1"
        app.router.add_get(f"{base}/deployments", self._get_deployments)
        app.router.add_post(f"{base}/searches/deployments", self._search_deployments)
        app.router.add_get(f"{base}/nodes", self._get_nodes)
        app.router.add_get(f"{base}/node-instances", self._get_instances)
        app.router.add_get(f"{base}/executions", self._get_executions)
        app.router.add_post(f"{base}/executions", self._post_execution)
        return app

    @web.middleware
    async def _count(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        if self.silent:
            await asyncio.sleep(3600)
        self._advance()
        response: web.StreamResponse = await handler(request)
        return response

    def _advance(self) -> None:
        """Let happen what has happened until now."""
        now = self._clock()
        while self._running and self._running[0][0] <= now:
            moment, _, execution = heapq.heappop(self._running)
            if execution.status != "cancelled":
                self._end(execution)
            self._begin_some(moment)
        self._begin_some(now)

    def _begin_some(self, moment: float) -> None:
        while self._pending and (self._at_once is None or len(self._running) < self._at_once):
            execution = self._pending.popleft()
            execution.status = "started"
            seconds = execution.deployment.seconds
            ends_at = float("inf") if seconds is None else moment + seconds
            heapq.heappush(self._running, (ends_at, next(self._numbers), execution))
            self.most_running = max(self.most_running, len(self._running))

    def _end(self, execution: Execution) -> None:
        deployment = execution.deployment
        execution.status = "failed" if deployment.error else "terminated"
        if (
            not deployment.error
            and execution.workflow_id == "get_status"
            and deployment.properties is not None
        ):
            deployment.properties["status"] = status_of("ready", datetime.now(timezone.utc))

    async def _get_deployments(self, request: web.Request) -> web.Response:
        wanted = request.query.getall("id", list(self.deployments))
        return _page(request, [{"id": name} for name in wanted if name in self.deployments])

    async def _search_deployments(self, request: web.Request) -> web.Response:
        rules = (await request.json())["filter_rules"]
        found = [
            {"id": one.id} for one in self.deployments.values() if all(_obeys(one, rule) for rule in rules)
        ]
        return _page(request, found)

    def _with_cluster(self, request: web.Request) -> list[Deployment]:
        wanted = request.query.getall("deployment_id", list(self.deployments))
        found = [self.deployments[name] for name in wanted if name in self.deployments]
        return [one for one in found if one.properties is not None]

    async def _get_nodes(self, request: web.Request) -> web.Response:
        return _page(
            request,
            [
                {"id": CLUSTER_NODE, "deployment_id": one.id, "type_hierarchy": CLUSTER_TYPES}
                for one in self._with_cluster(request)
            ],
        )

    async def _get_instances(self, request: web.Request) -> web.Response:
        return _page(
            request,
            [
                {
                    "id": f"{CLUSTER_NODE}_{one.id}",
                    "node_id": CLUSTER_NODE,
                    "deployment_id": one.id,
                    "runtime_properties": one.properties,
                }
                for one in self._with_cluster(request)
            ],
        )

    async def _get_executions(self, request: web.Request) -> web.Response:
        wanted = request.query.getall("id", list(self.executions))
        found = [self.executions[one] for one in wanted if one in self.executions]
        if "deployment_id" in request.query:
            found = [one for one in found if one.deployment.id in request.query.getall("deployment_id")]
        if "status" in request.query:
            found = [one for one in found if one.status in request.query.getall("status")]
        return _page(
            request,
            [
                {
                    "id": one.id,
                    "workflow_id": one.workflow_id,
                    "status": one.status,
                    "error": one.deployment.error if one.status == "failed" else None,
                }
                for one in found
            ],
        )

    async def _post_execution(self, request: web.Request) -> web.Response:
        body = await request.json()
        deployment = self.deployments.get(body["deployment_id"])
        if deployment is None:
            return _refusal(404, "not_found_error", "Requested deployment was not found")
        if deployment.refuses:
            return _refusal(*deployment.refuses)
        running = [
            one for one in self.executions.values() if one.deployment is deployment and _is_active(one)
        ]
        if running:
            said = f"The following executions are currently running for this deployment: {running[0].id}"
            return _refusal(400, "existing_running_execution_error", said)
        execution = self.add_execution(deployment, body["workflow_id"])
        return web.json_response({"id": execution.id, "status": execution.status}, status=201)

    def add_execution(self, deployment: Deployment, workflow_id: str) -> Execution:
        """Start a workflow."""
        execution = Execution(str(uuid.uuid4()), deployment, workflow_id)
        self.executions[execution.id] = execution
        self._pending.append(execution)
        self._advance()
        return execution


class ServedTier2:
    """A context manager that serves a simulated Tier 2 on a loopback port, from a thread of its own."""

    def __init__(self, tier2: SimulatedTier2) -> None:
        self.tier2 = tier2
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._stop: asyncio.Event

    def __enter__(self) -> ServedTier2:
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise TimeoutError("The simulated Tier 2 does not start.")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_SECONDS)
        self._loop.close()

    def client(self, timeout_seconds: float = 30.0) -> CloudifyClient:
        """Return a REST client of it."""
        return client_of(self.port, timeout_seconds)

    def _serve(self) -> None:
        self._loop.run_until_complete(self._run())

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        runner = web.AppRunner(self.tier2.application(), access_log=None, shutdown_timeout=0.1,
                               handler_cancellation=True)  # fmt: skip
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = int(runner.addresses[0][1])
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()


def client_of(port: int, timeout_seconds: float = 30.0) -> CloudifyClient:
    """Return a REST client of a simulated Tier 2 that serves on this port."""
    return CloudifyClient(
        host="127.0.0.1", port=port, protocol="http", tenant="default_tenant", timeout=(5, timeout_seconds)
    )


def _is_active(execution: Execution) -> bool:
    return execution.status in ("pending", "started")


def _obeys(deployment: Deployment, rule: Mapping[str, Any]) -> bool:
    value = deployment.labels.get(rule["key"])
    return {
        "any_of": value in rule["values"],
        "not_any_of": value is not None and value not in rule["values"],
        "is_null": value is None,
        "is_not_null": value is not None,
    }[str(rule["operator"])]


def _page(request: web.Request, items: list[Any]) -> web.Response:
    offset, size = int(request.query.get("_offset", 0)), int(request.query.get("_size", 1000))
    pagination = {"total": len(items), "offset": offset, "size": size}
    return web.json_response({"items": items[offset : offset + size], "metadata": {"pagination": pagination}})


def _refusal(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"message": message, "error_code": code}, status=status)
