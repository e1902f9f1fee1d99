"""Running workflows on Tier 1: events passed on, refused, failed, out of time, cancelled, followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cmom.clients.cluster_api import ClusterApi
from cmom.clients.executions import Execution
from cmom.errors import ActionRequired, InvalidInputs, ManagerRefused, ManagerUnreachable
from cmom.services.execution_request import ExecutionRequest, parse_request
from cmom.services.executions import ExecutionCancelled, ExecutionFailed, ExecutionGoesOn, WorkflowRunner
from cmom.services.tier1 import Tier1
from lab.manager.engine import Script
from lab.manager.host import Settings
from lab.manager.samples import make_blueprint
from tests.lab.filled import VERSIONS, Filled

MINUTE = Settings(execution_seconds=60.0, cancel_seconds=10.0)


@pytest.fixture(params=(*VERSIONS, "5.1.4"))
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Filled]:
    """A manager of each version in turn, on which a workflow takes a minute, with the deployment `shop`."""
    with Filled(tmp_path, request.param, MINUTE) as found:
        found.fill(
            {
                "blueprints": [{"path": str(make_blueprint(tmp_path, "shop"))}],
                "deployments": [{"blueprint_id": "shop"}],
            }
        )
        found.log.lines.clear()
        yield found


class Runs:
    """Runs workflows and remembers what was remembered."""

    def __init__(
        self,
        filled: Filled,
        cancelled: Callable[[], bool] = lambda: False,
        tier1: Tier1 | None = None,
    ) -> None:
        self.remembered: list[Execution] = []
        self.runner = WorkflowRunner(
            tier1 or filled.tier1,
            filled.relay,
            remember=self.remembered.append,
            cancelled=cancelled,
            clock=filled.clock,
        )

    def statuses(self) -> list[str]:
        """What was remembered, once each."""
        return list(dict.fromkeys(execution.status for execution in self.remembered))


def install(**more: Any) -> ExecutionRequest:
    return parse_request({"workflow_id": "install", "deployment_id": "shop", **more})


def test_a_workflow_runs_to_its_end_and_its_events_are_passed_on(filled: Filled) -> None:
    filled.manager.script(Script("install", events=("creating", "starting"), logs=("a log line",)))
    runs = Runs(filled)
    execution = runs.runner.run(install())
    assert execution.status == "terminated"
    assert runs.remembered[-1] == execution
    assert "started" in runs.statuses()
    text = "\n".join(filled.log.lines)
    for line in ("creating", "starting", "a log line"):
        assert text.count(line) == 1, text
    assert text.index("creating") < text.index("starting")


def test_logs_are_left_out_when_they_are_not_wanted(filled: Filled) -> None:
    filled.manager.script(Script("install", events=("creating",), logs=("a log line",)))
    Runs(filled).runner.run(install(include_logs=False))
    text = "\n".join(filled.log.lines)
    assert "creating" in text
    assert "a log line" not in text


def test_more_events_than_come_at_once_are_all_passed_on_in_order(filled: Filled) -> None:
    names = tuple(f"event number {number:04d}" for number in range(700))
    filled.manager.script(Script("install", events=names))
    Runs(filled).runner.run(install())
    seen = [line[-len(names[0]) :] for line in filled.log.lines if "event number" in line]
    assert seen == list(names)


def test_a_workflow_that_fails_fails_with_its_error(filled: Filled) -> None:
    filled.manager.script(Script("install", error="the disk is full"))
    runs = Runs(filled)
    with pytest.raises(
        ExecutionFailed, match="Workflow install of deployment shop failed on Tier 1"
    ) as caught:
        runs.runner.run(install())
    assert "the disk is full" in str(caught.value)
    assert (runs.remembered[-1].status, runs.remembered[-1].error) == ("failed", "the disk is full")


def test_one_that_takes_too_long_goes_on_and_the_message_says_how_to_follow_it(filled: Filled) -> None:
    runs = Runs(filled)
    with pytest.raises(ExecutionGoesOn) as caught:
        runs.runner.run(install(timeout=20))
    execution_id = runs.remembered[-1].id
    assert f"cfy executions get {execution_id} -t default_tenant" in str(caught.value)
    assert "within 20 s" in str(caught.value)
    assert filled.client.executions.get(execution_id).status == "started"


def test_after_a_crash_the_same_execution_is_followed(filled: Filled) -> None:
    runs = Runs(filled)
    with pytest.raises(ExecutionGoesOn):
        runs.runner.run(install(timeout=10))
    again = Runs(filled)
    assert again.runner.run(install(), runs.remembered[-1].id).status == "terminated"
    started = [found for found in filled.client.executions.list() if found.workflow_id == "install"]
    assert len(started) == 1


def test_when_we_are_cancelled_the_execution_on_tier_1_is(filled: Filled) -> None:
    runs = Runs(filled, cancelled=lambda: filled.clock.monotonic() > began + 15)
    began = filled.clock.monotonic()
    with pytest.raises(ExecutionCancelled, match="was cancelled"):
        runs.runner.run(install())
    assert runs.remembered[-1].status == "cancelled"
    assert filled.client.executions.get(runs.remembered[-1].id).status == "cancelled"
    assert filled.clock.monotonic() - began < 60.0


def test_one_that_does_not_heed_being_cancelled_is_left_with_that_message(tmp_path: Path) -> None:
    with Filled(tmp_path, "4.6.0", Settings(execution_seconds=60.0, cancel_seconds=600.0)) as filled:
        filled.fill(
            {
                "blueprints": [{"path": str(make_blueprint(tmp_path, "shop"))}],
                "deployments": [{"blueprint_id": "shop"}],
            }
        )
        runs = Runs(filled, cancelled=lambda: True)
        with pytest.raises(ExecutionCancelled, match="is still cancelling after 60 s"):
            runs.runner.run(install())


def test_a_second_run_on_a_deployment_is_refused_unless_forced(filled: Filled) -> None:
    filled.client.executions.start("shop", "install")
    with pytest.raises(ManagerRefused, match="existing_running_execution_error"):
        Runs(filled).runner.run(install())
    assert Runs(filled).runner.run(install(force=True)).status == "terminated"


def test_queue_waits_for_its_turn_where_the_manager_can_and_is_refused_where_it_cannot(
    filled: Filled,
) -> None:
    first = filled.client.executions.start("shop", "install")
    runs = Runs(filled)
    request = parse_request({"workflow_id": "update", "deployment_id": "shop", "queue": True})
    if str(filled.version).startswith("4.3"):
        with pytest.raises(ActionRequired, match=r"managers of version 4\.3\.0 cannot queue"):
            runs.runner.run(request)
        assert "update" not in {found.workflow_id for found in filled.client.executions.list()}
        return
    assert runs.runner.run(request).status == "terminated"
    assert "queued" in runs.statuses()
    assert filled.client.executions.get(first.id).status == "terminated"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"workflow_id": "no-such"}, "nonexistent_workflow_error"),
        ({"parameters": {"colour": "red"}}, "illegal_execution_parameters_error"),
        ({"deployment_id": "missing"}, "not_found_error"),
        ({"tenant_name": "nowhere"}, "forbidden_error"),
    ],
)
def test_what_the_manager_does_not_run_is_refused_with_its_word(
    filled: Filled, more: dict[str, Any], code: str
) -> None:
    with pytest.raises(ManagerRefused, match=code):
        Runs(filled).runner.run(install(**more))


def test_custom_parameters_are_passed_when_they_are_allowed(filled: Filled, tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text("colour: red\n")
    execution = Runs(filled).runner.run(install(parameters=str(file), allow_custom_parameters=True))
    assert filled.client.executions.get(execution.id).parameters["colour"] == "red"


def test_it_runs_in_the_tenant_of_the_deployment(filled: Filled, tmp_path: Path) -> None:
    filled.fill(
        {
            "tenants": ["blue"],
            "blueprints": [{"path": str(make_blueprint(tmp_path, "store")), "tenant": "blue"}],
            "deployments": [{"blueprint_id": "store", "tenant": "blue"}],
        }
    )
    execution = Runs(filled).runner.run(install(deployment_id="store", tenant_name="blue"))
    assert filled.client_for("blue").executions.get(execution.id).deployment_id == "store"


def test_a_start_too_early_after_the_deployment_is_tried_again(tmp_path: Path) -> None:
    settings = Settings(environment_pending_seconds=10.0, environment_seconds=20.0)
    with Filled(tmp_path, "4.6.0", settings) as filled:
        filled.fill({"blueprints": [{"path": str(make_blueprint(tmp_path, "shop"))}]})
        filled.client.deployments.create("shop", "shop")
        assert Runs(filled).runner.run(install()).status == "terminated"


class LostAnswer(ClusterApi):
    """A client whose connection breaks when the manager has started a workflow, once."""

    lost = False

    def call(self, function: Any, doing: str, **arguments: Any) -> Any:
        answer = super().call(function, doing, **arguments)
        if doing.startswith("starting workflow") and not LostAnswer.lost:
            LostAnswer.lost = True
            raise ManagerUnreachable("the answer was lost")
        return answer


def test_an_execution_whose_start_was_not_answered_is_not_started_twice(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LostAnswer, "lost", False)
    with filled.connected(LostAnswer) as tier1:
        runs = Runs(filled, tier1=tier1)
        execution = runs.runner.run(install())
    assert LostAnswer.lost
    assert execution.status == "terminated"
    started = [found for found in filled.client.executions.list() if found.workflow_id == "install"]
    assert [found.id for found in started] == [execution.id]


def test_a_manager_that_does_not_answer_for_a_while_is_asked_again(filled: Filled) -> None:
    filled.manager.fault("500", path="/executions/", nth=3, times=5)
    assert Runs(filled).runner.run(install()).status == "terminated"


def test_all_that_is_wrong_with_a_request_is_said_at_once() -> None:
    with pytest.raises(InvalidInputs) as caught:
        parse_request(
            {
                "workflow_id": "",
                "deployment_id": None,
                "parameters": ["a"],
                "force": "yes",
                "timeout": 0,
                "tenant_name": "1 tenant",
            }
        )
    assert {fault.place for fault in caught.value.faults} == {
        "workflow_id",
        "deployment_id",
        "parameters",
        "force",
        "timeout",
        "tenant_name",
    }


def test_what_is_left_out_has_the_defaults_of_the_workflow() -> None:
    request = parse_request({"workflow_id": "install", "deployment_id": "shop", "tenant_name": ""})
    assert request == ExecutionRequest("shop", "install", "default_tenant", {}, timeout_seconds=900.0)
