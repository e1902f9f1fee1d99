"""Restoring a snapshot onto a new manager of the lab, and whether that was any good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cmom.clients.manager import ManagerClient
from cmom.clients.snapshots import RestoreOptions
from cmom.errors import ActionRequired, DeadlinePassed, ManagerRefused
from cmom.services.snapshots.archive import DamagedArchive
from cmom.services.snapshots.restore_execution import RestoreFailed
from cmom.services.snapshots.restore_patience import RestoreTimes
from cmom.services.tier1 import Tier1
from lab.manager import samples
from lab.manager.engine import Script
from lab.manager.stores.users import User
from tests.lab.filled import Filled
from tests.lab.given_snapshots import Backups, Hooked, Killed, snapshots_on
from tests.lab.given_upgrade import SETTINGS, NewManager, fill, snapshot_of

UPGRADES = [
    ("4.3.0", "4.3.0"),
    ("4.3.0", "4.6.0"),
    ("4.3.0", "7.0.5"),
    ("4.6.0", "4.6.0"),
    ("4.6.0", "5.1.4"),
    ("4.6.0", "7.0.5"),
    ("7.0.5", "7.0.5"),
]


@pytest.fixture(scope="module", params=sorted({old for old, _ in UPGRADES}))
def snapshot(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Backups]:
    """The version of an old manager, and its snapshot ``mine``."""
    with Filled(tmp_path_factory.mktemp("old"), request.param, SETTINGS) as filled:
        fill(filled)
        return request.param, snapshot_of(filled)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of a manager of 4.6."""
    with Filled(tmp_path_factory.mktemp("old"), "4.6.0", SETTINGS) as filled:
        fill(filled)
        return snapshot_of(filled).store.archive_path("mine")


@pytest.fixture
def new(tmp_path: Path) -> Iterator[NewManager]:
    with NewManager(tmp_path, "4.6.0") as manager:
        yield manager


def test_what_the_old_manager_held_the_new_one_holds(snapshot: tuple[str, Backups], tmp_path: Path) -> None:
    old, backups = snapshot
    for version in [new for of, new in UPGRADES if of == old]:
        with NewManager(tmp_path / version, version) as new:
            record = new.restore(backups.store.archive_path("mine"))

            assert record.done
            new.assert_holds_all()
            assert [record.stage for record in new.records] == [
                "uploading",
                "uploaded",
                "restoring",
                "restored",
            ]
            assert new.records[-1].before["tenants"] == 1


def test_a_restore_is_done_once(new: NewManager, path: Path) -> None:
    first = new.restore(path)

    assert new.restore(path) == first
    assert len(new.restores()) == 1
    assert new.restorer().was_restored("mine")
    assert not new.restorer().was_restored("another")


def test_the_words_reach_the_manager(snapshot: tuple[str, Backups], tmp_path: Path) -> None:
    version, backups = snapshot
    options = RestoreOptions(deployment_environments=False, force=True, certificates=True, reboot=False)
    with NewManager(tmp_path, version) as new:
        new.restore(backups.store.archive_path("mine"), options)

        (execution,) = new.restores("terminated")
        assert execution.parameters["force"] is True
        assert execution.parameters["restore_certificates"] is True
        assert execution.parameters["no_reboot"] is True
        if version.startswith("4"):
            assert execution.parameters["recreate_deployments_envs"] is False


def test_a_restore_that_succeeds_and_restored_nothing_fails(new: NewManager, path: Path) -> None:
    new.manager.script(Script("restore_snapshot", effects=False))

    with pytest.raises(RestoreFailed, match=r"says that snapshot mine is restored, but nothing was restored"):
        new.restore(path)

    assert not new.records[-1].done


def test_a_restore_that_restored_nothing_is_noticed_without_a_manifest_too(
    new: NewManager, path: Path, tmp_path: Path
) -> None:
    foreign = tmp_path / "2018-03-21-09:09:05.zip"
    foreign.write_bytes(path.read_bytes())
    new.manager.script(Script("restore_snapshot", effects=False))

    with pytest.raises(RestoreFailed, match="nothing was restored"):
        new.restore(foreign)


def test_a_snapshot_without_a_manifest_is_restored_under_a_name_that_managers_take(
    new: NewManager, path: Path, tmp_path: Path
) -> None:
    foreign = tmp_path / "2018-03-21-09:09:05.zip"
    foreign.write_bytes(path.read_bytes())

    record = new.restore(foreign)

    assert record.tier1_snapshot_id == "restored_snapshot"
    new.assert_holds_all()


def test_a_restore_that_fails_says_why(new: NewManager, path: Path) -> None:
    new.manager.script(Script("restore_snapshot", error="Traceback\n  line\npsql: could not connect"))

    with pytest.raises(RestoreFailed, match=r"mine is failed.*\n.*\n.*psql: could not connect"):
        new.restore(path)


