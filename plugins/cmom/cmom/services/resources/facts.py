"""What the cluster holds already, asked once for each tenant and kind however many entries there are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from cmom.clients.resources import Held, HeldBlueprint, HeldDeployment, HeldPlugin
from cmom.errors import CmomError
from cmom.services.tier1 import Tier1, Tier1Api
from cmom.services.waiting import Clock

Listed = TypeVar("Listed")

# Many wait for the states of their blueprints at the same time; one list serves them all.
_STATES_ARE_FRESH_SECONDS = 1.0


class Facts:
    """Lists of what is there, as they were when they were first asked for.

    It may be shared by threads; of several that ask the same, one does and the others wait for it.

    Args:
        tier1: The cluster.
        clock: Tells how old a list is.
    """

    def __init__(self, tier1: Tier1, clock: Clock) -> None:
        self._tier1 = tier1
        self._clock = clock
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lists: dict[tuple[str, str], tuple[float, Any]] = {}

    def tenants(self) -> frozenset[str]:
        """Return the names of all tenants."""
        return self._once("tenants", "", lambda api: api.list_tenants())

    def secrets(self, tenant: str) -> dict[str, Held]:
        """Return the secrets that a tenant sees, by key."""
        return self._once("secrets", tenant, lambda api: api.list_secrets(tenant))

    def plugins(self, tenant: str) -> tuple[HeldPlugin, ...]:
        """Return the plugins that a tenant sees."""
        return self._once("plugins", tenant, lambda api: api.list_plugins(tenant))

    def blueprints(self, tenant: str) -> dict[str, HeldBlueprint]:
        """Return the blueprints that a tenant sees, by id."""
        return self._once("blueprints", tenant, lambda api: api.list_blueprints(tenant))

    def blueprint_states(self, tenant: str) -> dict[str, HeldBlueprint]:
        """Return the same as of now, give or take a second."""
        return self._once(
            "blueprint states",
            tenant,
            lambda api: api.list_blueprints(tenant),
            fresh_seconds=_STATES_ARE_FRESH_SECONDS,
        )

    def deployments(self, tenant: str) -> dict[str, HeldDeployment]:
        """Return the deployments that a tenant sees, by id."""
        return self._once("deployments", tenant, lambda api: api.list_deployments(tenant))

    def _once(
        self,
        kind: str,
        tenant: str,
        question: Callable[[Tier1Api], Listed],
        *,
        fresh_seconds: float | None = None,
    ) -> Listed:
        key = (kind, tenant)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            found = self._lists.get(key)
            if found is None or (
                fresh_seconds is not None and self._clock.monotonic() - found[0] > fresh_seconds
            ):
                found = self._lists[key] = self._ask(kind, question)
        answer: Listed | CmomError = found[1]
        if isinstance(answer, CmomError):
            raise answer  # who waited for this list need not wait for the same failure again
        return answer

    def _ask(self, kind: str, question: Callable[[Tier1Api], Listed]) -> tuple[float, Listed | CmomError]:
        try:
            listed: Listed | CmomError = self._tier1.call(question, f"listing {kind}")
        except CmomError as error:
            listed = error
        return self._clock.monotonic(), listed
