"""The documents' commands for the local profile, and the runbook's worst cases: real `cfy` on the lab."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lab.clock import RealClock
from lab.manager.stores.users import User
from lab.settings import LabSettings
from lab.testing import LabThread
from tests.documents import stories
from tests.scenarios.healing import instance_of, leader_and_replicas
from tests.scenarios.tier2 import FAST, Tier2

NEW_PASSWORD = "canary-changed-on-the-cluster"
QUICK = {**FAST, "ssh_timeout_seconds": 3, "heal_retries": 0}
INSTALL, RESUME, INSTANCES, HEAL, UNINSTALL = stories.IN_THE_LOCAL_PROFILE


@dataclass
class Reader:
    """Somebody who types what the documents say."""

    tier2: Tier2

    def type(self, text: str, **put_in: str) -> subprocess.CompletedProcess[str]:
        """Type a command, with other words for some of its own."""
        program, *words = shlex.split(text)
        assert program == "cfy"
        for old, new in {"inputs.yaml": str(self.tier2.profile.folder / "inputs.yaml"), **put_in}.items():
            words = [word.replace(old, new) for word in words]
        return self.tier2.profile.run(*words)

    def good(self, text: str, **put_in: str) -> str:
        done = self.type(text, **put_in)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def with_inputs(self, **changes: Any) -> Reader:
        """Write the inputs as they are now."""
        self.tier2.inputs.update(changes)
        self.tier2.profile.write_inputs(self.tier2.inputs)
        return self


def test_a_cluster_is_installed_taken_over_lost_and_restored_as_the_documents_say(tmp_path: Path) -> None:
    settings = LabSettings.instant()
    with LabThread(tmp_path / "lab", machines=3, settings=settings, clock=RealClock()) as lab:
        given = {**lab.inputs(), **QUICK, "snapshots_path": str(tmp_path / "snapshots")}
        hosts = given["hosts"]
        given |= {
            "hosts": hosts[:2],
            "num_of_instances": 2,
            "secrets": [{"key": "canary", "string": "still-here"}],
        }
        first = Reader(Tier2.create(tmp_path / "first", given, deployment="tier1")).with_inputs()

        first.good(INSTALL)
        first.tier2.assert_whole(2)
        assert "Node instance started (nothing to do)" in first.good(RESUME)
        assert "cfy executions start backup -d tier1" in stories.ON_A_MANAGER
        first.good("cfy executions start backup -b tier1")

        # Tier 2 is lost: another one has the same inputs, and the folder of the snapshots. Since the
        # installation the password was changed on the cluster.
        managers = [machine.manager for machine in lab.machines]
        for manager in filter(None, managers):
            lab.call(manager.database.users.add, User.create("admin", NEW_PASSWORD))
        second = Reader(Tier2.create(tmp_path / "second", given, deployment="tier1"))
        second.with_inputs(manager_admin_password=NEW_PASSWORD)
        second.good(INSTALL)
        second.tier2.assert_whole(2)
        assert [machine.manager for machine in lab.machines] == managers, "nothing was changed on them"
        _, (replica,) = leader_and_replicas(second.tier2)
        target = instance_of(second.tier2, replica)
        assert target in second.good(INSTANCES)
        refused = second.type(HEAL, manager_abc123=target)
        assert refused.returncode != 0
        assert "is alive" in refused.stdout

        # All members are dead; what to restore is known all the same.
        for machine in lab.machines[:2]:
            lab.kill(machine.name)
        (snapshot,) = (tmp_path / "snapshots" / "tier1").glob("*.zip")
        assert f"{snapshot.stem} " in second.good("cfy executions start list_backups -b tier1")
        second.good("cfy executions start verify_backups -b tier1")
        new = Reader(replace(second.tier2, deployment="tier1-new")).with_inputs(
            hosts=hosts[2:],
            num_of_instances=1,
            secrets=[],
            manager_admin_password=given["manager_admin_password"],  # what the snapshot brings
            restore=True,
            old_deployment_id="tier1",
            snapshot_id=snapshot.stem,
        )
        new.good(INSTALL, tier1="tier1-new")
        new.tier2.assert_whole(1)
        manager = lab.machines[2].manager
        assert manager is not None
        assert [secret.id for secret in manager.database.secrets] == ["canary"]

        second.good(UNINSTALL)
        assert not (second.tier2.profile.storage / "tier1").exists()
        assert snapshot.exists()


@pytest.mark.parametrize("command", stories.IN_THE_LOCAL_PROFILE)
def test_each_of_them_is_about_the_local_profile(command: str) -> None:
    assert " -b tier1" in command
    assert " -d " not in command
