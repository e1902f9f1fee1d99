"""What the soak sees of a cluster of generation 5, whose members are made of three services each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab.soak.invariants import ClusterRules, whole
from lab.soak.observer import Look, Observer
from tests.lab.cluster5 import DATABASE, MANAGER, QUEUE, cluster_of

NAMES = ("m1", "m2", "m3")


def test_a_member_of_generation_5_is_one_with_all_its_services(tmp_path: Path) -> None:
    with cluster_of(tmp_path) as cluster:
        observer = Observer(lambda: list(cluster.lab.lab.machines.values()), lambda _look: None)
        rules = ClusterRules({"tier1": NAMES})

        def look() -> Look:
            seen: Look = cluster.lab.call(observer.look)
            return seen

        for file in (DATABASE, QUEUE, MANAGER):
            assert whole(look(), NAMES, 3) != ""
            for name in NAMES:
                cluster.install(name, file)
        seen = look()
        assert whole(seen, NAMES, 3) == ""
        (leader,) = [one.name for one in seen.machines.values() if one.leads]
        other, victim = (name for name in NAMES if name != leader)

        cluster.lab.kill(leader)
        seen = look()
        assert whole(seen, NAMES, 3).startswith("2 of 3 members are healthy, 3 are listed, 1 lead")
        assert seen.lists(seen.machines[leader])
        assert list(rules.look(seen)) == []
        cluster.lab.start(leader)
        seen = look()
        assert whole(seen, NAMES, 3) == ""
        assert list(rules.look(seen)) == []

        # Whatever of a member is taken out, it is no member any more; and this one is well.
        cluster.client(other).manager.remove_broker(cluster.host(victim))
        seen = replace(look(), at=seen.at + 60)  # well for longer than what is forgiven
        assert not seen.lists(seen.machines[victim])
        assert [violation.rule for violation in rules.look(seen)] == ["healthy_destroyed"]
