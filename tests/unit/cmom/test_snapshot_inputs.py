"""The inputs of backups and restores: each combination that is not one of the three is refused, with its
place."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from cmom.errors import ActionRequired, InvalidInputs, TryAgainLater
from cmom.models import Host, ManagerAccess, Secret, Version
from cmom.services import preflight
from cmom.services.deployed import DeployedCluster
from cmom.services.snapshots.precheck import check_folder, check_restore
from cmom.services.snapshots.requests import BackupRequest, RestoreRequest
from cmom.services.snapshots.store import SnapshotStore
from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import Findings
from cmom.services.validation.snapshots import (
    RESTORE_INPUTS,
    parse_backup,
    parse_restore,
    read_restore,
    read_store,
)
from tests.unit.cmom.given_inputs import good_inputs
from tests.unit.cmom.given_snapshot import flip, store_snapshot, write_archive
from tests.unit.cmom.given_tier2 import GivenTier2

DEFAULTS: dict[str, Any] = {
    "restore": False,
    "snapshot_path": "",
    "old_deployment_id": "",
    "snapshot_id": "",
    "backup": False,
    "transfer_agents": True,
    "restore_params": [],
}


@pytest.fixture
def archive(tmp_path: Path) -> str:
    return str(write_archive(tmp_path / "mine.zip"))


def faults_of(**given: Any) -> dict[str, str]:
    with pytest.raises(InvalidInputs) as error:
        parse_restore({**DEFAULTS, **given})
    return {fault.place: fault.problem for fault in error.value.faults}


def test_nothing_is_restored_unless_it_is_asked_for():
    assert parse_restore(DEFAULTS) is None
    assert parse_restore({}) is None


def test_the_three_that_are_allowed(archive: str):
    assert parse_restore({**DEFAULTS, "restore": True, "snapshot_path": archive}) == RestoreRequest(archive)
    assert parse_restore(
        {**DEFAULTS, "restore": True, "old_deployment_id": "old", "snapshot_id": "mine"}
    ) == RestoreRequest(old_deployment_id="old", snapshot_id="mine")
    assert parse_restore(
        {
            **DEFAULTS,
            "restore": True,
            "old_deployment_id": "old",
            "backup": True,
            "transfer_agents": False,
            "restore_params": ["--force"],
        }
    ) == RestoreRequest(old_deployment_id="old", parameters=("--force",), transfer_agents=False)


def test_every_other_combination_is_refused(archive: str):
    allowed = {
        (False, False, False, False, False),
        (True, True, False, False, False),
        (True, False, True, True, False),
        (True, False, True, False, True),
    }
    for combination in itertools.product([False, True], repeat=5):
        restore, path, old, name, backup = combination
        given = {
            **DEFAULTS,
            "restore": restore,
            "snapshot_path": archive if path else "",
            "old_deployment_id": "old" if old else "",
            "snapshot_id": "mine" if name else "",
            "backup": backup,
        }
        if combination in allowed:
            parse_restore(given)
            continue
        with pytest.raises(InvalidInputs):
            parse_restore(given)


@pytest.mark.parametrize(
    ("given", "places"),
    [
        ({"snapshot_id": "mine"}, {"snapshot_id": "restore is false"}),
        (
            {"backup": True, "old_deployment_id": "old"},
            {"backup": "restore is false", "old_deployment_id": "restore"},
        ),
        ({"restore_params": ["--force"]}, {"restore_params": "restore is false"}),
        ({"restore": True}, {"restore": "nothing says what to restore"}),
        ({"restore": True, "snapshot_id": "mine"}, {"snapshot_id": "without old_deployment_id"}),
        ({"restore": True, "backup": True}, {"backup": "without old_deployment_id"}),
        ({"restore": True, "old_deployment_id": "old"}, {"old_deployment_id": "without snapshot_id"}),
        (
            {"restore": True, "old_deployment_id": "old", "snapshot_id": "mine", "backup": True},
            {"snapshot_id": "takes a new one"},
        ),
        ({"restore": True, "snapshot_path": "/no/such.zip"}, {"snapshot_path": "there is no file"}),
        ({"restore": True, "snapshot_path": "relative.zip"}, {"snapshot_path": "relative path"}),
        ({"restore": "yes"}, {"restore": "must be true or false"}),
        ({"restore": True, "old_deployment_id": "../x", "backup": True}, {"old_deployment_id": "not the ID"}),
        (
            {"restore": True, "old_deployment_id": "old", "snapshot_id": "../x"},
            {"snapshot_id": "begin with a letter"},
        ),
        ({"restore": True, "old_deployment_id": 7, "backup": True}, {"old_deployment_id": "must be text"}),
        ({"restore_params": ["force"]}, {"restore_params[0]": "did you mean '--force'?"}),
        ({"restore_params": "--force"}, {"restore_params": "must be a list"}),
        (
            {"restore_params": ["--no-reboot", 3]},
            {"restore_params": "restore is false", "restore_params[1]": "must be one of"},
        ),
    ],
)
def test_each_fault_is_named_with_its_place(given: dict[str, Any], places: dict[str, str]):
    faults = faults_of(**given)
    assert set(faults) == set(places)
    for place, words in places.items():
        assert words in faults[place], faults


@pytest.mark.parametrize(
    ("words", "remarks"),
    [
        (["--force"], []),
        (["--no-reboot"], ["--no-reboot means nothing without --restore-certificates"]),
        (["--restore-certificates"], ["--restore-certificates replaces the certificates"]),
        (["--restore-certificates", "--no-reboot"], ["--restore-certificates replaces the certificates"]),
    ],
)
def test_words_worth_a_word_have_a_warning_and_no_other_has(
    archive: str, words: list[str], remarks: list[str]
):
    findings = Findings()
    given = {**DEFAULTS, "restore": True, "snapshot_path": archive, "restore_params": words}
    found = read_restore(Fields(given, "", findings, RESTORE_INPUTS))
    assert found == RestoreRequest(archive, parameters=tuple(words))
    assert findings.faults == ()
    assert len(findings.warnings) == len(remarks)
    for warning, remark in zip(findings.warnings, remarks, strict=True):
        assert warning.startswith(f"restore_params: {remark}")


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({"keep_snapshots": 0, "snapshots_path": "/backups"}, set()),
        ({"keep_snapshots": 1}, set()),
        ({"keep_snapshots": -1}, {"keep_snapshots"}),
        ({"snapshots_path": "backups"}, {"snapshots_path"}),
        ({"snapshots_path": "/a/../b", "keep_on_tier1": "x"}, {"snapshots_path", "keep_on_tier1"}),
    ],
)
def test_where_snapshots_lie_and_how_many_are_kept_is_judged(given: dict[str, Any], faults: set[str]):
    findings = Findings()
    read_store(Fields(given, "", findings, ("snapshots_path", "keep_snapshots", "keep_on_tier1")))
    assert {fault.place for fault in findings.faults} == faults


def test_beside_a_path_everything_else_is_refused_at_once(archive: str):
    faults = faults_of(
        restore=True, snapshot_path=archive, old_deployment_id="old", snapshot_id="mine", backup=True
    )
    assert set(faults) == {"old_deployment_id", "snapshot_id", "backup"}


def test_a_backup_is_what_its_words_say():
    assert parse_backup({"snapshot_id": "", "backup_params": None}) == BackupRequest()
    words = ["--exclude-logs", "--exclude-events", "--exclude-logs"]
    assert parse_backup({"snapshot_id": "mine", "backup_params": words}) == BackupRequest(
        "mine", ("--exclude-logs", "--exclude-events")
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"snapshot_id": "1st"}, "begin with a letter"),
        ({"snapshot_id": "a/../../b"}, "may have letters"),
        ({"snapshot_id": "a" * 300}, "too long"),
        ({"backup_params": ["--exclude-log"]}, "did you mean '--exclude-logs'?"),
        ({"backup_params": ["--force"]}, "unknown word '--force'"),
        ({"backup_params": "--exclude-logs"}, "must be a list"),
    ],
)
def test_what_is_wrong_with_a_backup_is_said(given: dict[str, Any], words: str):
    with pytest.raises(InvalidInputs) as error:
        parse_backup(given)
    assert words in str(error.value)


VERSION = Version.parse("4.6.0")


class NoTier2:
    """A Tier 2 that must not be asked."""

    def __call__(self) -> Any:
        raise AssertionError("Tier 2 was asked")


class EmptyTier2:
    """A Tier 2 without deployments."""

    def list_nodes(self, deployment_id: str) -> Any:
        raise ActionRequired(f"Tier 2 has no deployment {deployment_id}.")

    list_instances = list_nodes


def check(request: RestoreRequest, base: Path, version: Version = VERSION, **given: Any) -> Findings:
    findings = Findings()
    arguments: dict[str, Any] = {
        "deployment_id": "new",
        "deployments": NoTier2(),
        "ask": lambda cluster: None,
        **given,
    }
    check_restore(request, str(base), version, findings, **arguments)
    return findings


def test_a_whole_snapshot_of_an_older_manager_is_fine(tmp_path: Path):
    store_snapshot(SnapshotStore(tmp_path, "old"), "mine")
    findings = check(RestoreRequest(old_deployment_id="old", snapshot_id="mine"), tmp_path)
    assert (findings.faults, findings.warnings) == ((), ())


def test_a_snapshot_from_elsewhere_is_fine_with_a_warning(tmp_path: Path, archive: str):
    findings = check(RestoreRequest(snapshot_path=archive), tmp_path)
    assert findings.faults == ()
    assert "has no manifest beside it" in findings.warnings[0]


@pytest.mark.parametrize(
    ("damage", "version", "words"),
    [
        (flip, "4.6.0", "not what it was"),
        (Path.unlink, "4.6.0", "there is no snapshot"),
        (lambda path: None, "4.3.0", "newer than the 4.3.0"),
    ],
)
def test_a_snapshot_that_cannot_be_restored_is_refused_before_anything_is_made(
    tmp_path: Path, damage: Any, version: str, words: str
):
    damage(store_snapshot(SnapshotStore(tmp_path, "old"), "mine").path)
    request = RestoreRequest(old_deployment_id="old", snapshot_id="mine")
    (fault,) = check(request, tmp_path, Version.parse(version)).faults
    assert fault.place == "snapshot_id"
    assert words in fault.problem


def test_a_cluster_that_a_backup_is_to_be_taken_of_is_looked_for(tmp_path: Path):
    request = RestoreRequest(old_deployment_id="old")
    (fault,) = check(request, tmp_path, deployments=EmptyTier2).faults
    assert str(fault) == "old_deployment_id: Tier 2 has no deployment old."
    (fault,) = check(request, tmp_path, deployment_id="old").faults
    assert "is this deployment itself" in fault.problem


def test_words_that_mean_nothing_are_a_warning(tmp_path: Path, archive: str):
    request = RestoreRequest(archive, parameters=("--without-deployment-envs",))
    findings = check(request, tmp_path, Version.parse("7.0.5"))
    assert any("means nothing to generation 5" in warning for warning in findings.warnings)


def test_certificates_of_generation_4_are_not_brought_into_generation_5(tmp_path: Path, archive: str):
    request = RestoreRequest(archive, parameters=("--restore-certificates",))
    (fault,) = check(request, tmp_path, Version.parse("7.0.5")).faults
    assert fault.place == "restore_params"
    assert "trust each other" in fault.problem
    assert check(request, tmp_path).faults == ()
    assert check(RestoreRequest(archive), tmp_path, Version.parse("7.0.5")).faults == ()


def test_neither_are_those_of_an_old_cluster_that_is_backed_up_first(tmp_path: Path):
    request = RestoreRequest(old_deployment_id="old", parameters=("--restore-certificates",))
    (fault,) = check(request, tmp_path, Version.parse("7.0.5"), deployments=GivenTier2).faults
    assert fault.place == "restore_params"


def test_a_folder_that_backups_cannot_be_written_to_is_a_warning(tmp_path: Path):
    (tmp_path / "file").write_text("")
    findings = Findings()
    check_folder(str(tmp_path / "new" / "snapshots"), findings)
    assert findings.warnings == ()
    check_folder(str(tmp_path / "file" / "snapshots"), findings)
    assert "backups will fail" in findings.warnings[0]


def preflight_faults(folder: Path, **given: Any) -> list[str]:
    with pytest.raises(InvalidInputs) as error:
        preflight.check({**good_inputs(folder), **given})
    return [str(fault) for fault in error.value.faults]


def test_preflight_names_what_is_wrong_with_the_restore_together_with_everything_else(tmp_path: Path):
    newer = write_archive(tmp_path / "newer.zip", version="4.6.0")
    inputs = {"restore": True, "snapshot_path": str(newer), "tenants": ["1st"], "keep_snapshots": -1}
    inputs |= {"snapshots_path": "relative", "keep_on_tier1": "no"}
    with pytest.raises(InvalidInputs) as error:
        preflight.check({**good_inputs(tmp_path, version="4.3.0"), **inputs})
    places = [fault.place for fault in error.value.faults]
    assert sorted(places) == [
        "keep_on_tier1",
        "keep_snapshots",
        "snapshot_path",
        "snapshots_path",
        "tenants[0]",
    ]


def test_preflight_refuses_a_combination(tmp_path: Path):
    faults = preflight_faults(tmp_path, restore=True)
    assert faults == [
        "restore: is true, but nothing says what to restore; give snapshot_path, or old_deployment_id with "
        "snapshot_id "
        "or with backup"
    ]


def test_preflight_waits_for_an_old_cluster_that_does_not_answer(tmp_path: Path):
    cluster = DeployedCluster(
        "old", (Host("127.0.0.1", "127.0.0.1", "a"),), ManagerAccess("admin", Secret("x"), "/none"), VERSION
    )

    def ask(asked: DeployedCluster) -> None:
        assert asked.deployment_id == cluster.deployment_id
        raise TryAgainLater("it does not answer")

    with pytest.raises(TryAgainLater):
        check(RestoreRequest(old_deployment_id="old"), tmp_path, deployments=GivenTier2, ask=ask)
