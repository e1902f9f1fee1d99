"""Plain data: what is asked of deployments, and what came back."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CLUSTER_TYPE = "cloudify.nodes.CloudifyTier1Cluster"
META_TYPE = "cloudify.nodes.MetaManager"


class Outcome(str, enum.Enum):
    """What became of a workflow on one deployment.

    SUCCEEDED: It ended well.
    WAITING: Its turn has not come: of ours, or in the queue of Tier 2.
    RUNNING: It runs, and has time left.
    MISSING: Tier 2 has no such deployment.
    NO_CLUSTER: The deployment has no Tier 1 cluster in it.
    BUSY: Another workflow runs on the deployment.
    NOT_STARTED: Tier 2 did not start it, and said why.
    FAILED: It failed; its error is told.
    CANCELLED: Somebody cancelled it.
    TIMED_OUT: It did not end in its time.
    HELD_BACK: It was not started, because others before it failed.
    """

    SUCCEEDED = "succeeded"
    WAITING = "waiting"
    RUNNING = "running"
    MISSING = "missing"
    NO_CLUSTER = "no_cluster"
    BUSY = "busy"
    NOT_STARTED = "not_started"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    HELD_BACK = "held_back"


@dataclass(frozen=True)
class Cluster:
    """The cluster in a deployment, as its own operations left it.

    Attributes:
        properties: The runtime properties of the cluster's node instance.
    """

    deployment_id: str
    properties: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Order:
    """A workflow to run.

    Attributes:
        only_looks: It changes nothing: one that is too slow may be ended, one that runs already be waited
            for.
    """

    workflow_id: str
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    allow_custom_parameters: bool = False
    only_looks: bool = False


@dataclass(frozen=True)
class Run:
    """A workflow that was started.

    Attributes:
        id: Of the execution, or of the process.
        place: Where to look it up, for people.
    """

    deployment_id: str
    id: str
    place: str


@dataclass(frozen=True)
class State:
    """How a run is: WAITING, RUNNING, SUCCEEDED, FAILED or CANCELLED.

    Attributes:
        error: Why it failed; empty when it did not.
    """

    outcome: Outcome
    error: str = ""


@dataclass(frozen=True)
class Result:
    """What became of one deployment.

    Attributes:
        detail: Why, for people; empty when it succeeded.
        place: Where the run can be looked up; empty when there is none.
        cluster: What the cluster's node instance holds after it; None when it was not read.
    """

    deployment_id: str
    outcome: Outcome
    detail: str = ""
    place: str = ""
    cluster: Cluster | None = None
