"""Backups and restores: where snapshots lie, how many are kept, what is restored and from where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmom.services.snapshots.requests import (
    BACKUP_WORDS,
    NO_REBOOT,
    RESTORE_CERTIFICATES,
    RESTORE_WORDS,
    BackupRequest,
    RestoreRequest,
)
from cmom.services.snapshots.store import snapshot_id_problem
from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import Findings, kind_of, nearest, shown
from cmom.services.validation.manager import readable

DEFAULT_SNAPSHOTS_PATH = "/etc/cloudify/snapshots"

STORE_INPUTS = ("snapshots_path", "keep_snapshots", "keep_on_tier1")
RESTORE_INPUTS = (
    "restore",
    "snapshot_path",
    "old_deployment_id",
    "snapshot_id",
    "backup",
    "transfer_agents",
    "restore_params",
)
_BACKUP_PARAMETERS = ("snapshot_id", "backup_params")


def parse_backup(raw: Mapping[str, Any]) -> BackupRequest:
    """Check the parameters of the workflow ``backup``.

    Raises:
        InvalidInputs: With every fault and its place.
    """
    findings = Findings()
    fields = Fields(raw, "", findings, _BACKUP_PARAMETERS)
    snapshot_id = _snapshot_id(fields)
    words = _words(fields, "backup_params", BACKUP_WORDS)
    findings.raise_faults()
    return BackupRequest(snapshot_id, words)


def parse_restore(raw: Mapping[str, Any]) -> RestoreRequest | None:
    """Check the inputs of a restore; None when nothing is to be restored.

    Raises:
        InvalidInputs: With every fault and its place.
    """
    findings = Findings()
    found = read_restore(Fields(raw, "", findings, RESTORE_INPUTS))
    findings.raise_faults()
    return found


def read_store(fields: Fields) -> None:
    """Check where snapshots lie and how many are kept."""
    path = fields.line("snapshots_path", default=DEFAULT_SNAPSHOTS_PATH)
    if path is not None and (not path.startswith("/") or ".." in path.split("/")):
        fields.fault(
            "snapshots_path", f"must be the absolute path of a folder on Tier 2, unlike {shown(path)}"
        )
    fields.integer("keep_snapshots", default=0, least=0)
    fields.boolean("keep_on_tier1")


def read_restore(fields: Fields) -> RestoreRequest | None:
    """Read what is to be restored; None when nothing is, or when it cannot be told.

    Every combination that is not one of the three is a fault, also what is given beside ``restore: false``:
    who forgot to switch it on must not find an empty manager afterwards.
    """
    before = len(fields.findings.faults)
    wanted = fields.boolean("restore")
    backup = fields.boolean("backup")
    transfer_agents = fields.boolean("transfer_agents")
    words = _words(fields, "restore_params", RESTORE_WORDS)
    old_deployment_id = _old_deployment_id(fields)
    snapshot_id = _snapshot_id(fields)
    if not wanted:
        _nothing_beside(fields, bool(backup), words)
        return None
    snapshot_path = readable(fields, "snapshot_path")
    _one_source(fields, bool(backup))
    if NO_REBOOT in words and RESTORE_CERTIFICATES not in words:
        fields.findings.warn("restore_params", f"{NO_REBOOT} means nothing without {RESTORE_CERTIFICATES}")
    if RESTORE_CERTIFICATES in words:
        fields.findings.warn(
            "restore_params",
            f"{RESTORE_CERTIFICATES} replaces the certificates that this installation makes; the managers "
            "are only "
            "trusted afterwards if those in the snapshot are of the same ca_cert and for the same addresses",
        )
    if len(fields.findings.faults) > before:
        return None
    return RestoreRequest(
        snapshot_path=snapshot_path,
        old_deployment_id=old_deployment_id,
        snapshot_id=snapshot_id,
        parameters=words,
        transfer_agents=transfer_agents is not False,
    )


def _nothing_beside(fields: Fields, backup: bool, words: tuple[str, ...]) -> None:
    """Note what is given though nothing is restored."""
    given = [name for name in ("snapshot_path", "old_deployment_id", "snapshot_id") if fields.given(name)]
    given += ["backup"] if backup else []
    given += ["restore_params"] if words else []
    for name in given:
        fields.fault(name, "is given, but restore is false; set restore to true, or leave this out")


def _one_source(fields: Fields, backup: bool) -> None:
    """Note what is wrong about where the snapshot comes from."""
    path, old, name = (fields.given(key) for key in ("snapshot_path", "old_deployment_id", "snapshot_id"))
    if path:
        beside = [
            key
            for key, given in (("old_deployment_id", old), ("snapshot_id", name), ("backup", backup))
            if given
        ]
        for key in beside:
            fields.fault(key, "is given beside snapshot_path; they exclude each other")
        return
    if name and not old:
        fields.fault("snapshot_id", "is given without old_deployment_id, whose snapshot it is")
    if backup and not old:
        fields.fault("backup", "is true without old_deployment_id, of whose cluster it would be taken")
    if name and backup:
        fields.fault(
            "snapshot_id",
            "names a snapshot that exists, but backup takes a new one; leave out one of the two",
        )
    if old and not name and not backup:
        fields.fault(
            "old_deployment_id",
            "is given without snapshot_id; name one of its snapshots, or set backup to true",
        )
    if not (old or name or backup):
        fields.fault(
            "restore",
            "is true, but nothing says what to restore; give snapshot_path, or old_deployment_id with "
            "snapshot_id or "
            "with backup",
        )


def _old_deployment_id(fields: Fields) -> str | None:
    value = fields.line("old_deployment_id")
    if value is not None and ("/" in value or value in (".", "..")):
        fields.fault("old_deployment_id", f"is not the ID of a deployment: {shown(value)}")
        return None
    return value


def _snapshot_id(fields: Fields) -> str | None:
    value = fields.text("snapshot_id")
    problem = snapshot_id_problem(value) if value is not None else None
    if problem:
        fields.fault("snapshot_id", problem)
        return None
    return value


def _words(fields: Fields, name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Read words of the command line, as they are."""
    found: dict[str, None] = {}
    for place, raw in fields.entries(name):
        if not isinstance(raw, str):
            fields.findings.fault(place, f"must be one of {', '.join(known)}, not {kind_of(raw)}")
        elif raw not in known:
            hint = nearest(raw, known)
            fields.findings.fault(place, f"unknown word {shown(raw)}{hint}")
        else:
            found[raw] = None
    return tuple(found)
