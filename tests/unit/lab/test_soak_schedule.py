"""What the soak does follows from its seed alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lab.soak.damage import board_fault
from lab.soak.figures import Figures
from lab.soak.schedule import KINDS, Event, Pace, plan_round
from lab.soak.setting import SPARES, Clusters
from lab.soak.timeline import Timeline


def test_the_same_seed_gives_the_same_faults_and_another_one_others() -> None:
    assert plan_round(7, 2, 240, 3) == plan_round(7, 2, 240, 3)
    assert plan_round(7, 2, 240, 3) != plan_round(8, 2, 240, 3)
    assert plan_round(7, 2, 240, 3) != plan_round(7, 3, 240, 3)


def test_every_kind_comes_in_time_within_the_round_and_as_it_is_described() -> None:
    events = [event for number in range(60) for event in plan_round(1, number, 240, 3)]

    assert set(Counter(event.kind for event in events)) == set(KINDS)
    for event in events:
        kind = KINDS[event.kind]
        assert 0 < event.at_seconds <= 240
        assert event.cluster in range(3)
        assert event.detail in kind.details
        assert event.role in (kind.roles or ("",))
        assert event.seconds == 0 or kind.seconds[0] <= event.seconds <= kind.seconds[1]


def test_the_monitor_is_left_alone_where_it_is_to_be_watched_for_long() -> None:
    calm = Pace(kill_monitor=False)

    assert all(event.kind != "kill_monitor" for n in range(60) for event in plan_round(1, n, 240, 3, calm))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_on_one_machine_is_done_in_a_way_that_the_lab_knows(kind: str) -> None:
    event = Event(1.0, kind, 0, "any", 0.5, 5.0, KINDS[kind].details[0])
    elsewhere = ("kill", "partition", "slow_disk", "failing_snapshot")

    assert (board_fault(event) is None) == kind.startswith(elsewhere)


def test_machines_are_dealt_once_each_and_the_last_cluster_has_spares() -> None:
    clusters = Clusters.deal(3)

    names = [name for machines in clusters.machines.values() for name in machines]
    assert len(names) == len(set(names)) == clusters.size == 9 + SPARES
    assert clusters.with_spares == {"tier1-3"}


def test_the_timeline_says_faults_aloud_and_keeps_all(tmp_path: Path) -> None:
    now, said = [100.0], list[str]()
    timeline = Timeline(tmp_path / "timeline.log", said.append, lambda: now[0])
    for at, who, what in (
        (101.0, "fault", "kill m1"),
        (102.5, "monitor", "m1 is suspect"),
        (190.0, "soak", "rest"),
    ):
        now[0] = at
        timeline.note(who, what)
    timeline.close()

    assert [line.split() for line in said] == [["1.0", "fault", "kill", "m1"], ["90.0", "soak", "rest"]]
    assert [line.split()[1] for line in timeline.around(2.5)] == ["fault", "monitor"]
    assert len((tmp_path / "timeline.log").read_text().splitlines()) == 3


def test_the_report_names_the_seed_and_how_to_see_it_again(tmp_path: Path) -> None:
    figures = Figures(42)
    assert "**No rule was broken.**" in figures.as_text()
    figures.violations.append(
        {
            "rule": "pool",
            "text": "m1 is held twice",
            "at": 3.0,
            "timeline": ["1.0 kill m1"],
            "again": "make soak SEED=42 ROUND=3",
        }
    )

    figures.write(tmp_path)

    report = (tmp_path / "report.md").read_text()
    for told in (
        "seed 42",
        "Broken rules: 1.",
        "m1 is held twice",
        "    1.0 kill m1",
        "make soak SEED=42 ROUND=3",
    ):
        assert told in report
    assert '"seed": 42' in (tmp_path / "report.json").read_text()
