"""The routes of generation 5 (5.1 - 7.0)."""

from __future__ import annotations

from lab.manager.common_routes import COMMON_ROUTES
from lab.manager.responses import blueprints5, members5, system5
from lab.manager.routes import Route

ROUTES: tuple[Route, ...] = (
    *COMMON_ROUTES,
    Route("GET", "/ok", system5.ok, "ignored", open=True),
    Route("GET", "/license-check", system5.license_check, "optional"),
    Route("GET", "/license", members5.list_license, "optional"),
    Route("PUT", "/license", members5.upload_license, "optional"),
    Route("DELETE", "/license", members5.remove_license, "optional"),
    Route("GET", "/status", system5.status, "optional"),
    Route("GET", "/cluster-status", system5.cluster_status, "optional"),
    Route("GET", "/managers", members5.managers, "optional"),
    Route("POST", "/managers", members5.add_manager, "optional"),
    Route("PUT", "/managers/{name}", members5.update_manager, "optional"),
    Route("DELETE", "/managers/{name}", members5.remove_manager, "optional"),
    Route("GET", "/brokers", members5.brokers, "optional"),
    Route("POST", "/brokers", members5.add_broker, "optional"),
    Route("PUT", "/brokers/{name}", members5.update_broker, "optional"),
    Route("DELETE", "/brokers/{name}", members5.remove_broker, "optional"),
    Route("GET", "/db-nodes", members5.db_nodes, "optional"),
    Route("POST", "/db-nodes", members5.update_db_nodes, "optional"),
    Route("GET", "/config", system5.config, "optional"),
    Route("GET", "/tokens", system5.list_tokens, "ignored"),
    Route("POST", "/tokens", system5.create_token, "ignored"),
    Route("DELETE", "/tokens/{id}", system5.delete_token, "ignored"),
    Route("GET", "/snapshot-status", system5.snapshot_status, "optional"),
    Route("PUT", "/blueprints/{id}", blueprints5.upload),
)
