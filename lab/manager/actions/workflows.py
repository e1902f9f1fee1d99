"""Starting a workflow on a deployment: which there are, which parameters they take, what they do."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.manager.dsl import Plan, builtin_workflows
from lab.manager.engine import Effect, Run, Script
from lab.manager.exceptions import (
    EnvironmentInProgressError,
    EnvironmentPendingError,
    IllegalExecutionParametersError,
    ManagerError,
    NonexistentWorkflowError,
)
from lab.manager.generation import parse_version
from lab.manager.stores.deployments import Deployment
from lab.manager.stores.executions import Execution

if TYPE_CHECKING:
    from lab.manager.models import Manager

CREATE_ENVIRONMENT = "create_deployment_environment"
DELETE_ENVIRONMENT = "delete_deployment_environment"


@dataclass(frozen=True)
class StartRequest:
    """What `POST /executions` asks for, as far as this version knows it."""

    deployment: Deployment
    workflow_id: str
    user: str
    parameters: dict[str, Any] = field(default_factory=dict)
    allow_custom_parameters: bool = False
    force: bool = False
    queue: bool = False
    dry_run: bool = False
    scheduled_for: float | None = None


def workflows_of(manager: Manager, plan: Plan) -> dict[str, dict[str, Any]]:
    """The workflows that a deployment has: name -> parameters."""
    return {**builtin_workflows(parse_version(manager.version)), **plan.workflows}


def start(manager: Manager, request: StartRequest) -> Execution:
    """Let a workflow begin, or wait in the queue.

    Raises:
        NonexistentWorkflowError: The deployment has none of this name.
        EnvironmentPendingError, EnvironmentInProgressError: The deployment is still being made.
        IllegalExecutionParametersError: Parameters are missing, or unknown.
        ExistingRunningExecutionError: Something runs, and it is neither forced nor queued.
    """
    deployment, now = request.deployment, manager.now()
    check_environment(manager, deployment)
    workflows = workflows_of(manager, deployment.plan)
    if request.workflow_id not in workflows:
        raise NonexistentWorkflowError(
            f"Workflow {request.workflow_id} does not exist in deployment {deployment.id}. "
            f"Existing workflows: {', '.join(workflows)}"
        )
    parameters = _parameters(request, workflows[request.workflow_id])
    execution = Execution(
        str(uuid.uuid4()),
        deployment.tenant,
        deployment.visibility,
        request.user,
        now,
        workflow_id=request.workflow_id,
        deployment_id=deployment.id,
        blueprint_id=deployment.blueprint_id,
        parameters=parameters,
        is_dry_run=request.dry_run,
        force=request.force,
        scheduled_for=request.scheduled_for,
    )
    settings, engine = manager.settings, manager.database.engine
    run = Run(
        settings.execution_pending_seconds,
        settings.execution_seconds,
        effect=_effect(deployment, request.workflow_id),
        cancel_seconds=settings.cancel_seconds,
    )
    blocked = bool(engine.blocking(execution))
    engine.apply_script(
        run,
        Script.of_blueprint(request.workflow_id, deployment.plan.script.get(request.workflow_id)),
    )
    # In generation 5 what comes while the whole manager is busy waits without being told to.
    queue = request.queue or (manager.traits.generation >= 5 and bool(manager.database.executions.alone()))
    if not blocked or queue:
        engine.apply_script(run, engine.script_for(request.workflow_id, deployment.id))
    return engine.submit(execution, run, now=now, queue=queue)


def check_environment(manager: Manager, deployment: Deployment) -> None:
    """Refuse work on a deployment whose environment is not there yet.

    Raises:
        EnvironmentPendingError, EnvironmentInProgressError: It will be.
        ManagerError: It never will: its creation failed.
    """
    for execution in manager.database.executions:
        if (
            execution.workflow_id != CREATE_ENVIRONMENT
            or execution.deployment_id != deployment.id
            or execution.tenant != deployment.tenant
            or execution.created_at < deployment.created_at
        ):
            continue
        if execution.status in ("pending", "queued"):
            raise EnvironmentPendingError(
                f"Deployment environment creation is still pending, try again in a minute. "
                f"[deployment_id={deployment.id},execution_id={execution.id}]"
            )
        if execution.status == "started":
            raise EnvironmentInProgressError(
                f"Deployment environment creation is still in progress, try again in a minute. "
                f"[deployment_id={deployment.id},execution_id={execution.id}]"
            )
        if execution.status == "failed":
            raise ManagerError(
                f"Can't launch executions since environment creation for deployment "
                f"{deployment.id} has failed: {execution.error}"
            )


def _parameters(request: StartRequest, schema: dict[str, Any]) -> dict[str, Any]:
    given = request.parameters
    missing = [
        name
        for name, declared in schema.items()
        if name not in given and not (isinstance(declared, dict) and "default" in declared)
    ]
    if missing:
        raise IllegalExecutionParametersError(
            f'Workflow "{request.workflow_id}" must be provided with the following parameters '
            f"to execute: {','.join(missing)}"
        )
    custom = [name for name in given if name not in schema]
    if custom and not request.allow_custom_parameters:
        raise IllegalExecutionParametersError(
            f'Workflow "{request.workflow_id}" does not have the following parameters declared: '
            f"{','.join(custom)}. Remove these parameters or use the flag for allowing custom "
            f"parameters"
        )
    defaults = {
        name: declared["default"]
        for name, declared in schema.items()
        if isinstance(declared, dict) and "default" in declared
    }
    return {**defaults, **given}


def _effect(deployment: Deployment, workflow_id: str) -> Effect | None:
    states = {"install": "started", "uninstall": "deleted"}
    if workflow_id not in states:
        return None

    def effect(_: float) -> str | None:
        deployment.set_states(states[workflow_id])
        return None

    return effect
