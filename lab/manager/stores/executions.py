"""Executions: what runs, what ran, and what waits for its turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lab.manager.stores.scoped import Resource, Scoped

ENDED = ("terminated", "failed", "cancelled")
WAITING = ("queued", "scheduled")
_DISPLAY = {"terminated": "completed", "cancelling": "cancelling"}


@dataclass
class Execution(Resource):
    """One execution; on the wire a completed one is `terminated`.

    Attributes:
        deployment_id: None for what concerns the manager as a whole.
        force: It does not wait for others on its deployment.
        is_system_workflow: Hidden from lists unless asked for.
        alone: Nothing else runs in its time.
    """

    workflow_id: str = ""
    status: str = "pending"
    deployment_id: str | None = None
    blueprint_id: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    is_system_workflow: bool = False
    alone: bool = False
    is_dry_run: bool = False
    force: bool = False
    error: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    scheduled_for: float | None = None

    @property
    def active(self) -> bool:
        """Whether it holds others up: neither ended nor waiting itself."""
        return self.status not in ENDED and self.status not in WAITING

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in ENDED

    @property
    def status_display(self) -> str:
        """The word for people."""
        return _DISPLAY.get(self.status, self.status)


class Executions(Scoped[Execution]):
    """All executions."""

    def __init__(self) -> None:
        super().__init__("Execution")

    def active(self, *, tenant: str | None = None, deployment_id: str | None = None) -> list[Execution]:
        """What runs now: everywhere, or on one deployment."""
        return [
            execution
            for execution in self
            if execution.active
            and (
                deployment_id is None
                or (execution.deployment_id, execution.tenant) == (deployment_id, tenant)
            )
        ]

    def alone(self) -> list[Execution]:
        """What runs now and has the whole manager for itself."""
        return [execution for execution in self.active() if execution.alone]
