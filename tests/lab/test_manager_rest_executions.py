"""The lab's managers as the real REST client sees them: deployments, executions, events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloudify_rest_client.exceptions import (
    DeploymentEnvironmentCreationInProgressError,
    DeploymentEnvironmentCreationPendingError,
    MissingRequiredDeploymentInputError,
    NotModifiedError,
    UnknownDeploymentInputError,
)

from lab.manager import samples
from lab.manager.engine import Script
from lab.manager.host import Settings
from lab.manager.standalone import StandaloneManager
from tests.lab.rest import connect, manager_of, refused, upload_blueprint

# The real client forgets to close the archives it uploads.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SETTINGS = Settings(
    environment_pending_seconds=1,
    environment_seconds=2,
    execution_pending_seconds=1,
    execution_seconds=10,
    cancel_seconds=3,
)
INPUTS = """\
tosca_definitions_version: cloudify_dsl_1_3
imports: [cloudify/types/types.yaml]
inputs:
  must: {}
  number: {type: integer, default: 1}
node_templates:
  host: {type: my.Host, properties: {password: {get_secret: pass}}}
node_types:
  my.Host: {derived_from: cloudify.nodes.Compute}
workflows:
  own:
    mapping: own.own
    parameters: {needed: {}, optional: {default: 5}}
dsl_definitions:
  lab:
    own: {error: the moon is full, events: [first, second], logs: [a line]}
