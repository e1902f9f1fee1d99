"""Events and logs of executions; each is seen once its time has come."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from lab.manager.transitions import timestamp


@dataclass
class Event:
    """An event, or with `is_log` a line of a log; `at` is in seconds since the epoch."""

    at: float
    execution_id: str
    tenant: str
    message: str
    is_log: bool = False
    event_type: str | None = None
    deployment_id: str | None = None
    blueprint_id: str | None = None
    workflow_id: str | None = None
    node_instance_id: str | None = None
    node_name: str | None = None
    operation: str | None = None
    level: str = "info"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def wire(self) -> dict[str, Any]:
        """As `/events` gives it."""
        moment = timestamp(self.at)
        return {
            "_storage_id": self.id,
            "type": "cloudify_log" if self.is_log else "cloudify_event",
            "timestamp": moment,
            "reported_timestamp": moment,
            "execution_id": self.execution_id,
            "deployment_id": self.deployment_id,
            "blueprint_id": self.blueprint_id,
            "workflow_id": self.workflow_id,
            "node_name": self.node_name,
            "node_instance_id": self.node_instance_id,
            "operation": self.operation,
            "message": self.message,
            "event_type": None if self.is_log else self.event_type,
            "level": self.level if self.is_log else None,
            "logger": "ctx.lab" if self.is_log else None,
            "error_causes": None,
        }


@dataclass
class Events:
    """Everything that was or is to be reported."""

    all: list[Event] = field(default_factory=list)

    def seen(self, tenant: str, now: float, *, everywhere: bool = False) -> list[Event]:
        """What has happened until `now`, oldest first."""
        found = [e for e in self.all if e.at <= now and (everywhere or e.tenant == tenant)]
        return sorted(found, key=lambda event: event.at)

    def withdraw(self, execution_id: str, now: float) -> None:
        """Take back what an execution was still going to report."""
        self.all = [e for e in self.all if e.execution_id != execution_id or e.at <= now]
