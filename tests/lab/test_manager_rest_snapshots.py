"""The lab's managers as the real REST client sees them: snapshots and restores."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cloudify_rest_client.exceptions import CloudifyClientError

from lab.manager import samples
from lab.manager.engine import Script
from lab.manager.host import Settings
from lab.manager.standalone import StandaloneManager
from tests.lab.rest import connect, manager_of, refused, upload_blueprint, wait_until

# The real client forgets to close the archives it uploads.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SETTINGS = Settings(snapshot_seconds=5, snapshot_linger_seconds=2, restore_seconds=4, execution_seconds=10)
RESTORE4 = {
    "recreate_deployments_envs": True,
    "force": False,
    "restore_certificates": False,
    "no_reboot": True,
    "ignore_plugin_failure": False,
    "timeout": 300,
}


@pytest.fixture(params=("4.3.0", "4.6.0", "7.0.5"))
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StandaloneManager]:
    with manager_of(tmp_path / "m", request.param, SETTINGS) as running:
        yield running


@pytest.fixture
def client(manager: StandaloneManager) -> Any:
    return connect(manager)


def make(client: Any, manager: StandaloneManager, name: str = "snap") -> None:
    client.snapshots.create(name, include_credentials=True)
    manager.advance(7)
    assert client.snapshots.get(name).status == "created"


def restore(client: Any, name: str, **changes: Any) -> Any:
    if client.manager.get_version()["version"].startswith("4"):
        return client.snapshots.api.post(f"/snapshots/{name}/restore", {**RESTORE4, **changes})
    return client.snapshots.restore(name, **changes)


def test_a_snapshot_is_created_before_its_execution_has_ended(
    client: Any, manager: StandaloneManager
) -> None:
    execution = client.snapshots.create("snap", include_credentials=True)
    assert execution.workflow_id == "create_snapshot"
    with refused(409, "conflict_error"):
        client.snapshots.create("snap", include_credentials=True)
    assert client.snapshots.get("snap").status == "creating"
    with refused(500, "internal_server_error"):
        client.snapshots.download("snap", "/nowhere")
    manager.advance(5)
    assert client.snapshots.get("snap").status == "created"
    assert client.executions.get(execution.id).status == "started"
    with refused(400, "snapshot_action_error"):
        client.snapshots.delete("snap")
    manager.advance(2)
    assert client.executions.get(execution.id).status == "terminated"
    assert client.executions.list(workflow_id="create_snapshot").items == []
    assert len(client.executions.list(include_system_workflows=True)) == 1
    client.snapshots.delete("snap")
    assert client.snapshots.list().items == []


def test_a_snapshot_is_downloaded_with_its_length_and_is_a_zip(
    client: Any, manager: StandaloneManager, tmp_path: Path
) -> None:
    make(client, manager)
    seen: list[tuple[int, int]] = []
    target = client.snapshots.download(
        "snap", str(tmp_path / "snap.zip"), lambda done, total: seen.append((done, total))
    )
    assert seen[-1][0] == seen[-1][1] == Path(target).stat().st_size
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None


def test_a_snapshot_whose_file_is_lost_is_listed_and_cannot_be_had(
    client: Any, manager: StandaloneManager, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(client, manager)
    manager.machine.path("/opt/manager/resources/snapshots/snap/snap.zip").unlink()
    assert client.snapshots.get("snap").status == "created"
    with pytest.raises(CloudifyClientError) as caught:
        client.snapshots.download("snap", str(tmp_path / "snap.zip"))
    if client.manager.get_version()["version"].startswith("4"):
        assert (caught.value.status_code, caught.value.error_code) == (500, "internal_server_error")
        assert "No such file or directory: '/opt/manager/resources/snapshots/snap/snap.zip'" in str(
            caught.value
        )
    else:
        assert caught.value.status_code == 404
    assert not caplog.records


def test_a_snapshot_that_fails_says_why(client: Any, manager: StandaloneManager, tmp_path: Path) -> None:
    manager.script(Script("create_snapshot", error="No space left on device"))
    execution = client.snapshots.create("snap", include_credentials=True)
    manager.advance(5)
    snapshot = client.snapshots.get("snap")
    assert (snapshot.status, snapshot.error) == ("failed", "No space left on device")
    manager.advance(2)
    assert client.executions.get(execution.id).status == "failed"
    with refused(400, "snapshot_action_error"):
        client.snapshots.download("snap", str(tmp_path / "x"))


def test_snapshots_and_executions_keep_out_of_each_others_way(
    client: Any, manager: StandaloneManager, tmp_path: Path
) -> None:
    upload_blueprint(client, samples.make_blueprint(tmp_path), "sample")
    client.deployments.create("sample", "dep")
    running = client.executions.start("dep", "install")
    with refused(400, "existing_running_execution_error"):
        client.snapshots.create("snap", include_credentials=True)
    assert client.snapshots.list().items == []
    if manager.version != "4.3.0":
        client.snapshots.create("queued", include_credentials=True, queue=True)
        manager.advance(10)
        assert client.executions.get(running.id).status == "terminated"
        manager.advance(7)
        assert client.snapshots.get("queued").status == "created"
    manager.advance(20)
    client.snapshots.create("snap", include_credentials=True)
    if manager.version.startswith("4"):
        with refused(400, "existing_running_execution_error"):
            client.executions.start("dep", "install")
    else:
        assert client.executions.start("dep", "install").status == "queued"


def test_an_upload_over_an_existing_snapshot_is_answered_with_nothing(
    client: Any, manager: StandaloneManager, tmp_path: Path
) -> None:
    (tmp_path / "other.zip").write_bytes(b"other")
    make(client, manager)
    answer = client.snapshots.upload(str(tmp_path / "other.zip"), "snap")
    assert set(answer.values()) == {None}
    uploaded = client.snapshots.upload(str(tmp_path / "other.zip"), "new")
    assert uploaded.status == "uploaded"


def test_a_bad_name_is_refused(client: Any) -> None:
    for name in ("1st", "a b", "x" * 257):
        with refused(400, "bad_parameters_error"):
            client.snapshots.create(name, include_credentials=True)


def fill(client: Any, manager: StandaloneManager, tmp_path: Path) -> None:
    client.tenants.create("red")
    client.secrets.create("key", "value")
    client.plugins.upload(str(samples.make_plugin(tmp_path)))
    upload_blueprint(client, samples.make_blueprint(tmp_path), "sample")
    client.deployments.create("sample", "dep")
    client.executions.start("dep", "install")
    manager.advance(20)


def carry(source: StandaloneManager, target: StandaloneManager, tmp_path: Path) -> None:
    """A snapshot of one manager, uploaded to another."""
    make(connect(source), source)
    path = connect(source).snapshots.download("snap", str(tmp_path / "snap.zip"))
    connect(target).snapshots.upload(path, "snap")


def test_a_restore_brings_everything_back_on_another_manager(
    client: Any, manager: StandaloneManager, tmp_path: Path
) -> None:
    fill(client, manager, tmp_path)
    with manager_of(tmp_path / "n", manager.version, SETTINGS) as new:
        carry(manager, new, tmp_path)
        other = connect(new)
        other.secrets.create("stays", "not")
        execution = restore(other, "snap")
        assert execution["workflow_id"] == "restore_snapshot"
        assert other.deployments.list().items == []
        new.advance(4)
        assert other.executions.get(execution["id"]).status == "terminated"
        assert [s.key for s in other.secrets.list()] == ["key"]
        assert other.secrets.get("key").value == "value"
        assert [t["name"] for t in other.tenants.list()] == ["default_tenant", "red"]
        assert {i.state for i in other.node_instances.list(deployment_id="dep")} == {"started"}
        plugin = other.plugins.list()[0]
        other.plugins.download(plugin.id, str(tmp_path / "down.wgn"))
        agents = other.executions.start("dep", "install_new_agents")
        assert agents.status == "pending"


def test_a_restore_onto_a_manager_in_use_fails_unless_forced(
    client: Any, manager: StandaloneManager, tmp_path: Path
) -> None:
    fill(client, manager, tmp_path)
    make(client, manager)
    failed = restore(client, "snap")
    manager.advance(4)
    assert "dirty" in client.executions.get(failed["id"]).error
    forced = restore(client, "snap", force=True)
    manager.advance(4)
    assert client.executions.get(forced["id"]).status == "terminated"


def test_a_snapshot_of_a_newer_manager_is_not_restored(tmp_path: Path) -> None:
    with (
        manager_of(tmp_path / "new", "4.6.0", SETTINGS) as new,
        manager_of(tmp_path / "old", "4.3.0", SETTINGS) as old,
    ):
        carry(new, old, tmp_path)
        execution = restore(connect(old), "snap")
        old.advance(4)
        ended = connect(old).executions.get(execution["id"])
        assert (ended.status, "newer manager" in ended.error) == ("failed", True)


def test_a_file_that_is_no_snapshot_is_not_restored(
    client: Any, manager: StandaloneManager, tmp_path: Path
) -> None:
    (tmp_path / "junk.zip").write_bytes(b"junk")
    client.snapshots.upload(str(tmp_path / "junk.zip"), "snap")
    execution = restore(client, "snap")
    manager.advance(4)
    assert client.executions.get(execution["id"]).status == "failed"


def test_generation_4_wants_to_know_about_environments(tmp_path: Path) -> None:
    with manager_of(tmp_path, "4.6.0") as manager:
        make(connect(manager), manager)
        with refused(400, "bad_parameters_error", "Missing recreate_deployments_envs"):
            connect(manager).snapshots.restore("snap")


def test_a_restore_can_succeed_and_have_done_nothing(tmp_path: Path) -> None:
    with (
        manager_of(tmp_path / "a", "4.6.0", SETTINGS) as manager,
        manager_of(tmp_path / "b", "4.6.0", SETTINGS) as new,
    ):
        connect(manager).secrets.create("key", "value")
        carry(manager, new, tmp_path)
        new.script(Script("restore_snapshot", effects=False))
        execution = restore(connect(new), "snap")
        new.advance(4)
        assert connect(new).executions.get(execution["id"]).status == "terminated"
        assert connect(new).secrets.list().items == []


def test_a_refused_restore_of_generation_5_stays_pending_and_holds_everything_up(
    tmp_path: Path,
) -> None:
    with manager_of(tmp_path / "m", "7.0.5", SETTINGS) as manager:
        client = connect(manager)
        make(client, manager)
        upload_blueprint(client, samples.make_blueprint(tmp_path), "sample")
        manager.advance(1)
        client.deployments.create("sample", "dep")
        manager.advance(1)
        client.executions.start("dep", "install")
        with refused(400, "existing_running_execution_error"):
            client.snapshots.restore("snap")
        manager.advance(20)
        (left,) = client.executions.list(include_system_workflows=True, workflow_id="restore_snapshot")
        assert left.status == "pending"
        held_up = client.executions.start("dep", "install")
        assert held_up.status == "queued"
        client.executions.cancel(left.id)
        manager.advance(1)
        assert client.executions.get(held_up.id).status == "started"


def test_rest_is_away_for_a_moment_after_a_restore(tmp_path: Path) -> None:
    settings = replace(SETTINGS, restore_outage_seconds=10)
    with manager_of(tmp_path, "4.6.0", settings) as manager:
        client = connect(manager)
        make(client, manager)
        restore(client, "snap")
        manager.advance(4)
        with refused(502, None):
            client.manager.get_version()
        manager.advance(10)
        client.manager.get_version()


def test_a_large_snapshot_is_padded_and_whole(tmp_path: Path) -> None:
    settings = Settings(snapshot_padding_bytes=20_000_000)
    with manager_of(tmp_path, "4.6.0", settings) as manager:
        client = connect(manager)
        client.snapshots.create("big", include_credentials=True)

        def created() -> bool:
            manager.advance(0.1)
            return bool(client.snapshots.get("big").status == "created")

        wait_until(created)
        path = Path(client.snapshots.download("big", str(tmp_path / "big.zip")))
        assert path.stat().st_size > 20_000_000
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None


def test_a_download_is_cut_where_a_fault_says(tmp_path: Path) -> None:
    with manager_of(tmp_path, "4.6.0", Settings(snapshot_padding_bytes=1_000_000)) as manager:
        client = connect(manager)
        make(client, manager)
        size = manager.machine.path("/opt/manager/resources/snapshots/snap/snap.zip").stat().st_size
        manager.fault("cut", path="/archive$", after_bytes=size // 2, times=1)
        with pytest.raises(Exception, match=r"IncompleteRead|Connection broken"):
            client.snapshots.download("snap", str(tmp_path / "cut.zip"))
        client.snapshots.download("snap", str(tmp_path / "whole.zip"))
        assert (tmp_path / "whole.zip").stat().st_size == size
