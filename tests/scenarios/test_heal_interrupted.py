"""A heal that is killed goes on when it is started again, in whichever phase that was."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.testing import LabThread
from tests.scenarios.healing import (
    assert_healed,
    heal,
    heal_words,
    history,
    installed,
    instance_of,
    leader_and_replicas,
    machine_of,
    machines_for_healing,
)

GENERATION_4 = (
    r"Task succeeded 'cmom.operations.heal_decision.find'",
    r"Removing \S+ \(\S+\) from the cluster",
    r"is being made on Tier 1",
    r"Task started 'cmom.operations.manager.delete'",
    r"Running the rebuild command",
    r"Task started 'cmom.operations.manager.create'",
    r"starting cfy_manager install",
    r"joins the cluster as",
    r"Task started 'cmom.operations.healing.finish'",
)
# What comes in between is the same; here a member comes and goes service by service.
GENERATION_5 = (
    r"Removing the manager \S+",
    r"cfy_manager brokers remove",
    r"cfy_manager dbs remove",
    r"Task started 'cmom.operations.manager.delete'",
    r"starting cfy_manager install -c \S+database.yaml",
    r"cfy_manager dbs add",
    r"starting cfy_manager install -c \S+broker.yaml",
    r"starting cfy_manager install -c \S+manager.yaml",
)


@pytest.mark.parametrize(
    ("version", "moments"),
    [pytest.param("4.6.0", GENERATION_4, id="4"), pytest.param("7.0.5", GENERATION_5, id="5")],
)
def test_a_heal_that_is_killed_again_and_again_makes_the_cluster_whole(
    tmp_path: Path, version: str, moments: tuple[str, ...]
) -> None:
    with machines_for_healing(tmp_path / "lab", version=version) as machines:
        heal_and_kill(tmp_path, machines, moments)


def heal_and_kill(tmp_path: Path, machines: LabThread, moments: tuple[str, ...]) -> None:
    """Heal the leader, killed at each of some moments, and look at what there is in the end."""
    tier2 = installed(tmp_path, machines)
    pool = tier2.properties("infrastructure")["allocations"]
    leader, _ = leader_and_replicas(tier2)
    target = instance_of(tier2, leader)
    machines.kill(machine_of(machines, leader))
    words = heal_words(tier2, target)

    for moment in moments:
        shown = tier2.run_and_kill(moment, *words)
        assert re.search(moment, shown)
    done = any(entry["outcome"] == "healed" for entry in history(tier2))
    last_run = heal(tier2, target)

    assert last_run.returncode == 0 or done, last_run.stdout
    assert "was interrupted after it was" in last_run.stdout or done
    if not done:
        assert_healed(tier2)
    assert [entry["outcome"] for entry in history(tier2)].count("healed") == 1
    tier2.start("get_status")
    tier2.assert_whole(3)
    assert tier2.properties("infrastructure")["allocations"] == pool
    assert leader in {leader_and_replicas(tier2)[0], *leader_and_replicas(tier2)[1]}
    assert not list((tmp_path / "tier2" / "snapshots").rglob("*.part"))
