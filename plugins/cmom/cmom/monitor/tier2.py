"""What the monitor asks of Tier 2, whichever of its two kinds it is.

`tier2_rest.RestTier2` asks a manager, `tier2_local.LocalProfile` the files of the local profile of ``cfy``.
All functions block, and are called in threads.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from cmom.clients.tier2 import Deployments, Instance, Node

DEFAULT_TENANT = "default_tenant"


@dataclass(frozen=True, order=True)
class ClusterKey:
    """Which deployment."""

    tenant: str
    deployment_id: str

    def __str__(self) -> str:
        if self.tenant in ("", DEFAULT_TENANT):
            return self.deployment_id
        return f"{self.tenant}/{self.deployment_id}"


@dataclass(frozen=True)
class Deployment:
    """A deployment that carries a cluster, as Tier 2 has it.

    Attributes:
        groups: As the blueprint declares them, intrinsic functions left as they are.
        inputs: Of the deployment; secrets may be among them.
        nodes: Its clusters and managers.
        instances: Of those nodes.
    """

    key: ClusterKey
    groups: Mapping[str, Any]
    nodes: tuple[Node, ...]
    instances: tuple[Instance, ...]
    inputs: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Inventory:
    """What Tier 2 has.

    Attributes:
        unread: Deployments that are there but cannot be read just now, and why. They cost the others nothing.
    """

    deployments: tuple[Deployment, ...]
    unread: Mapping[ClusterKey, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Execution:
    """An execution, running or ended.

    Attributes:
        created_at: When it was started; None when Tier 2 does not tell.
    """

    id: str
    workflow_id: str
    parameters: Mapping[str, Any]
    created_at: datetime | None


@dataclass(frozen=True)
class Running:
    """What runs on a deployment, in words; empty for nothing.

    Attributes:
        heal: A run of the workflow in question.
        other: Anything else.
    """

    heal: str = ""
    other: str = ""


@dataclass(frozen=True)
class Order:
    """A workflow that is to be started."""

    workflow_id: str
    parameters: Mapping[str, Any]
    force: bool = False
    allow_custom_parameters: bool = False


@dataclass(frozen=True)
class Ticket:
    """A workflow that was started.

    Attributes:
        id: Of the execution, or of the process.
        place: Where to follow it, for people.
    """

    key: ClusterKey
    id: str
    place: str


class Outcome(str, enum.Enum):
    """How a workflow ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StartRefused(Exception):  # noqa: N818 - an answer, not a fault
    """Tier 2 does not start a workflow now: something else runs, another monitor was faster, ...

    Attributes:
        reason: One word for it.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Tier2(Protocol):
    """A Tier 2. Every method raises CmomError when it does not answer or refuses."""

    def read(self) -> Inventory:
        """Return all deployments that carry a cluster, as they are now."""

    def deployments(self, tenant: str) -> Deployments:
        """Return what tells more of a deployment, functions evaluated."""

    def executions(self, key: ClusterKey) -> tuple[Execution, ...]:
        """List a deployment's latest executions, the newest first."""

    def running(self, key: ClusterKey, workflow_id: str) -> Running:
        """Tell what runs on a deployment.

        Args:
            key: Which deployment.
            workflow_id: What counts as a heal.
        """

    def start(self, key: ClusterKey, order: Order) -> Ticket:
        """Start a workflow and return at once.

        Raises:
            StartRefused: Not now.
        """

    def outcome(self, ticket: Ticket) -> Outcome | None:
        """Tell how a workflow ended; None while it runs."""

    def close(self) -> None:
        """Let go of connections and of what was started, which goes on."""
