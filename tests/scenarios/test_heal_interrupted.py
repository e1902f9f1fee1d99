"""A heal that is killed goes on when it is started again, in whichever phase that was."""

from __future__ import annotations

import re
from collections.abc import Iterator
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

BEFORE_THE_MACHINE_IS_TOUCHED = (
    r"Task succeeded 'cmom.operations.heal_decision.find'",
    r"Removing \S+ \(\S+\) from the cluster",
    r"is being made on Tier 1",
    r"Task started 'cmom.operations.manager.delete'",
)
FROM_THEN_ON = (
    r"Running the rebuild command",
    r"Task started 'cmom.operations.manager.create'",
    r"starting cfy_manager install",
    r"joins the cluster as",
    r"Task started 'cmom.operations.healing.finish'",
)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[LabThread]:
    """Three machines that can be rebuilt."""
    with machines_for_healing(tmp_path / "lab") as lab:
        yield lab


@pytest.mark.parametrize(
    ("moments", "leads"),
    [
        pytest.param(BEFORE_THE_MACHINE_IS_TOUCHED, False, id="before the machine is touched"),
        pytest.param(FROM_THEN_ON, True, id="from then on"),
    ],
)
def test_a_heal_that_is_killed_again_and_again_makes_the_cluster_whole(
    tmp_path: Path, machines: LabThread, moments: tuple[str, ...], leads: bool
) -> None:
    tier2 = installed(tmp_path, machines)
    pool = tier2.properties("infrastructure")["allocations"]
    leader, replicas = leader_and_replicas(tier2)
    dead = leader if leads else replicas[0]
    target = instance_of(tier2, dead)
    machines.kill(machine_of(machines, dead))
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
    assert dead in {leader_and_replicas(tier2)[0], *leader_and_replicas(tier2)[1]}
    assert not list((tmp_path / "tier2" / "snapshots").rglob("*.part"))
