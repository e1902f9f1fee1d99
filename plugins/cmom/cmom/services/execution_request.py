"""What is to be run on Tier 1, checked as a whole before anything is asked of a manager."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import Findings
from cmom.services.validation.resources import read_parameters
from cmom.services.wanted import DEFAULT_TENANT

DEFAULT_TIMEOUT_SECONDS = 900
_LONGEST_TIMEOUT_SECONDS = 30 * 24 * 3600
_PARAMETERS = (
    "workflow_id",
    "deployment_id",
    "parameters",
    "allow_custom_parameters",
    "force",
    "timeout",
    "include_logs",
    "queue",
    "tenant_name",
)


@dataclass(frozen=True)
class ExecutionRequest:
    """What to run, as ``cfy executions start`` takes it.

    Attributes:
        tenant: Of the deployment.
        parameters: Of the workflow; they may be secret.
        allow_custom_parameters: Also those that the workflow does not declare.
        force: Also while another execution of the deployment runs.
        queue: Let it wait for its turn when it cannot run now.
        timeout_seconds: How long to wait for its end.
        include_logs: Whether its log lines are wanted, and not only its events.
    """

    deployment_id: str
    workflow_id: str
    tenant: str
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    allow_custom_parameters: bool = False
    force: bool = False
    queue: bool = False
    timeout_seconds: float = 900.0
    include_logs: bool = True

    def __str__(self) -> str:
        return f"workflow {self.workflow_id} of deployment {self.deployment_id}"


def parse_request(raw: Mapping[str, Any]) -> ExecutionRequest:
    """Check the parameters of the workflow ``execute_workflow``.

    Args:
        raw: Names and values, as plugin.yaml describes them.

    Raises:
        InvalidInputs: With every fault and its place.
    """
    findings = Findings()
    fields = Fields(raw, "", findings, _PARAMETERS)
    workflow_id = fields.line("workflow_id", required=True)
    deployment_id = fields.line("deployment_id", required=True)
    tenant = fields.identifier("tenant_name", default=DEFAULT_TENANT)
    parameters = read_parameters(fields, "parameters")
    timeout = fields.integer(
        "timeout", default=DEFAULT_TIMEOUT_SECONDS, least=1, most=_LONGEST_TIMEOUT_SECONDS
    )
    flags = {
        name: fields.boolean(name) for name in ("allow_custom_parameters", "force", "include_logs", "queue")
    }
    findings.raise_faults()
    if workflow_id is None or deployment_id is None or tenant is None or timeout is None:
        raise AssertionError("parameters without a fault were not read")
    return ExecutionRequest(
        deployment_id,
        workflow_id,
        tenant,
        parameters or {},
        allow_custom_parameters=bool(flags["allow_custom_parameters"]),
        force=bool(flags["force"]),
        queue=bool(flags["queue"]),
        timeout_seconds=float(timeout),
        include_logs=flags["include_logs"] is not False,
    )
