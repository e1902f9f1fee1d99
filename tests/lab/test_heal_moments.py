"""In the middle of a heal another member dies, or the dead one comes back: nothing alive is destroyed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from cmom.operations import healing
from tests.lab.given_cluster import VERSIONS, cluster_of

NO_LEADER = "The databases have no leader"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_member_that_comes_back_before_it_is_removed_stays(tmp_path: Path, version: str) -> None:
    with cluster_of(tmp_path, 3, version) as (cluster, listening):
        lab = cluster.lab
        _, other, dead = cluster.names()
        managers = {name: lab.machine(name).manager for name in (other, dead)}

        def one_comes_and_another_goes() -> None:
            lab.start(dead)
            lab.kill(other)

        lab.kill(dead)
        listening.at(r"Task started 'cmom.operations.healing.remove'", one_comes_and_another_goes)
        cluster.heal(dead)

        listening.assert_all_came()
        entry = cluster.history()[-1]
        assert (entry["outcome"], entry["machine"]) == ("recovered", "came back by itself")
        cluster.heal(other)
        assert cluster.history()[-1]["outcome"] == "healed"
        assert lab.machine(dead).manager is managers[dead]
        assert lab.machine(other).manager is not managers[other]
        assert cluster.condition() == "ready"


def test_a_second_death_of_three_stops_a_heal_until_that_one_is_back(tmp_path: Path) -> None:
    with cluster_of(tmp_path, 3) as (cluster, listening):
        lab = cluster.lab
        assert cluster.refusal("m1")["reasons"] == ["target_alive"]
        lab.kill("m1")
        lab.kill("m3")
        refused = cluster.refusal("m1")
        assert (refused["reasons"], NO_LEADER in refused["message"]) == (["no_leader"], True)
        assert cluster.condition() == "down"
        lab.start("m3")

        # The other one dies when the member is half removed, and again when its database is to join.
        listening.at(r"Removing the database", lambda: lab.kill("m3"))
        listening.at(r"Task failed .*\.remove'", lambda: lab.start("m3"))
        listening.at(r"rejoin\] INFO: \S+: starting cfy_manager install", lambda: lab.kill("m3"))
        listening.at(r"Task failed .*\.rejoin'", lambda: lab.start("m3"))
        cluster.heal("m1")

        listening.assert_all_came()
        assert "it is installed anew" in listening.text
        assert cluster.history()[-1]["outcome"] == "healed"
        assert cluster.condition() == "ready"
        for name in ("m1", "m2", "m3"):
            assert cluster.secrets(name) == ["kept"]


def test_a_heal_goes_on_after_all_others_died_while_its_member_joined(tmp_path: Path) -> None:
    with cluster_of(tmp_path, 3) as (cluster, listening):
        lab = cluster.lab
        others = ("m2", "m3")
        lab.kill("m1")
        # The new database has joined, and leads when they are back; no other manager was told of it.
        listening.at(r"rejoin\] INFO: \S+: cfy_manager dbs add", lambda: [lab.kill(one) for one in others])
        with pytest.raises(RuntimeError):
            cluster.heal("m1")
        listening.assert_all_came()
        assert cluster.history()[-1]["outcome"] == "failed"

        for one in others:
            lab.start(one)
        rebuilt = listening.text.count("rebuild_command")
        cluster.heal("m1")
        assert "of which the managers were never told" in listening.text
        assert listening.text.count("rebuild_command") == rebuilt
        assert cluster.history()[-1]["outcome"] == "healed"
        assert cluster.condition() == "ready"
        assert cluster.secrets("m1") == ["kept"]


def test_a_second_death_of_five_waits_for_its_turn_and_the_cluster_works_on(tmp_path: Path) -> None:
    with cluster_of(tmp_path, 5) as (cluster, listening):
        lab = cluster.lab
        seen: dict[str, Any] = {}

        def second_death() -> None:
            lab.kill("m4")
            heal = threading.Thread(target=lambda: seen.update(refusal=cluster.refusal("m4")))
            heal.start()
            heal.join()
            seen["secrets"] = cluster.secrets("m2")

        lab.kill("m1")
        listening.at(r"rejoin\] INFO: .* install -c /etc/cloudify/cmom-manager.yaml", second_death)
        cluster.heal("m1")

        listening.assert_all_came()
        assert "Waiting for the other members to be well again" not in listening.text
        assert seen["refusal"]["reasons"] == ["another_heal"]
        assert seen["secrets"] == ["kept"]
        assert cluster.condition() == "degraded"
        cluster.heal("m4")
        assert [one["outcome"] for one in cluster.history()][-1] == "healed"
        assert cluster.condition() == "ready"


@pytest.mark.parametrize(
    ("version", "moment"),
    [
        pytest.param("4.6.0", r"configure\] INFO: \S+: certificates are in place", id="4 is installed"),
        pytest.param("4.6.0", r"Task started 'cmom.operations.healing.rejoin'", id="4 joins"),
        pytest.param("7.0.5", r"configure\] INFO: \S+: certificates are in place", id="5 is installed"),
        pytest.param("7.0.5", r"rejoin\] INFO: \S+: cfy_manager dbs add", id="5 is half joined"),
    ],
)
def test_a_spare_that_dies_in_its_heal_is_healed_in_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, moment: str
) -> None:
    monkeypatch.setattr(healing, "JOIN_SECONDS", 2.0)
    with cluster_of(tmp_path, 3, version, spares=2, ssh_timeout_seconds=2) as (cluster, listening):
        lab = cluster.lab
        lab.kill("m3")
        listening.at(moment, lambda: lab.kill("m4"))
        with pytest.raises(RuntimeError):
            cluster.heal("m3")
        listening.assert_all_came()
        assert cluster.history()[-1]["outcome"] == "failed"
        lab.rebuild("m3")  # it answers, and is no member any more

        cluster.heal("m4")

        assert cluster.history()[-1]["outcome"] == "healed"
        assert cluster.condition() == "ready"
        assert cluster.secrets(cluster.names()[0]) == ["kept"]
