"""The leader dies while a backup is taken: it is gone on with under the next one, or begun again, bounded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cmom.errors import TryAgainLater
from cmom.services.snapshots.backup import BackupSettings
from cmom.services.snapshots.creation import CreationTimes
from cmom.services.snapshots.download import Patience
from cmom.services.tier1 import Tier1
from lab.manager.engine import Script
from tests.lab.fleet import Fleet
from tests.lab.given_snapshots import Backups, Hooked, cluster_of, form, leader_of, snapshots_on

MakeFleet = Callable[..., Fleet]
# A manager whose power is cut while connections are being made leaves its own ends of them to the collector.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:Exception ignored in. {what}:pytest.PytestUnraisableExceptionWarning")
    for what in (r"<socket.socket .*laddr=\('127.77.", "<function _SelectorTransport.__del__")
]
SIZE = 300_000


@pytest.fixture
def fleet(make_fleet: MakeFleet) -> Fleet:
    fleet = make_fleet(
        3,
        election_seconds=10.0,
        snapshot_seconds=20.0,
        snapshot_linger_seconds=2.0,
        snapshot_padding_bytes=SIZE,
    )
    form(fleet)
    return fleet


class OnFleet:
    """Backups of a fleet's cluster; something happens at the Nth time that something is done."""

    def __init__(
        self, fleet: Fleet, folder: Path, moment: str, act: Callable[[], None], nth: int = 1
    ) -> None:
        self._moment, self._act, self._nth = moment, act, nth
        tier1 = cluster_of(fleet)
        hooked = Tier1(Hooked(tier1._connection, self._hook), tier1.version, clock=fleet.services_clock)
        settings = BackupSettings(
            spare_bytes=0,
            patience=Patience(tries=3, pause_seconds=1.0),
            times=CreationTimes(orphan_seconds=60.0, create_seconds=1000.0),
        )
        self.backups = Backups(hooked, fleet.services_clock, folder, settings)

    def _hook(self, doing: str) -> None:
        if doing.startswith(self._moment):
            self._nth -= 1
            if self._nth == 0:
                self._act()


def kill_the_leader(fleet: Fleet) -> Callable[[], None]:
    return lambda: fleet.switch_off(next(host for host in fleet.hosts if fleet[host] is leader_of(fleet)))


def change_the_leader(fleet: Fleet) -> None:
    """Let another member lead; nobody dies."""

    async def change() -> None:
        leader = leader_of(fleet).manager
        cluster = leader.seat.cluster
        assert cluster is not None
        other = next(name for name in cluster.nodes if name != cluster.leader)
        cluster.set_active(other, leader.now())

    fleet.thread.run(change())
    fleet.advance(15)


@pytest.mark.parametrize(
    "moment",
    [
        "counting",
        "looking for snapshot",
        "creating",
        "looking at snapshot",
        "looking for the execution",
        "deleting",
    ],
)
def test_the_leader_dies_and_there_is_one_verified_snapshot_all_the_same(
    fleet: Fleet, tmp_path: Path, moment: str
) -> None:
    backups = OnFleet(fleet, tmp_path / "snapshots", moment, kill_the_leader(fleet)).backups

    backups.take("mine")

    backups.assert_only("mine")
    assert snapshots_on(leader_of(fleet)) == []
    assert backups.record is None


@pytest.mark.parametrize("nth", [1, 2])
def test_the_leader_dies_at_the_download_and_the_next_one_serves_it(
    fleet: Fleet, tmp_path: Path, nth: int
) -> None:
    backups = OnFleet(fleet, tmp_path / "snapshots", "downloading", kill_the_leader(fleet), nth).backups
    fleet[fleet.hosts[0]].fault("cut", path="/archive$", after_bytes=SIZE // 2, times=1)

    stored = backups.take("mine")

    backups.assert_only("mine")
    assert stored.manifest.tier1_snapshot_id == "mine"  # it was there already, and not made again
    assert snapshots_on(leader_of(fleet)) == []


def test_a_snapshot_that_was_lost_with_its_leader_is_made_again(fleet: Fleet, tmp_path: Path) -> None:
    # The archive is written to the disk of the dead leader only, and its successor calls it created.
    backups = OnFleet(fleet, tmp_path / "snapshots", "looking at snapshot", kill_the_leader(fleet)).backups

    stored = backups.take("mine")

    backups.assert_only("mine")
    assert stored.manifest.tier1_snapshot_id == "mine.2"
    assert any("was lost with its leader" in line for line in backups.log.lines)
    assert snapshots_on(leader_of(fleet)) == []


def test_a_snapshot_that_does_not_get_on_under_another_leader_is_made_again(
    fleet: Fleet, tmp_path: Path
) -> None:
    leader_of(fleet).script(Script("create_snapshot", seconds=100_000))
    change = lambda: change_the_leader(fleet)  # noqa: E731
    backups = OnFleet(fleet, tmp_path / "snapshots", "looking at snapshot", change).backups

    stored = backups.take("mine")

    backups.assert_only("mine")
    assert stored.manifest.tier1_snapshot_id == "mine.2"
    assert snapshots_on(leader_of(fleet)) == []


def test_a_snapshot_that_fails_because_the_leader_changed_is_made_again(fleet: Fleet, tmp_path: Path) -> None:
    leader_of(fleet).script(Script("create_snapshot", error="the worker was stopped"))
    change = lambda: change_the_leader(fleet)  # noqa: E731
    backups = OnFleet(fleet, tmp_path / "snapshots", "looking at snapshot", change).backups

    stored = backups.take("mine")

    backups.assert_only("mine")
    assert stored.manifest.tier1_snapshot_id == "mine.2"


def test_a_leader_that_changes_each_time_is_given_up_and_nothing_is_left(
    fleet: Fleet, tmp_path: Path
) -> None:
    leader_of(fleet).script(Script("create_snapshot", error="the worker was stopped", times=10))
    on_fleet = OnFleet(fleet, tmp_path / "snapshots", "creating", lambda: None)
    backups = on_fleet.backups
    # Another member leads each time that a snapshot has begun.
    backups.on_remember = lambda: (
        change_the_leader(fleet) if backups.record and backups.record.leader else None
    )

    with pytest.raises(TryAgainLater, match="in each of 3 attempts"):
        backups.take("mine")

    backups.assert_none()
    assert snapshots_on(leader_of(fleet)) == []
    assert backups.record is None


def test_a_whole_cluster_that_dies_is_something_time_may_help_with(fleet: Fleet, tmp_path: Path) -> None:
    def all_off() -> None:
        for host in fleet.hosts:
            fleet.switch_off(host)

    backups = OnFleet(fleet, tmp_path / "snapshots", "downloading", all_off).backups

    with pytest.raises(TryAgainLater):
        backups.take("mine")

    backups.assert_none()