"""


@pytest.fixture(params=("4.3.0", "4.6.0", "7.0.5"))
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StandaloneManager]:
    with manager_of(tmp_path / "m", request.param, SETTINGS) as running:
        yield running


@pytest.fixture
def client(manager: StandaloneManager, tmp_path: Path) -> Any:
    made = connect(manager)
    upload_blueprint(made, samples.make_blueprint(tmp_path), "sample")
    upload_blueprint(made, samples.make_blueprint(tmp_path, "inputs", INPUTS), "inputs")
    return made


@pytest.fixture
def deployment(client: Any, manager: StandaloneManager) -> str:
    client.deployments.create("sample", "dep")
    manager.advance(5)
    return "dep"


def test_inputs_are_checked(client: Any, manager: StandaloneManager) -> None:
    create = client.deployments.create
    with pytest.raises(MissingRequiredDeploymentInputError):
        create("inputs", "dep")
    with pytest.raises(UnknownDeploymentInputError):
        create("inputs", "dep", {"must": 1, "other": 2})
    with refused(400, "deployment_creation_error"):
        create("inputs", "dep", {"must": 1, "number": "2"})
    with refused(400, "unknown_deployment_secret_error"):
        create("inputs", "dep", {"must": 1})
    with refused(404, "not_found_error"):
        create("nothing", "dep")
    client.secrets.create("pass", "word")
    deployment = create("inputs", "dep", {"must": 1}, visibility="private")
    assert deployment.inputs == {"must": 1, "number": 1}
    assert deployment["visibility"] == "private"
    with refused(409, "conflict_error"):
        create("inputs", "dep", {"must": 1})


def test_a_workflow_has_to_wait_for_the_environment(client: Any, manager: StandaloneManager) -> None:
    client.deployments.create("sample", "dep")
    with pytest.raises(DeploymentEnvironmentCreationPendingError):
        client.executions.start("dep", "install")
    manager.advance(1)
    with pytest.raises(DeploymentEnvironmentCreationInProgressError):
        client.executions.start("dep", "install")
    manager.advance(2)
    client.executions.start("dep", "install")


def test_an_execution_takes_its_time_and_changes_the_instances(
    client: Any, manager: StandaloneManager, deployment: str
) -> None:
    execution = client.executions.start(deployment, "install")
    assert execution.status == "pending"
    manager.advance(1)
    assert client.executions.get(execution.id).status == "started"
    assert {i.state for i in client.node_instances.list(deployment_id=deployment)} == {"uninitialized"}
    manager.advance(10)
    ended = client.executions.get(execution.id)
    assert ended.status == "terminated"
    assert {i.state for i in client.node_instances.list(deployment_id=deployment)} == {"started"}
    if manager.version == "4.3.0":
        assert "ended_at" not in ended
        assert "status_display" not in ended
    else:
        assert ended.status_display == "completed"
        assert ended.ended_at > ended.started_at
    assert [e.workflow_id for e in client.executions.list(deployment_id=deployment)] == [
        "create_deployment_environment",
        "install",
    ]


def test_what_a_workflow_does_not_know_is_refused(client: Any, manager: StandaloneManager) -> None:
    client.secrets.create("pass", "word")
    client.deployments.create("inputs", "dep", {"must": 1})
    manager.advance(5)
    start = client.executions.start
    with refused(400, "nonexistent_workflow_error"):
        start("dep", "nothing")
    with refused(404, "not_found_error"):
        start("nothing", "install")
    with refused(400, "illegal_execution_parameters_error", "needed"):
        start("dep", "own")
    with refused(400, "illegal_execution_parameters_error", "custom"):
        start("dep", "own", {"needed": 1, "custom": 2})
    execution = start("dep", "own", {"needed": 1, "custom": 2}, allow_custom_parameters=True)
    assert execution.parameters == {"needed": 1, "optional": 5, "custom": 2}


def test_a_blueprint_tells_how_its_workflow_ends(client: Any, manager: StandaloneManager) -> None:
    client.secrets.create("pass", "word")
    client.deployments.create("inputs", "dep", {"must": 1})
    manager.advance(5)
    execution = client.executions.start("dep", "own", {"needed": 1})
    manager.advance(5)
    early = client.events.list(execution_id=execution.id, include_logs=False)
    assert [e["message"] for e in early][-1] == "first"
    manager.advance(10)
    ended = client.executions.get(execution.id)
    assert (ended.status, ended.error) == ("failed", "the moon is full")
    events = client.events.list(
        execution_id=execution.id, include_logs=True, _offset=1, _size=3, sort="timestamp"
    )
    assert [e["message"] for e in events] == ["first", "second", "a line"]
    assert [e["type"] for e in events] == ["cloudify_event", "cloudify_event", "cloudify_log"]
    assert events.metadata.pagination.total == 5
    last = client.events.list(execution_id=execution.id, _size=1, sort="-timestamp")
    assert last[0]["event_type"] == "workflow_failed"


def test_a_test_tells_how_a_workflow_ends(client: Any, manager: StandaloneManager, deployment: str) -> None:
    manager.script(Script("install", error="no more disks", seconds=1))
    first = client.executions.start(deployment, "install")
    manager.advance(2)
    assert client.executions.get(first.id).error == "no more disks"
    second = client.executions.start(deployment, "install")
    manager.advance(11)
    assert client.executions.get(second.id).status == "terminated"


def test_a_second_execution_is_refused_forced_or_queued(
    client: Any, manager: StandaloneManager, deployment: str
) -> None:
    start = client.executions.start
    first = start(deployment, "install")
    with refused(400, "existing_running_execution_error"):
        start(deployment, "install")
    if manager.version == "4.3.0":
        with refused(400, "existing_running_execution_error"):
            start(deployment, "install", queue=True)
    else:
        queued = start(deployment, "install", queue=True)
        assert queued.status == "queued"
        manager.advance(11)
        assert client.executions.get(first.id).status == "terminated"
        manager.advance(1)
        assert client.executions.get(queued.id).status == "started"
    forced = start(deployment, "install", force=True)
    assert forced.status == "pending"


def test_executions_are_cancelled(client: Any, manager: StandaloneManager, deployment: str) -> None:
    executions = client.executions
    execution = executions.start(deployment, "install")
    manager.advance(1)
    assert executions.cancel(execution.id).status == "cancelling"
    manager.advance(3)
    assert executions.get(execution.id).status == "cancelled"
    with refused(400, "illegal_action_error"):
        executions.cancel(execution.id)
    pending = executions.start(deployment, "install")
    assert executions.cancel(pending.id, force=True).status == "cancelled"
    third = executions.start(deployment, "install")
    if manager.version == "4.3.0":
        with refused(400, "bad_parameters_error"):
            executions.cancel(third.id, kill=True)
    else:
        manager.advance(1)
        assert executions.cancel(third.id, kill=True).status == "kill_cancelling"


def test_4_3_runs_a_dry_run_for_real(client: Any, manager: StandaloneManager, deployment: str) -> None:
    client.executions.start(deployment, "install", dry_run=True)
    manager.advance(20)
    states = {i.state for i in client.node_instances.list(deployment_id=deployment)}
    assert states == ({"started"} if manager.version == "4.3.0" else {"uninitialized"})


def test_a_deployment_with_live_nodes_is_deleted_only_when_told(
    client: Any, manager: StandaloneManager, deployment: str
) -> None:
    client.executions.start(deployment, "install")
    with refused(400, "dependent_exists_error", "running executions"):
        client.deployments.delete(deployment)
    manager.advance(20)
    with refused(400, "dependent_exists_error", "live nodes"):
        client.deployments.delete(deployment)
    if manager.version.startswith("4"):
        with refused(400, "dependent_exists_error"):
            client.deployments.delete(deployment, force=True)
        client.deployments.api.delete(f"/deployments/{deployment}", params={"ignore_live_nodes": "true"})
    else:
        client.deployments.delete(deployment, force=True)
    if manager.version != "4.3.0":
        client.deployments.get(deployment)
        manager.advance(5)
    with refused(404, "not_found_error"):
        client.deployments.get(deployment)


def test_nodes_know_their_types(client: Any, manager: StandaloneManager) -> None:
    client.secrets.create("pass", "word")
    client.deployments.create("inputs", "dep", {"must": 1})
    node = client.nodes.list(deployment_id="dep")[0]
    assert node["type_hierarchy"] == ["cloudify.nodes.Root", "cloudify.nodes.Compute", "my.Host"]


def test_outputs_are_read(client: Any, deployment: str) -> None:
    assert client.deployments.outputs.get(deployment).outputs == {"size": 1}


def test_maintenance_mode_waits_for_executions_and_then_refuses(
    client: Any, manager: StandaloneManager, deployment: str
) -> None:
    client.executions.start(deployment, "install")
    assert client.maintenance_mode.activate().status == "activating"
    with refused(503, "entering_maintenance_mode"):
        client.executions.start(deployment, "install", force=True)
    client.secrets.list()
    manager.advance(20)
    assert client.maintenance_mode.status().status == "activated"
    with refused(503, "maintenance_mode_active"):
        client.secrets.list()
    with pytest.raises(NotModifiedError):
        client.maintenance_mode.activate()
    client.maintenance_mode.deactivate()
    client.secrets.list()
