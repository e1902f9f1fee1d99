"""When whom to listen to."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cmom.monitor.rota import Rota, phase_of


def test_everybody_has_a_turn_in_each_interval_at_the_same_moment_of_it() -> None:
    rota: Rota[str] = Rota()
    rota.put("a", 10.0, 0.25, 100.0)
    assert rota.due(102.4) == []
    turns = [turn.due for now in (102.5, 107.0, 113.0, 122.6) for turn in rota.due(now)]
    assert turns == [102.5, 112.5, 122.5]
    assert rota.next_due() == 132.5


def test_what_was_missed_is_not_made_up_for() -> None:
    rota: Rota[str] = Rota()
    rota.put("a", 10.0, 0.0, 0.0)
    assert len(rota.due(3605.0)) == 1
    assert rota.next_due() == 3610.0


def test_who_has_left_has_no_turn() -> None:
    rota: Rota[str] = Rota()
    rota.put("a", 10.0, 0.0, 0.0)
    rota.remove("a")
    rota.remove("a")
    assert (rota.due(100.0), rota.next_due(), len(rota)) == ([], None, 0)


def test_who_is_put_in_again_keeps_his_turn_unless_the_interval_is_another() -> None:
    rota: Rota[str] = Rota()
    rota.put("a", 10.0, 0.5, 0.0)
    rota.put("a", 10.0, 0.5, 3.0)
    assert rota.next_due() == 5.0
    rota.put("a", 60.0, 0.5, 3.0)
    assert rota.next_due() == 33.0
    assert len(rota.due(33.0)) == 1


def test_ten_thousand_members_are_spread_over_the_interval() -> None:
    rota: Rota[str] = Rota()
    for number in range(10_000):
        name = f"cluster-{number // 3} manager_{number:06x}"
        rota.put(name, 10.0, phase_of(name), 0.0)
    tenths = Counter(int(turn.due * 10) for turn in rota.due(10.0))
    assert sum(tenths.values()) == 10_000
    assert max(tenths.values()) < 160  # a hundred in each on average
    assert len(tenths) == 100


@given(st.text())
def test_a_phase_is_a_part_of_the_interval_and_always_the_same(name: str) -> None:
    assert 0.0 <= phase_of(name) < 1.0
    assert phase_of(name) == phase_of(name)
