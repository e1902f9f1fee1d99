"""Labs that start at the same moment do not get the same addresses."""

from __future__ import annotations

import socket

from lab.core import FIRST_HOST, LabConfig
from lab.subnets import any_subnet, first_subnet


def test_whoever_looks_before_the_first_lab_listens_gets_other_addresses() -> None:
    first, lock = first_subnet(3)
    with lock:
        second, other = first_subnet(3)
        other.close()
        assert second != first
        assert {first.rpartition(".")[0], second.rpartition(".")[0]} == {"127.77"}


def test_addresses_where_anybody_listens_are_not_taken_though_nobody_holds_them() -> None:
    taken, lock = first_subnet(3)
    listener = socket.socket()
    with lock:
        listener.bind((f"{taken}.{FIRST_HOST + 2}", LabConfig().rest_port))
        listener.listen()
    with listener:
        found, lock = first_subnet(3)
        lock.close()
    assert found != taken


def test_addresses_for_tests_are_free_and_given_once() -> None:
    held = [any_subnet((2222, 4443), 3) for _ in range(20)]
    for _, lock in held:
        lock.close()
    assert len({subnet for subnet, _ in held}) == 20
