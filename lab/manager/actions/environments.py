"""Deployments: making them, and deleting them, each with an execution of its own."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.manager.actions.workflows import CREATE_ENVIRONMENT, DELETE_ENVIRONMENT
from lab.manager.engine import Run, Script
from lab.manager.exceptions import DependentExistsError, ManagerError
from lab.manager.stores.blueprints import Blueprint
from lab.manager.stores.deployments import Deployment, make_instances, resolve_inputs
from lab.manager.stores.executions import Execution
from lab.manager.stores.scoped import check_visibility
from lab.manager.stores.tenants import check_identifier

if TYPE_CHECKING:
    from lab.manager.models import Manager


@dataclass(frozen=True)
class CreateRequest:
    """What `PUT /deployments/ID` asks for."""

    deployment_id: str
    blueprint: Blueprint
    tenant: str
    user: str
    inputs: dict[str, Any]
    visibility: object = "tenant"
    skip_plugins_validation: bool = False


def create(manager: Manager, request: CreateRequest) -> Deployment:
    """Make a deployment; its environment follows in an execution.

    Raises:
        ConflictError: It exists.
        MissingRequiredInputError, UnknownInputError, DeploymentCreationError: The inputs.
        ManagerError: A plugin or a secret that it needs is not there.
        ExistingRunningExecutionError: The whole manager is busy (generation 4).
    """
    database, now, plan = manager.database, manager.now(), request.blueprint.plan
    check_identifier(request.deployment_id, "deployment_id")
    visibility = check_visibility(request.visibility)
    database.deployments.check_free(request.tenant, request.deployment_id, visibility)
    inputs = resolve_inputs(plan, request.inputs)
    _check_secrets(manager, request)
    plugin_ids = _plugins(manager, request)
    deployment = Deployment(
        request.deployment_id,
        request.tenant,
        visibility,
        request.user,
        now,
        blueprint_id=request.blueprint.id,
        inputs=inputs,
        plan=plan,
        plugin_ids=plugin_ids,
        instances=make_instances(plan, f"{request.tenant}/{request.deployment_id}/{now}"),
    )
    settings, engine = manager.settings, database.engine
    run = Run(settings.environment_pending_seconds, settings.environment_seconds)
    engine.apply_script(run, Script.of_blueprint(CREATE_ENVIRONMENT, plan.script.get(CREATE_ENVIRONMENT)))
    engine.apply_script(run, engine.script_for(CREATE_ENVIRONMENT, deployment.id))
    execution = _execution(deployment, CREATE_ENVIRONMENT, request.user, now)
    engine.submit(execution, run, now=now, queue=manager.traits.environments_first)
    return database.deployments.add(deployment)


def delete(manager: Manager, deployment: Deployment, *, user: str, ignore_live: bool) -> None:
    """Delete a deployment; on 4.6 and later it is gone when the execution for it has ended.

    Raises:
        DependentExistsError: Something runs on it, or it has live nodes.
    """
    database, now = manager.database, manager.now()
    running = database.executions.active(tenant=deployment.tenant, deployment_id=deployment.id)
    if running:
        raise DependentExistsError(
            f"Can't delete deployment {deployment.id} - There are running executions for this "
            f"deployment. Running executions ids: {','.join(e.id for e in running)}"
        )
    live = deployment.live_instances
    if live and not ignore_live:
        raise DependentExistsError(
            f"Can't delete deployment {deployment.id} - There are live nodes for this "
            f"deployment. Live nodes ids: {','.join(i.id for i in live)}"
        )
    execution = _execution(deployment, DELETE_ENVIRONMENT, user, now)

    def effect(_: float) -> str | None:
        database.deployments.discard(deployment)
        return None

    run = Run(0.0, manager.settings.environment_seconds, effect=effect)
    if manager.traits.deletes_deployments_first:
        run.effect = None
        database.deployments.discard(deployment)
    database.engine.submit(execution, run, now=now, queue=True)


def _execution(deployment: Deployment, workflow_id: str, user: str, now: float) -> Execution:
    return Execution(
        str(uuid.uuid4()),
        deployment.tenant,
        deployment.visibility,
        user,
        now,
        workflow_id=workflow_id,
        deployment_id=deployment.id,
        blueprint_id=deployment.blueprint_id,
        parameters={"deployment_id": deployment.id},
        force=True,
    )


def _check_secrets(manager: Manager, request: CreateRequest) -> None:
    missing = [
        key
        for key in request.blueprint.plan.secrets
        if manager.database.secrets.find(request.tenant, key) is None
    ]
    if missing:
        raise ManagerError(
            f"Required secrets: [{', '.join(missing)}] don't exist in this tenant",
            status=400,
            code="unknown_deployment_secret_error",
        )


def _plugins(manager: Manager, request: CreateRequest) -> list[str]:
    """The ids of the plugins that the deployment uses."""
    used: list[str] = []
    for name, plugin in request.blueprint.plan.plugins.items():
        package = plugin.get("package_name")
        if not package or plugin.get("install") is False:
            continue
        found = manager.database.plugins.named(request.tenant, str(package), plugin.get("package_version"))
        if found is not None:
            used.append(found.id)
        elif (
            plugin.get("executor") == "central_deployment_agent"
            and not plugin.get("source")
            and not request.skip_plugins_validation
        ):
            raise ManagerError(
                f"Required plugin {package}, version {plugin.get('package_version')} is not "
                f"installed on the manager (plugin `{name}`)",
                status=400,
                code="deployment_plugin_not_found",
            )
    return used
