"""The board decides which call a fault hits."""

from __future__ import annotations

import pytest

from lab.faults import Fault, FaultBoard


def hits(board: FaultBoard, calls: int, **call: str) -> list[bool]:
    return [board.match({"slow", "500"}, **call) is not None for _ in range(calls)]


def board(*faults: Fault) -> FaultBoard:
    made = FaultBoard()
    for fault in faults:
        made.add(fault)
    return made


def test_a_fault_without_numbers_hits_every_call() -> None:
    assert hits(board(Fault("slow")), 3) == [True, True, True]


def test_the_nth_call_alone_is_hit() -> None:
    assert hits(board(Fault("slow", nth=2)), 4) == [False, True, False, False]


def test_from_the_nth_call_on_so_many_are_hit() -> None:
    assert hits(board(Fault("slow", nth=2, times=2)), 5) == [False, True, True, False, False]


def test_so_many_calls_are_hit_and_no_more() -> None:
    assert hits(board(Fault("slow", times=1)), 3) == [True, False, False]


def test_other_kinds_paths_and_methods_are_neither_hit_nor_counted() -> None:
    made = board(Fault("500", path="/cluster$", method="put", nth=2))
    assert made.match({"ssh-cut"}, "/cluster", "PUT") is None
    assert hits(made, 2, path="/status", method="PUT") == [False, False]
    assert hits(made, 2, path="/api/cluster", method="GET") == [False, False]
    assert hits(made, 3, path="/api/cluster", method="PUT") == [False, True, False]


def test_a_fault_with_a_path_does_not_hit_a_connection() -> None:
    assert board(Fault("ssh-cut", path=".*")).match({"ssh-cut"}) is None


def test_a_fault_without_a_path_does_not_hit_an_action_on_a_connection() -> None:
    assert board(Fault("ssh-cut")).match({"ssh-cut"}, "exec id", needs_path=True) is None


def test_of_two_faults_the_first_hits_and_both_count() -> None:
    made = board(Fault("slow", times=1), Fault("500", nth=2))
    kinds = [found.kind if (found := made.match({"slow", "500"})) else None for _ in range(3)]
    assert kinds == ["slow", "500", None]


def test_cleared_nothing_is_hit_and_listeners_are_told() -> None:
    made = board()
    told: list[int] = []

    def listener() -> None:
        told.append(len(made.faults))

    made.on_change(listener)
    made.add(Fault("slow"))
    made.clear()
    made.forget(listener)
    made.add(Fault("slow"))
    assert told == [1, 0]


def test_a_refusal_holds_as_long_as_it_is_not_limited() -> None:
    assert board(Fault("ssh-refuse")).holds("ssh-refuse")
    assert not board(Fault("ssh-refuse", times=2)).holds("ssh-refuse")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "flood"}, "unknown fault"),
        ({"kind": "slow", "nth": -1}, "negative"),
        ({"kind": "slow", "path": "("}, "no regular expression"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fault: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Fault(**fault)  # type: ignore[arg-type]
