"""Before any machine is made: can what is to be restored be restored by the managers that are to be
installed?"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from cmom.clients.tier2 import Deployments
from cmom.errors import ActionRequired
from cmom.models import Version
from cmom.services.deployed import DeployedCluster, find_cluster
from cmom.services.snapshots.carrying import certificates_problem, not_carried
from cmom.services.snapshots.requests import RestoreRequest, meaningless
from cmom.services.snapshots.source import chosen_path, open_snapshot, version_problem
from cmom.services.validation.findings import Findings
from cmom.services.validation.snapshots import DEFAULT_SNAPSHOTS_PATH


def check_folder(base: str | None, findings: Findings) -> None:
    """Warn when the folder for snapshots will not do: nobody should find out when they need it."""
    folder = Path(base or DEFAULT_SNAPSHOTS_PATH)
    existing = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        findings.warn(
            "snapshots_path",
            f"{folder} cannot be written to by this user, so backups will fail; change the owner of "
            f"{existing}, or "
            "give another place",
        )


def check_restore(
    request: RestoreRequest,
    base: str | None,
    version: Version,
    findings: Findings,
    *,
    deployment_id: str,
    deployments: Callable[[], Deployments],
    ask: Callable[[DeployedCluster], None],
) -> None:
    """Check that what is to be restored is there, whole, and not of a newer manager.

    Args:
        request: What is asked for, found to be a possible combination.
        base: The folder of all deployments' snapshots.
        version: Of the managers that are to be installed.
        findings: Where faults go.
        deployment_id: Of the new cluster.
        deployments: Gives what Tier 2 knows of the old one.
        ask: Asks an old cluster whether it answers; raises when it does not.

    Raises:
        TryAgainLater: Tier 2 or the old cluster does not answer.
    """
    for warning in meaningless(request.parameters, version.generation):
        findings.warn("restore_params", warning)
    path = chosen_path(request, Path(base or DEFAULT_SNAPSHOTS_PATH))
    if path is not None:
        place = "snapshot_path" if request.snapshot_path is not None else "snapshot_id"
        try:
            snapshot = open_snapshot(path)
            problem = version_problem(snapshot.version, version)
            if problem:
                findings.fault(place, f"{path} cannot be restored: {problem}")
                return
            snapshot.verify()
            _judge_crossing(request, snapshot.version, version, findings)
        except ActionRequired as error:
            findings.fault(place, str(error))
            return
        if snapshot.manifest is None:
            findings.warn(
                place, f"{path} has no manifest beside it, so only its own checksums tell that it is whole"
            )
        return
    old = request.old_deployment_id or ""
    if old == deployment_id:
        findings.fault(
            "old_deployment_id", "is this deployment itself; name another one, or a snapshot_id of it"
        )
        return
    try:
        cluster = find_cluster(deployments(), old)
        problem = version_problem(cluster.version, version)
        if problem:
            findings.fault("old_deployment_id", f"a snapshot of {old} could not be restored: {problem}")
            return
        _judge_crossing(request, cluster.version, version, findings)
        ask(cluster)
    except ActionRequired as error:
        findings.fault("old_deployment_id", str(error))


def _judge_crossing(request: RestoreRequest, snapshot: Version, manager: Version, findings: Findings) -> None:
    """Say what does not come along from one version to another, and refuse what would break the new one."""
    problem = certificates_problem(request, snapshot, manager)
    if problem:
        findings.fault("restore_params", problem)
    for remark in not_carried(snapshot, manager):
        findings.warn("restore", remark)
