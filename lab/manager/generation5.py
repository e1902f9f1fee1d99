"""The routes of generation 5 (5.1 - 7.0), of a single manager."""

from __future__ import annotations

from lab.manager.common_routes import COMMON_ROUTES
from lab.manager.responses import blueprints5, system5
from lab.manager.routes import Route

ROUTES: tuple[Route, ...] = (
    *COMMON_ROUTES,
    Route("GET", "/ok", system5.ok, "ignored"),
    Route("GET", "/license-check", system5.license_check, "optional"),
    Route("GET", "/status", system5.status, "optional"),
    Route("GET", "/cluster-status", system5.cluster_status, "optional"),
    Route("GET", "/managers", system5.managers, "optional"),
    Route("POST", "/managers", system5.change_members, "optional"),
    Route("PUT", "/managers/{name}", system5.change_members, "optional"),
    Route("DELETE", "/managers/{name}", system5.change_members, "optional"),
    Route("GET", "/brokers", system5.brokers, "optional"),
    Route("POST", "/brokers", system5.change_members, "optional"),
    Route("PUT", "/brokers/{name}", system5.change_members, "optional"),
    Route("DELETE", "/brokers/{name}", system5.change_members, "optional"),
    Route("GET", "/db-nodes", system5.db_nodes, "optional"),
    Route("POST", "/db-nodes", system5.change_members, "optional"),
    Route("GET", "/config", system5.config, "optional"),
    Route("GET", "/tokens", system5.list_tokens, "ignored"),
    Route("POST", "/tokens", system5.create_token, "ignored"),
    Route("DELETE", "/tokens/{id}", system5.delete_token, "ignored"),
    Route("GET", "/snapshot-status", system5.snapshot_status, "optional"),
    Route("PUT", "/blueprints/{id}", blueprints5.upload),
)
