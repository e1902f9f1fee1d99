"""What a manager says of its own services (``GET /status``), in either generation's shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ServiceState:
    """One service of a manager, as ``cfy status`` shows it.

    Attributes:
        name: ``PostgreSQL``, ``Manager Rest-Service``, ...
        status: ``running`` when it is; else the state that systemd tells.
    """

    name: str
    status: str


@dataclass(frozen=True)
class ManagerStatus:
    """What ``GET /status`` of generation 4 says.

    Attributes:
        status: ``running``, in the manager's own word.
    """

    status: str
    services: tuple[ServiceState, ...]


def read_services(listed: Any) -> tuple[ServiceState, ...]:
    """Read the services in an answer: a list with their units, or in generation 5 a mapping."""
    if isinstance(listed, dict):
        return tuple(
            ServiceState(str(name), str((told or {}).get("status") or "unknown"))
            for name, told in listed.items()
            if isinstance(told, dict)
        )
    services = []
    for told in listed if isinstance(listed, list) else ():
        if not isinstance(told, dict) or not told.get("display_name"):
            continue
        units = [unit for unit in told.get("instances") or () if isinstance(unit, dict)]
        services.append(ServiceState(str(told["display_name"]), _state(units)))
    return tuple(services)


def _state(units: list[dict[str, Any]]) -> str:
    """Choose one word for a service's units: a unit that does not run is what matters."""
    states = [str(unit.get("state") or "unknown") for unit in units]
    return next((state for state in states if state != "running"), states[0] if states else "unknown")