def test_a_manager_that_holds_something_already_refuses_unless_it_is_forced(
    new: NewManager, path: Path, tmp_path: Path
) -> None:
    fill_a_little(new, tmp_path)
    with pytest.raises(RestoreFailed, match="dirty manager"):
        new.restore(path)
    new.records.clear()

    assert new.restore(path, RestoreOptions(force=True)).done


def fill_a_little(new: NewManager, folder: Path) -> None:
    new.tier1.call(lambda api: api.put_secret("", "other", new.access.password, "tenant", update=False), "")
    archive = samples.pack(samples.make_blueprint(folder), folder / "sample.zip")
    from cmom.clients.resource_uploads import upload_blueprint

    new.tier1.call(lambda api: upload_blueprint(api, "", "sample", archive, "blueprint.yaml", "tenant"), "")
    new.manager.advance(5)
    new.tier1.call(lambda api: api.create_deployment("", "other", "sample", {}, "tenant"), "")
    new.manager.advance(5)


def test_a_snapshot_of_a_newer_manager_is_refused_before_it_is_sent(path: Path, tmp_path: Path) -> None:
    with NewManager(tmp_path, "4.3.0") as new:
        with pytest.raises(ActionRequired, match=r"of version 4\.6\.0, newer than the 4\.3\.0"):
            new.restore(path)
        assert snapshots_on(new.manager) == []


def test_a_byte_flipped_in_the_stored_snapshot_stops_the_restore(new: NewManager, path: Path) -> None:
    content = path.read_bytes()
    middle = len(content) // 2
    try:
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        with pytest.raises(DamagedArchive, match="not what it was"):
            new.restore(path)
    finally:
        path.write_bytes(content)

    assert snapshots_on(new.manager) == []
    assert new.restores() == []


@pytest.mark.parametrize("times", [1, 2])
def test_an_upload_that_is_cut_is_sent_again(new: NewManager, path: Path, times: int) -> None:
    new.manager.fault("cut", path="/archive$", method="PUT", after_bytes=500, times=times)

    assert new.restore(path).done
    new.assert_holds_all()


def test_an_upload_whose_answer_is_lost_is_sent_again(new: NewManager, path: Path) -> None:
    new.manager.fault("broken-json", path="/archive$", method="PUT", times=1)

    assert new.restore(path).done
    new.assert_holds_all()


def test_a_name_that_is_taken_on_the_new_manager_is_left_to_who_has_it(new: NewManager, path: Path) -> None:
    new.tier1.call(lambda api: api.upload_snapshot("mine", path), "uploading")

    record = new.restore(path)

    assert record.tier1_snapshot_id == "mine.2"
    assert snapshots_on(new.manager) == ["mine", "mine.2"]


def test_a_restore_that_was_refused_leaves_nothing_that_holds_up_what_comes_after(tmp_path: Path) -> None:
    with Filled(tmp_path / "old", "7.0.5", SETTINGS) as filled:
        filled.client.secrets.create("key", "value")
        path = snapshot_of(filled).store.archive_path("mine")
    with NewManager(tmp_path, "7.0.5") as new:
        fill_a_little(new, tmp_path)
        running = new.client.executions.start("other", "install")

        new.restore(path, RestoreOptions(force=True))

        assert any("left from a restore that was refused" in line for line in new.log.lines)
        waited = [line for line in new.log.lines if "has to wait" in line]
        assert f"install of deployment other (started, {running.id})" in waited[0]
        assert new.restores("pending") == []
        assert len(new.restores("terminated")) == 1


def test_a_pending_restore_of_somebody_else_is_cancelled_first(tmp_path: Path) -> None:
    with Filled(tmp_path / "old", "7.0.5", SETTINGS) as filled:
        filled.client.secrets.create("key", "value")
        path = snapshot_of(filled).store.archive_path("mine")
    with NewManager(tmp_path, "7.0.5") as new:
        new.tier1.call(lambda api: api.upload_snapshot("former", path), "uploading")
        fill_a_little(new, tmp_path)
        new.client.executions.start("other", "install")
        with pytest.raises(ManagerRefused):
            new.tier1.call(lambda api: api.restore_snapshot("former", RestoreOptions()), "restoring")
        new.manager.advance(30)
        assert len(new.restores("pending")) == 1

        new.restore(path, RestoreOptions(force=True))

        assert new.restores("pending") == []


def test_a_restore_that_never_begins_is_cancelled_and_started_once_more(new: NewManager, path: Path) -> None:
    new.manager.machine.settings = replace(SETTINGS, execution_pending_seconds=100_000)
    cancelled: list[str] = []

    def mend(doing: str) -> None:
        if doing.startswith("cancelling"):
            cancelled.append(doing)
            new.manager.machine.settings = SETTINGS

    tier1 = Tier1(Hooked(new.tier1._connection, mend), new.version, clock=new.clock)

    assert new.restore(path, tier1=tier1).done
    assert len(cancelled) == 1
    new.assert_holds_all()


