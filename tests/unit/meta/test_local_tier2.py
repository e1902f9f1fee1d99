"""The local profile: files that are read, and a ``cfy`` that is run, given up, or kept out."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cmom_meta.clients.local import LocalTier2
from cmom_meta.clients.local_runs import LocalRuns
from cmom_meta.errors import ActionRequired, Busy
from cmom_meta.models import CLUSTER_TYPE, Order, Outcome, Run, State
from cmom_meta.services.fleet import GET_STATUS

BACKUP = Order("backup", {"snapshot_id": "s1"})
END_SECONDS = 60.0
Open = Callable[[str], LocalTier2]


def make_deployment(folder: Path, name: str, types: list[str], properties: dict[str, Any]) -> None:
    """Write a deployment as the local profile does."""
    place = folder / name
    (place / "node-instances").mkdir(parents=True)
    node = {"id": "c", "type_hierarchy": types}
    (place / "deployment.json").write_text(json.dumps({"id": name, "nodes": {"c": node}}))
    instance = {"id": "c_1", "node_id": "c", "runtime_properties": properties}
    (place / "node-instances" / "c_1.json").write_text(json.dumps(instance))


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open a profile whose ``cfy`` is a script."""
    tier2s = []
    make_deployment(tmp_path / "deployments", "a", ["x", CLUSTER_TYPE], {"status": {"condition": "ready"}})
    make_deployment(tmp_path / "deployments", "foreign", ["x"], {})

    def begin(script: str) -> LocalTier2:
        cfy = tmp_path / "cfy"
        cfy.write_text(f"#!/bin/sh\n{script}\n")
        cfy.chmod(0o700)
        runs = LocalRuns(tmp_path / "runs", tmp_path, str(cfy))
        tier2s.append(LocalTier2(tmp_path / "deployments", runs, sleep=lambda _: None))
        return tier2s[-1]

    yield begin
    for tier2 in tier2s:
        tier2.close()


def state_at_the_end(tier2: LocalTier2, run: Run) -> State:
    """Wait for the end of a run."""
    ends_at = time.monotonic() + END_SECONDS
    while (state := tier2.states([run])[run.id]).outcome is Outcome.RUNNING:
        assert time.monotonic() < ends_at
        time.sleep(0.01)
    return state


def test_deployments_and_clusters_are_read(opened: Open) -> None:
    tier2 = opened("exit 0")
    assert tier2.existing(["a", "foreign", "gone", "..", "a/../a"]) == {"a", "foreign"}
    found = tier2.clusters(["a", "foreign", "gone"])
    assert {name: one.properties for name, one in found.items()} == {"a": {"status": {"condition": "ready"}}}


@pytest.mark.parametrize(
    "content", ['{"id": ', "[]", '{"node_id": "c", "runtime_properties": 5}', "[" * 100_000]
)
def test_a_damaged_deployment_costs_the_others_nothing_and_is_asked_all_the_same(
    opened: Open, tmp_path: Path, content: str
) -> None:
    tier2 = opened("exit 0")
    whole = tmp_path / "deployments" / "a"
    shutil.copytree(whole, tmp_path / "deployments" / "damaged")
    instance = json.loads((whole / "node-instances" / "c_1.json").read_text())
    damaged = content.replace('"c"', json.dumps(instance["node_id"]))
    (tmp_path / "deployments" / "damaged" / "node-instances" / "c_1.json").write_text(damaged)
    found = tier2.clusters(["a", "damaged"])
    assert found["a"].properties == {"status": {"condition": "ready"}}
    assert found["damaged"].properties == {}


@pytest.mark.parametrize("name", ["../../evil", "--help", "a/b", "", "a b", "x" * 5000, "a\0b"])
def test_what_is_no_name_of_a_workflow_is_never_started(opened: Open, tmp_path: Path, name: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ActionRequired, match="is not the name of a workflow"):
        opened("exit 0").start("a", Order(name, {}))
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before and "evil" in path.name] == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/../a", "/etc", "x" * 5000, "a\0b", "\ud800"])
def test_a_deployment_is_looked_for_within_the_profile(opened: Open, name: str) -> None:
    assert opened("exit 0").existing([name]) == frozenset()


