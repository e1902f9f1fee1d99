"""Backups of managers of the lab: taken, refused, waited for, cleaned up after."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cmom.errors import ActionRequired, DeadlinePassed, TryAgainLater
from cmom.runtime import BackupRecord
from cmom.services.snapshots.backup import BackupSettings
from cmom.services.snapshots.creation import CreationTimes, SnapshotFailed
from cmom.services.tier1 import Tier1
from lab.manager import samples
from lab.manager.engine import Script
from lab.manager.host import Settings
from tests.lab.filled import VERSIONS, Filled
from tests.lab.given_snapshots import BEGAN, Backups, Hooked, Killed, snapshots_on

SETTINGS = Settings(
    snapshot_seconds=5, snapshot_linger_seconds=2, execution_seconds=10, snapshot_padding_bytes=50_000
)
FIRST = "snap_2026_03_04_05_06_07"


@pytest.fixture(params=VERSIONS)
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Filled]:
    with Filled(tmp_path, request.param, SETTINGS) as running:
        yield running


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Filled]:
    with Filled(tmp_path, "4.6.0", SETTINGS) as running:
        yield running


def backups_of(filled: Filled, settings: BackupSettings | None = None) -> Backups:
    return Backups(filled.tier1, filled.clock, filled.folder / "snapshots", settings)


def run_something(filled: Filled) -> str:
    """Have a workflow run on the manager; return the ID of its execution."""
    path = str(samples.make_blueprint(filled.folder))
    filled.fill(
        {"blueprints": [{"path": path}], "deployments": [{"blueprint_id": "sample", "deployment_id": "shop"}]}
    )
    filled.manager.advance(5)
    return str(filled.client.executions.start("shop", "install").id)


def test_a_backup_is_a_verified_snapshot_with_its_manifest(filled: Filled) -> None:
    backups = backups_of(filled)
    filled.client.secrets.create("key", "value")

    stored = backups.take()

    assert stored.id == FIRST
    backups.assert_only(FIRST)
    for path in (stored.path, backups.store.manifest_path(FIRST)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(backups.store.folder.stat().st_mode) == 0o700
    manifest = stored.manifest
    assert (manifest.tier1_version, manifest.bytes) == (str(filled.version), stored.path.stat().st_size)
    assert (manifest.created_at, manifest.verified_at, manifest.sequence) == (BEGAN, BEGAN, 1)
    assert (manifest.contents["secrets"], manifest.contents["tenants"]) == (1, 1)
    assert stored.trusted
    assert snapshots_on(filled.manager) == []
    assert backups.record is None


def test_a_backup_may_stay_on_tier_1(filled: Filled) -> None:
    backups = backups_of(filled, BackupSettings(keep_on_tier1=True, spare_bytes=0))

    backups.take("mine")

    backups.assert_only("mine")
    assert snapshots_on(filled.manager) == ["mine"]
    assert backups.record is None


def test_what_is_left_out_is_left_out_and_written_down(filled: Filled) -> None:
    backups = backups_of(filled)

    stored = backups.take("mine", "--exclude-logs", "--exclude-events", "--include-metrics")

    assert stored.manifest.parameters == ("--exclude-logs", "--exclude-events", "--include-metrics")
    executions = filled.client.executions.list(include_system_workflows=True, workflow_id="create_snapshot")
    (execution,) = executions.items
    assert execution.parameters["include_logs"] is False
    assert execution.parameters["include_events"] is False
    warned = [line for line in backups.log.lines if "--include-metrics means nothing" in line]
    assert bool(warned) == (filled.version.generation >= 5)


def test_a_name_that_is_taken_here_is_refused(single: Filled) -> None:
    backups = backups_of(single)
    first = backups.take("mine").path.read_bytes()

    with pytest.raises(ActionRequired, match=r"a snapshot mine in .*/snapshots/old already"):
        backups.take("mine")

    backups.assert_only("mine")
    assert backups.store.archive_path("mine").read_bytes() == first


def test_a_name_that_some_other_file_has_is_refused(single: Filled) -> None:
    backups = backups_of(single)
    backups.store.prepare()
    backups.store.archive_path("mine").write_bytes(b"of somebody else")

    with pytest.raises(ActionRequired, match="already"):
        backups.take("mine")

    assert backups.store.archive_path("mine").read_bytes() == b"of somebody else"
    assert snapshots_on(single.manager) == []


def test_a_name_that_is_taken_on_tier_1_is_refused_and_that_one_is_left_alone(filled: Filled) -> None:
    backups = backups_of(filled)
    filled.client.snapshots.create("mine", include_credentials=True)
    filled.manager.advance(10)

    with pytest.raises(ActionRequired, match="a snapshot mine on Tier 1 already"):
        backups.take("mine")

    backups.assert_none()
    assert snapshots_on(filled.manager) == ["mine"]


def test_a_name_that_somebody_takes_in_the_last_moment_is_left_to_them(single: Filled) -> None:
    backups = backups_of(single)

    def be_faster() -> None:
        backups.on_remember = lambda: None
        single.client.snapshots.create("mine", include_credentials=True)
        single.manager.advance(10)

    tier1 = Tier1(
        Hooked(single.tier1._connection, lambda doing: be_faster() if doing.startswith("creating") else None),
        single.version,
        clock=single.clock,
    )

    with pytest.raises(ActionRequired, match="a snapshot mine on Tier 1 already"):
        backups.take("mine", tier1=tier1)

    backups.assert_none()
    assert snapshots_on(single.manager) == ["mine"]
    assert backups.record is None


def test_the_age_counts_from_when_it_was_made_and_not_from_when_it_came(single: Filled) -> None:
    backups = backups_of(single)

    def later() -> None:
        if backups.record is not None and backups.record.began_at:
            backups.on_remember = lambda: None
            backups.now.move(hours=1)

    backups.on_remember = later

    manifest = backups.take("mine").manifest

    assert manifest.verified_at is not None
    assert (manifest.verified_at - manifest.created_at).total_seconds() == 3600


def test_what_comes_or_goes_while_it_is_made_is_not_promised(single: Filled) -> None:
    backups = backups_of(single)
    single.client.secrets.create("early", "value")
    single.client.secrets.create("short", "value")

    def change(doing: str) -> None:
        if doing.startswith("looking for the execution") and single.client.secrets.list(key="short").items:
            single.client.secrets.delete("short")

    tier1 = Tier1(Hooked(single.tier1._connection, change), single.version, clock=single.clock)

    assert backups.take("mine", tier1=tier1).manifest.contents["secrets"] == 1


def test_a_backup_waits_for_what_runs_and_says_for_what(filled: Filled) -> None:
    backups = backups_of(filled)
    execution_id = run_something(filled)

    backups.take("mine")

    backups.assert_only("mine")
    waited = [line for line in backups.log.lines if "has to wait" in line]
    assert waited
    assert f"install of deployment shop (started, {execution_id})" in waited[0]
    assert len(waited) < 3  # not at every look


def test_a_backup_does_not_wait_for_ever(single: Filled) -> None:
    settings = BackupSettings(times=CreationTimes(busy_seconds=6.0), spare_bytes=0)
    backups = backups_of(single, settings)
    single.manager.script(Script("install", seconds=1000))
    run_something(single)

    with pytest.raises(DeadlinePassed, match="install of deployment shop"):
        backups.take("mine")

    backups.assert_none()
    assert snapshots_on(single.manager) == []


def test_a_restore_left_pending_is_named_as_what_holds_it_up(tmp_path: Path) -> None:
    with Filled(tmp_path, "7.0.5", SETTINGS) as filled:
        backups = backups_of(filled, BackupSettings(times=CreationTimes(busy_seconds=60.0), spare_bytes=0))
        backups.take("mine")
        archive = backups.store.archive_path("mine")
        filled.tier1.call(lambda api: api.upload_snapshot("back", archive), "uploading")
        run_something(filled)
        with pytest.raises(Exception, match="running executions"):
            filled.client.snapshots.restore("back")

        with pytest.raises(DeadlinePassed, match=r"restore_snapshot \(pending.*cfy executions cancel"):
            backups.take("other")


def test_a_snapshot_that_fails_ends_the_backup_at_once_with_the_managers_reason(filled: Filled) -> None:
    backups = backups_of(filled)
    filled.manager.script(Script("create_snapshot", error="No space left on device"))
    began = filled.clock.monotonic()

    with pytest.raises(SnapshotFailed, match="No space left on device"):
        backups.take("mine")

    assert filled.clock.monotonic() - began < 15
    backups.assert_none()
    assert snapshots_on(filled.manager) == []
    assert backups.record is None


def test_a_snapshot_that_is_never_made_is_given_up(single: Filled) -> None:
    backups = backups_of(single, BackupSettings(times=CreationTimes(create_seconds=30.0), spare_bytes=0))
    single.manager.script(Script("create_snapshot", seconds=10_000))

    with pytest.raises(DeadlinePassed, match=r"still being made|in vain"):
        backups.take("mine")

    backups.assert_none()
    # The next backup cleans up after it.
    assert backups.record is not None
    backups.take("other")
    backups.assert_only("other")
    assert snapshots_on(single.manager) == []


def test_a_clock_that_goes_backwards_takes_no_name_twice_and_deletes_nothing_that_is_newer(
    single: Filled,
) -> None:
    backups = backups_of(single, BackupSettings(keep_snapshots=2, spare_bytes=0))
    backups.take()
    backups.now.move(days=-2)
    backups.take()
    backups.now.move(days=2)

    newest = backups.take()

    assert newest.id == "snap_2026_03_04_05_06_08"
    backups.assert_only("snap_2026_03_02_05_06_07", "snap_2026_03_04_05_06_08")
    assert [stored.manifest.sequence for stored in backups.store.all()] == [2, 3]


def test_as_many_are_kept_as_are_wanted_and_foreign_files_are_left_alone(single: Filled) -> None:
    backups = backups_of(single, BackupSettings(keep_snapshots=2, spare_bytes=0))
    backups.store.prepare()
    foreign = ["2018-03-21.zip", "notes.json", "notes.txt", ".hidden"]
    for name in foreign:
        (backups.store.folder / name).write_text("of somebody else")
    for name in ("a", "b", "c"):
        backups.take(name)

    assert set(backups.files()) == {*foreign, "b.zip", "b.json", "c.zip", "c.json"}
    assert all((backups.store.folder / name).read_text() == "of somebody else" for name in foreign)


def test_two_backups_at_once_are_taken_one_after_the_other(single: Filled) -> None:
    first, second = backups_of(single), backups_of(single)
    single.manager.machine.settings = replace(SETTINGS, snapshot_seconds=0, snapshot_linger_seconds=0)
    failures: list[BaseException] = []

    def take(backups: Backups) -> None:
        try:
            backups.take()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=take, args=(backups,)) for backups in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert failures == []
    first.assert_only(FIRST, "snap_2026_03_04_05_06_08")
    assert snapshots_on(single.manager) == []


def test_two_backups_of_one_name_at_once_give_one(single: Filled) -> None:
    single.manager.machine.settings = replace(SETTINGS, snapshot_seconds=0, snapshot_linger_seconds=0)
    both = [backups_of(single), backups_of(single)]
    refused: list[str] = []

    def take(backups: Backups) -> None:
        try:
            backups.take("mine")
        except ActionRequired as error:
            refused.append(str(error))

    threads = [threading.Thread(target=take, args=(backups,)) for backups in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert len(refused) == 1
    assert "already" in refused[0]
    both[0].assert_only("mine")


def requests_of_a_backup(filled: Filled) -> int:
    """Count the requests of a whole backup."""
    wire = Wire(filled)
    backups = Backups(wire.tier1, filled.clock, filled.folder / "counted", BackupSettings(spare_bytes=0))
    backups.take("counted")
    wire.tier1.close()
    return wire.count


class Wire:
    """A connection on which Tier 2 dies at a request, before it is sent or when it was answered."""

    def __init__(self, filled: Filled, die_at: int = 0, *, before: bool = True) -> None:
        from cmom.clients.cluster_api import ClusterApi

        wire = self
        self.count = 0

        class Counted(ClusterApi):
            def _pass(self, send: Any) -> Any:
                wire.count += 1
                if wire.count == die_at and before:
                    raise Killed
                at = wire.count
                try:
                    return send()
                finally:
                    if at == die_at:
                        raise Killed

            def call(self, function: Any, doing: str, **arguments: Any) -> Any:
                return self._pass(lambda: super(Counted, self).call(function, doing, **arguments))

            def request(self, method: str, path: str, doing: str, **arguments: Any) -> Any:
                if path == "/cluster":
                    return super().request(method, path, doing, **arguments)
                return self._pass(lambda: super(Counted, self).request(method, path, doing, **arguments))

        self.tier1 = filled.connected(Counted)


@pytest.mark.parametrize("same_execution", [True, False], ids=["run again", "a new one"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "answered"])
def test_a_backup_killed_at_any_request_leaves_one_whole_snapshot_when_it_is_taken_again(
    single: Filled, before: bool, same_execution: bool
) -> None:
    single.manager.machine.settings = replace(SETTINGS, snapshot_padding_bytes=0)
    total = requests_of_a_backup(single)
    assert total > 10
    for number in range(1, total + 1):
        backups = Backups(
            single.tier1, single.clock, single.folder / f"killed-{number}", BackupSettings(spare_bytes=0)
        )
        wire = Wire(single, number, before=before)
        with pytest.raises(Killed):
            backups.take("mine", execution_id="first", tier1=wire.tier1)
        wire.tier1.close()
        after_the_crash = {name for name in backups.files() if name.endswith(".zip")}
        if same_execution or not after_the_crash:
            backups.take("mine", execution_id="first" if same_execution else "second")
        else:  # it was whole already; only the cleaning up is left
            backups.take("other", execution_id="second")
            assert backups.store.find("other") is not None
        backups.assert_only("mine", *(["other"] if backups.store.holds("other") else []))
        assert snapshots_on(single.manager) == [], number
        assert backups.record is None


def test_a_backup_killed_while_it_downloads_leaves_nothing_that_looks_like_a_snapshot(
    single: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups = backups_of(single)
    sync = os.fsync

    def die(descriptor: int) -> None:
        raise Killed

    # The last thing before a download counts as done; a killed process unlinks nothing.
    monkeypatch.setattr(os, "fsync", die)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(Killed):
        backups.take("mine", execution_id="first")
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.undo()
    assert [name for name in backups.files() if not name.startswith(".")] == []
    assert backups.store.all() == ()

    backups.take("mine", execution_id="first")

    backups.assert_only("mine")


def test_what_another_execution_left_on_tier_1_is_deleted(single: Filled) -> None:
    backups = backups_of(single)
    single.client.snapshots.create("lost", include_credentials=True)
    single.manager.advance(10)
    backups.record = BackupRecord("lost", "lost", "old", "another execution")

    backups.take("mine")

    assert snapshots_on(single.manager) == []
    assert backups.record is None


def test_what_a_backup_of_another_cluster_left_is_not_looked_for_here(single: Filled) -> None:
    backups = backups_of(single)
    single.client.snapshots.create("theirs", include_credentials=True)
    single.manager.advance(10)
    backups.record = BackupRecord("theirs", "theirs", "another-deployment", "another execution")

    backups.take("mine")

    assert snapshots_on(single.manager) == ["theirs"]


def test_a_snapshot_that_cannot_be_deleted_on_tier_1_is_deleted_by_the_next_backup(single: Filled) -> None:
    backups = backups_of(single)
    single.manager.fault("500", path="/snapshots/mine$", method="DELETE")

    backups.take("mine")

    backups.assert_only("mine")
    assert snapshots_on(single.manager) == ["mine"]
    assert backups.record is not None
    single.manager.thread.run(clear_faults(single))
    backups.take("other")
    assert snapshots_on(single.manager) == []


async def clear_faults(filled: Filled) -> None:
    filled.manager.machine.faults.clear()


def test_a_manager_that_does_not_answer_is_something_time_may_help_with(single: Filled) -> None:
    backups = backups_of(single)
    single.manager.kill()

    with pytest.raises(TryAgainLater):
        backups.take("mine")

    backups.assert_none()