def test_three_good_answers_in_a_row_are_waited_for(new: NewManager, path: Path) -> None:
    looks = 0

    def hook(doing: str) -> None:
        nonlocal looks
        if doing == "looking at the restored manager":
            looks += 1
            if looks in (2, 5):  # one good answer, and then two
                new.manager.fault("503", path="/status$", times=1)

    tier1 = Tier1(Hooked(new.tier1._connection, hook), new.version, clock=new.clock)
    new.manager.machine.settings = replace(SETTINGS, restore_outage_seconds=0)

    assert new.restore(path, tier1=tier1).done
    assert looks == 8


def test_the_success_may_come_with_the_last_look(new: NewManager, path: Path) -> None:
    # The original gave up at its thirtieth look even when that was the third good one.
    new.manager.machine.settings = replace(SETTINGS, restore_outage_seconds=27 * 3.0)
    new.times = replace(RestoreTimes(), steady_seconds=30 * 3.0)

    assert new.restore(path).done


def test_a_manager_that_does_not_come_back_is_said(new: NewManager, path: Path) -> None:
    new.manager.machine.settings = replace(SETTINGS, restore_outage_seconds=10_000)

    with pytest.raises(DeadlinePassed):
        new.restore(path)

    assert new.records[-1].stage == "restoring"


def with_another_password(new: NewManager, seconds: float) -> Callable[[], None]:
    """Let the manager refuse us from now on, for a while."""
    users = new.manager.manager.database.users
    users.add(User.create("admin", "another"))
    ends = new.clock.monotonic() + seconds

    def look() -> None:
        if new.clock.monotonic() > ends:
            users.add(User.create("admin", new.manager.password))

    return look


@pytest.mark.parametrize("seconds", [30, 10_000])
def test_refused_credentials_are_borne_for_a_while_as_the_users_are_being_replaced(
    new: NewManager, path: Path, seconds: float
) -> None:
    acts: list[Callable[[], None]] = []

    def hook(doing: str) -> None:
        if doing.startswith("looking at the restore"):
            acts[:] = acts or [with_another_password(new, seconds)]
            acts[0]()

    tier1 = Tier1(Hooked(new.tier1._connection, hook), new.version, clock=new.clock)
    if seconds < 100:
        assert new.restore(path, tier1=tier1).done
    else:
        with pytest.raises(ActionRequired, match="another password"):
            new.restore(path, tier1=tier1)


class Wire:
    """Makes clients of which one request is the last thing that Tier 2 does."""

    def __init__(self, die_at: int = 0, *, before: bool = True) -> None:
        wire = self
        self.count = 0

        class Counted(ManagerClient):
            def _pass(self, send: Callable[[], Any]) -> Any:
                wire.count += 1
                at = wire.count
                if at == die_at and before:
                    raise Killed
                try:
                    return send()
                finally:
                    if at == die_at and not before:
                        raise Killed

            def call(self, function: Any, doing: str, **arguments: Any) -> Any:
                return self._pass(lambda: super(Counted, self).call(function, doing, **arguments))

            def request(self, method: str, path: str, doing: str, **arguments: Any) -> Any:
                return self._pass(lambda: super(Counted, self).request(method, path, doing, **arguments))

        self.client = Counted


@pytest.mark.parametrize("before", [True, False], ids=["before", "answered"])
def test_a_restore_killed_at_any_request_restores_once(path: Path, tmp_path: Path, before: bool) -> None:
    quick = replace(SETTINGS, restore_outage_seconds=0)
    with NewManager(tmp_path / "counted", "4.6.0", quick) as new:
        wire = Wire()
        tier1 = new.connected(wire.client)
        new.restore(path, tier1=tier1)
        tier1.close()
        total = wire.count
    assert total > 10
    for number in range(1, total + 1):
        with NewManager(tmp_path / str(number), "4.6.0", quick) as new:
            tier1 = new.connected(Wire(number, before=before).client)
            with pytest.raises(Killed):
                new.restore(path, tier1=tier1)
            tier1.close()
            assert new.restore(path).done, number
            new.assert_holds_all()
            assert len(new.restores("terminated")) == 1, number
            assert len(new.restores()) == 1, number


def test_the_snapshots_size_and_how_far_it_is_are_in_the_log(new: NewManager, path: Path) -> None:
    new.restore(path)

    assert any(line.startswith("Snapshot mine to Tier 1: 100 % of") for line in new.log.lines)
    assert any(line.startswith("Verifying snapshot") for line in new.log.lines)
