"""Moving the agents of all deployments to the manager that their snapshot was restored on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cmom.errors import TryAgainLater
from cmom.services.agent_report import AgentOutcome, AgentRow, load_rows, summary, table
from cmom.services.agents import AgentMover, AgentTimes
from lab.manager.engine import Script
from tests.lab.filled import Filled
from tests.lab.given_upgrade import SETTINGS, NewManager, fill, snapshot_of

TRANSFERRED, SKIPPED, FAILED = AgentOutcome.TRANSFERRED, AgentOutcome.SKIPPED, AgentOutcome.FAILED
ALL = [
    ("blue", "bakery"),
    ("blue", "florist"),
    ("blue", "shop"),
    ("default_tenant", "bakery"),
    ("default_tenant", "florist"),
    ("default_tenant", "shop"),
]


@pytest.fixture(scope="module", params=["4.3.0", "4.6.0", "7.0.5"])
def snapshot(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    with Filled(tmp_path_factory.mktemp("old"), request.param, SETTINGS) as filled:
        fill(filled)
        return request.param, snapshot_of(filled).store.archive_path("mine")


@pytest.fixture
def new(snapshot: tuple[str, Path], tmp_path: Path) -> Iterator[NewManager]:
    version, path = snapshot
    with NewManager(tmp_path, version, replace(SETTINGS, restore_outage_seconds=0)) as manager:
        manager.restore(path)
        yield manager


class Moves:
    """Moves agents, and remembers what became of them."""

    def __init__(self, new: NewManager) -> None:
        self._new = new
        self.rows: tuple[AgentRow, ...] = ()
        self.told: list[int] = []

    def remember(self, rows: Sequence[AgentRow]) -> None:
        self.rows = load_rows([row.as_plain_data() for row in rows])
        self.told.append(len(rows))

    def move(self) -> dict[tuple[str, str], AgentOutcome]:
        mover = AgentMover(
            self._new.tier1,
            self._new.relay,
            remember=self.remember,
            times=AgentTimes(workers=3),
            clock=self._new.clock,
        )
        found = mover.move(self.rows)
        return {(row.tenant, row.deployment_id): row.outcome for row in found}


def moves_on(new: NewManager) -> list[tuple[str, str]]:
    """What the manager itself has run."""
    listed = new.client.executions.list(workflow_id="install_new_agents", _all_tenants=True)
    return sorted((one["tenant_name"], one.deployment_id) for one in listed)


def test_the_agents_of_each_deployment_are_moved_but_of_the_one_that_is_not_installed(
    new: NewManager,
) -> None:
    moves = Moves(new)

    outcomes = moves.move()

    assert list(outcomes) == ALL
    assert outcomes.pop(("blue", "florist")) is SKIPPED
    assert set(outcomes.values()) == {TRANSFERRED}
    assert moves_on(new) == [key for key in ALL if key != ("blue", "florist")]
    reasons = {row.deployment_id: row.reason for row in moves.rows if row.reason}
    assert "not started" in reasons["florist"]


def test_the_workflow_gets_the_parameters_that_its_manager_knows(new: NewManager) -> None:
    Moves(new).move()

    execution = new.client.executions.list(workflow_id="install_new_agents").items[0]
    asked = execution.parameters.get("install_agent_timeout")
    assert asked == (None if new.version.numbers < (4, 4) else 300)


def test_a_deployment_whose_agents_fail_keeps_no_other_from_being_moved(new: NewManager) -> None:
    new.manager.script(
        Script("install_new_agents", deployment_id="bakery", error="no route to 10.1.2.3", times=2)
    )
    moves = Moves(new)

    outcomes = moves.move()

    assert outcomes["blue", "bakery"] is outcomes["default_tenant", "bakery"] is FAILED
    assert outcomes["blue", "shop"] is outcomes["default_tenant", "florist"] is TRANSFERRED
    (row,) = [row for row in moves.rows if (row.tenant, row.deployment_id) == ("blue", "bakery")]
    assert "no route to 10.1.2.3" in row.reason
    assert summary(moves.rows) == "3 transferred, 1 skipped, 2 failed"
    assert "no route to 10.1.2.3" in table(moves.rows)
    said = [line for line in new.log.lines if line.startswith("Agents of deployment")]
    assert len(said) == len(ALL)

    again = moves.move()

    assert set(again.values()) == {TRANSFERRED, SKIPPED}
    assert moves_on(new).count(("blue", "bakery")) == 2
    assert moves_on(new).count(("blue", "shop")) == 1


def test_a_move_that_still_runs_from_a_former_try_is_followed(new: NewManager) -> None:
    new.manager.script(Script("install_new_agents", seconds=40))
    parameters = {} if new.version.numbers < (4, 4) else {"install_agent_timeout": 300}
    new.client.executions.start("shop", "install_new_agents", parameters, allow_custom_parameters=True)

    outcomes = Moves(new).move()

    assert outcomes["default_tenant", "shop"] is TRANSFERRED
    assert moves_on(new).count(("default_tenant", "shop")) == 1


def test_a_deployment_that_does_something_else_is_a_failure_of_its_own(new: NewManager) -> None:
    new.manager.script(Script("uninstall", seconds=100_000))
    new.client.executions.start("shop", "uninstall")

    outcomes = Moves(new).move()

    assert outcomes["default_tenant", "shop"] is FAILED
    assert outcomes["blue", "shop"] is TRANSFERRED


def test_no_deployments_are_no_error(tmp_path: Path, snapshot: tuple[str, Path]) -> None:
    with NewManager(tmp_path, snapshot[0]) as new:
        assert Moves(new).move() == {}


def test_what_was_moved_is_known_as_soon_as_it_is(new: NewManager) -> None:
    moves = Moves(new)

    moves.move()

    assert moves.told == [1, 2, 3, 4, 5, 6]  # first the one that is skipped


def test_a_manager_that_does_not_answer_is_something_time_may_help_with(new: NewManager) -> None:
    moves = Moves(new)
    new.manager.kill()

    with pytest.raises(TryAgainLater):
        moves.move()

    new.manager.start()
    assert TRANSFERRED in moves.move().values()