def test_labels_are_refused_with_the_reason(opened: Open) -> None:
    with pytest.raises(ActionRequired, match="knows no labels"):
        opened("exit 0").labelled(["a=b"])


def test_a_workflow_is_run_with_its_parameters(opened: Open, tmp_path: Path) -> None:
    tier2 = opened(
        f'cat "$7" > {tmp_path}/given; echo "$@" > {tmp_path}/words; echo $CFY_WORKDIR > {tmp_path}/where'
    )
    run = tier2.start("a", BACKUP)
    assert state_at_the_end(tier2, run) == State(Outcome.SUCCEEDED)
    assert json.loads((tmp_path / "given").read_text()) == {"snapshot_id": "s1"}
    words = (tmp_path / "words").read_text().split()
    assert words[:6] == ["executions", "start", "backup", "-b", "a", "-p"]
    assert (tmp_path / "where").read_text().strip() == str(tmp_path)
    assert list((tmp_path / "runs").glob("*.json")) == []


def test_the_error_of_a_failed_workflow_is_told(opened: Open) -> None:
    tier2 = opened(
        """echo "CFY <a> [c.x] Task failed 'cmom.x' -> The disk is full."; echo "Task failed: x:"; exit 1"""
    )
    state = state_at_the_end(tier2, tier2.start("a", GET_STATUS))
    assert state.outcome is Outcome.FAILED
    assert state.error.startswith("The disk is full. (cfy ended with 1; see ")


def test_one_that_hangs_is_ended_with_all_that_it_started(opened: Open, tmp_path: Path) -> None:
    tier2 = opened(f"sleep 600 & echo $! > {tmp_path}/child; wait")
    run = tier2.start("a", GET_STATUS)
    ends_at = time.monotonic() + END_SECONDS
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text().strip():
        assert time.monotonic() < ends_at
        time.sleep(0.01)
    tier2.abandon(run)
    assert tier2.states([run])[run.id].outcome is Outcome.FAILED
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    while child.exists() and child.read_text().split()[2] != "Z":
        assert time.monotonic() < ends_at
        time.sleep(0.01)


@pytest.mark.parametrize(("name", "who"), [("heal.lock", "A heal"), ("executions.lock", "Another execution")])
def test_what_changes_something_keeps_out_while_another_workflow_runs(
    opened: Open, tmp_path: Path, name: str, who: str
) -> None:
    tier2 = opened("exit 0")
    place = tmp_path / "deployments" / "a" / "workdir"
    place.mkdir()
    lock = os.open(place / name, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        with pytest.raises(Busy, match=who):
            tier2.start("a", BACKUP)
        assert state_at_the_end(tier2, tier2.start("a", GET_STATUS)).outcome is Outcome.SUCCEEDED
    finally:
        os.close(lock)
    assert state_at_the_end(tier2, tier2.start("a", BACKUP)).outcome is Outcome.SUCCEEDED


def test_two_fleet_workflows_keep_apart_on_one_deployment(opened: Open, tmp_path: Path) -> None:
    tier2 = opened(f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done")
    run = tier2.start("a", BACKUP)
    with pytest.raises(Busy, match="Another fleet workflow"):
        tier2.start("a", BACKUP)
    (tmp_path / "go").touch()
    assert state_at_the_end(tier2, run).outcome is Outcome.SUCCEEDED
    assert state_at_the_end(tier2, tier2.start("a", BACKUP)).outcome is Outcome.SUCCEEDED


def test_a_cfy_that_is_not_there_is_named(tmp_path: Path) -> None:
    runs = LocalRuns(tmp_path / "runs", tmp_path, str(tmp_path / "nowhere"))
    with pytest.raises(ActionRequired, match="nowhere cannot be started"):
        runs.start(tmp_path / "place", "a", GET_STATUS)
    assert list((tmp_path / "runs").glob("*.json")) == []
