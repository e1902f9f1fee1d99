"""The routes of generation 4 (4.3 - 4.6)."""

from __future__ import annotations

from lab.manager.common_routes import COMMON_ROUTES
from lab.manager.responses import blueprints4, clusters, system
from lab.manager.routes import Route

ROUTES: tuple[Route, ...] = (
    *COMMON_ROUTES,
    Route("GET", "/status", system.status, "optional"),
    Route("GET", "/tokens", system.token, "ignored"),
    Route("PUT", "/blueprints/{id}", blueprints4.upload),
    Route("GET", "/cluster", clusters.state, "optional"),
    Route("PUT", "/cluster", clusters.start_or_join, "optional"),
    Route("PATCH", "/cluster", clusters.update, "optional"),
    Route("GET", "/cluster/nodes", clusters.list_nodes, "optional"),
    Route("GET", "/cluster/nodes/{name}", clusters.get_node, "optional"),
    Route("PUT", "/cluster/nodes/{name}", clusters.add_node, "optional"),
    Route("DELETE", "/cluster/nodes/{name}", clusters.remove_node, "optional"),
)
