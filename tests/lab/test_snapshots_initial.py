"""The restore that is part of an installation: once, before there is a cluster, whoever remembers it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cmom.errors import ActionRequired
from cmom.models import Version
from cmom.runtime import RestoreRecord
from cmom.services.snapshots.initial import InitialRestore
from cmom.services.snapshots.requests import RestoreRequest
from tests.lab.filled import Filled
from tests.lab.fleet import Fleet
from tests.lab.given_snapshots import form
from tests.lab.given_upgrade import SETTINGS, fill, snapshot_of
from tests.lab.rest import connect

MakeFleet = Callable[..., Fleet]
FRESH = RestoreRequest(old_deployment_id="old")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of a manager of 4.6."""
    with Filled(tmp_path_factory.mktemp("old"), "4.6.0", SETTINGS) as filled:
        fill(filled)
        return snapshot_of(filled).store.archive_path("mine")


class Installation:
    """The part of an installation that restores, run as often as a test likes."""

    def __init__(self, fleet: Fleet, path: Path) -> None:
        self.fleet, self.path = fleet, path
        self.record: RestoreRecord | None = None
        self.chosen = 0

    def choose(self, request: RestoreRequest) -> Path:
        self.chosen += 1
        return self.path

    def remember(self, record: RestoreRecord) -> None:
        self.record = RestoreRecord.load(_stored(record))

    def run(self, request: RestoreRequest | None = None) -> bool:
        initial = InitialRestore(
            self.fleet.hosts,
            self.fleet.access,
            Version.parse("4.6.0"),
            logging.getLogger("test.initial"),
            choose=self.choose,
            remember=self.remember,
            clock=self.fleet.services_clock,
        )
        return initial.ensure_restored(request or RestoreRequest(str(self.path)), self.record)

    def forget(self) -> None:
        """As a second ``cfy install`` in the local profile does."""
        self.record = None

    def restores(self) -> int:
        """How often the first manager has restored something."""
        client = connect(self.fleet[self.fleet.hosts[0]])
        try:
            listed = client.executions.list(include_system_workflows=True, workflow_id="restore_snapshot")
            return len(listed)
        finally:
            client._client._session.close()


def _stored(record: RestoreRecord) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    record.store(properties)
    return properties


@pytest.fixture
def installation(make_fleet: MakeFleet, path: Path) -> Installation:
    return Installation(make_fleet(2), path)


def test_the_first_member_gets_the_snapshot_and_the_cluster_is_formed_with_it(
    installation: Installation,
) -> None:
    assert installation.run()
    form(installation.fleet)

    assert not installation.run()
    assert installation.restores() == 1
    for host in installation.fleet.hosts:
        assert len(installation.fleet[host].manager.database.deployments) == 6


@pytest.mark.parametrize("request_", [None, FRESH], ids=["a snapshot", "a new backup"])
@pytest.mark.parametrize("clustered", [False, True], ids=["alone", "clustered"])
def test_what_tier_2_has_forgotten_the_manager_knows(
    installation: Installation, clustered: bool, request_: RestoreRequest | None
) -> None:
    assert installation.run(request_)
    if clustered:
        form(installation.fleet)
    installation.forget()

    assert not installation.run(request_)

    assert installation.restores() == 1
    assert installation.record is not None
    assert installation.record.done


def test_a_new_backup_is_taken_once_and_not_at_all_when_nothing_is_to_be_restored_any_more(
    installation: Installation,
) -> None:
    installation.run(FRESH)
    assert installation.chosen == 1
    installation.run(FRESH)
    installation.forget()
    installation.run(FRESH)
    assert installation.chosen == 1


@pytest.mark.parametrize("leads", [True, False])
def test_a_cluster_that_never_got_the_snapshot_is_not_touched(
    installation: Installation, leads: bool
) -> None:
    fleet = installation.fleet
    form(fleet)
    if not leads:
        fleet.hosts = tuple(reversed(fleet.hosts))  # the first one asked is a replica

    with pytest.raises(
        ActionRequired, match=r"in a cluster already, and snapshot .* was never restored onto it"
    ):
        installation.run()

    fleet.hosts = tuple(sorted(fleet.hosts, key=lambda host: host.ip))
    assert installation.restores() == 0
    assert installation.record is None


def test_a_snapshot_that_is_gone_by_then_is_said(installation: Installation, tmp_path: Path) -> None:
    installation.path = tmp_path / "gone.zip"
    with pytest.raises(ActionRequired, match="there is no snapshot"):
        installation.run()
