"""Which executions run, as a manager of Tier 2's version tells it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cmom.clients.tier2_executions import RunningExecution, running_executions
from cmom.errors import TryAgainLater
from lab.manager import samples
from lab.manager.host import Settings
from lab.manager.standalone import StandaloneManager
from tests.lab.rest import connect, manager_of, upload_blueprint

# The real client forgets to close the archives it uploads.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[StandaloneManager]:
    """A Tier 2 on which an execution takes a while."""
    with manager_of(tmp_path / "m", "7.0.5", Settings(execution_seconds=10)) as running:
        client = connect(running)
        upload_blueprint(client, samples.make_blueprint(tmp_path), "sample")
        for deployment in ("one", "other"):
            client.deployments.create("sample", deployment)
        running.advance(30)
        yield running


def test_what_runs_on_a_deployment_is_listed_and_what_has_ended_or_is_elsewhere_is_not(
    manager: StandaloneManager,
) -> None:
    client = connect(manager)
    ended = client.executions.start("one", "install")
    manager.advance(30)
    running = client.executions.start("one", "uninstall")
    client.executions.start("other", "install")

    found = running_executions(client, "one")

    assert ended["id"] not in {one.id for one in found}
    assert found == (RunningExecution(running["id"], "uninstall"),)
    assert running_executions(client, "one", but=(running["id"],)) == ()
    assert str(found[0]) == f"uninstall ({running['id']})"


def test_a_tier_2_that_does_not_answer_is_for_later(manager: StandaloneManager) -> None:
    client = connect(manager)
    manager.kill()

    with pytest.raises(TryAgainLater, match=r"(?i)asking what runs"):
        running_executions(client, "one")
