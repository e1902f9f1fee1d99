"""Members of generation 5, all of which serve: the same one as long as it answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmom.clients.manager import ManagerClient
from cmom.errors import ActionRequired, DeadlinePassed, ManagerRefused, ManagerUnreachable
from cmom.models import ManagerAccess, Secret
from cmom.services.tier1 import ActiveManagers
from lab.manager import certificates

ADDRESSES = ("192.0.2.1", "192.0.2.2", "192.0.2.3")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Members:
    """Three members, some of which do not answer."""

    def __init__(self, ca_cert: Path) -> None:
        access = ManagerAccess("admin", Secret("x"), str(ca_cert))
        self.clock = Clock()
        self.dead: set[str] = set()
        self.asked: list[str] = []
        self.active = ActiveManagers(ADDRESSES, lambda ip: ManagerClient(ip, access), clock=self.clock)

    def ask(self, **options: float | bool) -> str:
        def function(manager: ManagerClient) -> str:
            self.asked.append(manager.address)
            if manager.address in self.dead:
                raise ManagerUnreachable(f"{manager.address} is dead")
            return manager.address

        return self.active.call(function, "asking", **options)  # type: ignore[arg-type]


@pytest.fixture
def members(tmp_path: Path) -> Members:
    ca_cert = tmp_path / "ca.pem"
    ca_cert.write_bytes(certificates.make_authority()[0])
    return Members(ca_cert)


def test_the_first_is_asked_as_long_as_it_answers(members: Members) -> None:
    assert [members.ask(), members.ask()] == [ADDRESSES[0]] * 2


def test_when_one_does_not_answer_the_next_is_asked_and_stays(members: Members) -> None:
    members.dead = {ADDRESSES[0]}
    assert members.ask() == ADDRESSES[1]
    assert members.ask() == ADDRESSES[1]
    assert members.asked.count(ADDRESSES[0]) == 1
    assert members.clock.now == 0.0


def test_a_cluster_that_is_dead_is_asked_until_the_wait_ends(members: Members) -> None:
    members.dead = set(ADDRESSES)
    with pytest.raises(DeadlinePassed, match=r"no member of .* answered within 10 s"):
        members.ask(wait_seconds=10.0)
    assert members.clock.now <= 10.0


def test_what_must_not_be_done_twice_is_not_done_on_the_next(members: Members) -> None:
    members.dead = {ADDRESSES[0]}
    with pytest.raises(ManagerUnreachable, match="is dead"):
        members.ask(repeatable=False)
    assert members.asked == [ADDRESSES[0]]


def test_a_refusal_is_an_answer(members: Members) -> None:
    def refuse(manager: ManagerClient) -> None:
        raise ManagerRefused("no", 409, "conflict_error")

    with pytest.raises(ManagerRefused):
        members.active.call(refuse, "asking")


def test_a_cluster_without_members_is_said_so() -> None:
    with pytest.raises(ActionRequired, match="no members"):
        ActiveManagers((), lambda ip: pytest.fail("nobody is to be asked"))
