"""The pool: who holds which machine or address."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmom.errors import ActionRequired
from cmom.models import Host
from cmom.services import pool

HOSTS = [{"ip": "10.0.0.21"}, {"ip": "10.0.0.22", "hostname": "two"}, {"ip": "10.0.0.23"}]
ADDRESSES = [
    {"ip_address": "10.0.0.31", "hostname": "manager-1"},
    {"ip_address": "10.0.0.32", "hostname": "manager-2"},
]


def test_entries_are_handed_out_in_the_users_order():
    first = pool.take(HOSTS, {}, "manager_a")
    second = pool.take(HOSTS, first.ledger, "manager_b")
    assert (first.entry, second.entry) == (HOSTS[0], HOSTS[1])
    assert second.ledger == {"manager_a": HOSTS[0], "manager_b": HOSTS[1]}


def test_the_same_instance_gets_the_same_entry_again():
    first = pool.take(ADDRESSES, {}, "a")
    again = pool.take(ADDRESSES, first.ledger, "a")
    assert first.taken
    assert not again.taken
    assert again.entry == first.entry
    assert again.ledger == first.ledger


def test_the_given_ledger_is_left_as_it_was():
    ledger = {"a": {"ip": "10.0.0.21"}}
    pool.take(HOSTS, ledger, "b")
    pool.give_back(ledger, "a")
    assert ledger == {"a": {"ip": "10.0.0.21"}}


def test_an_entry_given_back_can_be_taken_by_another():
    ledger = pool.take(HOSTS[:1], {}, "a").ledger
    assert pool.take(HOSTS[:1], pool.give_back(ledger, "a"), "b").entry == HOSTS[0]


def test_giving_back_what_is_not_held_changes_nothing():
    assert pool.give_back({"a": HOSTS[0]}, "b") == {"a": HOSTS[0]}


def test_a_name_added_to_a_held_entry_does_not_make_it_a_second_machine():
    ledger = pool.take([{"ip": "10.0.0.21"}], {}, "a").ledger
    with pytest.raises(ActionRequired):
        pool.take([{"ip": "10.0.0.21", "hostname": "now-with-a-name"}], ledger, "b")


def test_an_instance_keeps_its_machine_when_the_user_takes_it_out_of_the_list():
    ledger = pool.take(HOSTS, {}, "a").ledger
    assert pool.take(HOSTS[1:], ledger, "a").entry == HOSTS[0]


def test_a_pool_that_is_too_small_says_who_holds_what():
    ledger = pool.take(HOSTS[:1], {}, "a").ledger
    with pytest.raises(ActionRequired) as error:
        pool.take(HOSTS[:1], ledger, "b")
    assert str(error.value) == (
        "The pool is too small: it has 1 entry, and none is free for b. Held: 10.0.0.21 by a. "
        "Add an entry, or uninstall what is no longer needed."
    )


def test_a_dead_machine_is_not_given_out_again_when_it_is_to_be_avoided():
    taken = pool.take(HOSTS, {}, "a")
    spare = pool.take(HOSTS, pool.give_back(taken.ledger, "a"), "a", avoid={"10.0.0.21"})
    assert spare.entry == HOSTS[1]


def test_with_nothing_but_a_dead_machine_left_the_refusal_names_it():
    with pytest.raises(ActionRequired, match=r"Not to be used again: 10\.0\.0\.21\."):
        pool.take(HOSTS[:1], {}, "a", avoid={"10.0.0.21"})


def test_what_takes_the_place_of_the_dead_has_not_died_itself_or_was_repaired():
    asked = []

    def replacements(retired, answering=()):
        def answers(entry):
            asked.append(pool.address_of(entry))
            return pool.address_of(entry) in answering

        ledger = {"host_a": HOSTS[0]}
        found = pool.replacements(HOSTS, ledger, retired=retired, answers=answers)
        return [pool.address_of(entry) for entry in found]

    one, two, three = (pool.address_of(host) for host in HOSTS[:3])
    assert replacements(()) == [two, three]
    assert replacements({two}, {two}) == [three]
    assert asked == []
    assert replacements({one, two, three}, {one, three}) == [three]
    assert replacements({two, three}) == []


def test_spares_are_what_nobody_holds():
    ledger = pool.take(HOSTS, {}, "a").ledger
    assert pool.spares(HOSTS, ledger) == (HOSTS[1], HOSTS[2])
    assert pool.spares(HOSTS, ledger, avoid={"10.0.0.22"}) == (HOSTS[2],)


def test_an_entry_without_an_address_is_refused():
    with pytest.raises(ActionRequired, match="no address"):
        pool.take([{"hostname": "x"}], {}, "a")


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ({"ip": "10.0.0.1"}, Host("10.0.0.1", "10.0.0.1", "10.0.0.1")),
        (
            {"ip": "10.0.0.1", "public_ip": "192.0.2.1", "hostname": "one"},
            Host("10.0.0.1", "192.0.2.1", "one"),
        ),
        ({"ip_address": "10.0.0.1", "hostname": "one"}, Host("10.0.0.1", "10.0.0.1", "one")),
        ({"ip": "10.0.0.1", "public_ip": None, "hostname": ""}, Host("10.0.0.1", "10.0.0.1", "10.0.0.1")),
    ],
)
def test_the_machine_of_an_entry_has_the_defaults_of_what_is_optional(entry, host):
    assert pool.host_of(entry) == host


@settings(deadline=None)
@given(
    size=st.integers(min_value=0, max_value=5),
    steps=st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefgh")), max_size=40),
)
def test_whatever_happens_no_entry_is_held_twice_and_none_is_lost(size, steps):
    entries = [{"ip": f"10.0.0.{number}"} for number in range(1, size + 1)]
    ledger: dict[str, dict[str, str]] = {}
    for taking, instance in steps:
        before = dict(ledger)
        if not taking:
            ledger = pool.give_back(ledger, instance)
            assert instance not in ledger
            assert {key: value for key, value in before.items() if key != instance} == ledger
        elif len(ledger) == size and instance not in ledger:
            with pytest.raises(ActionRequired):
                pool.take(entries, ledger, instance)
        else:
            ledger = pool.take(entries, ledger, instance).ledger
            assert before.items() <= ledger.items()
        held = [pool.address_of(entry) for entry in ledger.values()]
        assert len(held) == len(set(held))
        free = [pool.address_of(entry) for entry in pool.spares(entries, ledger)]
        assert sorted(held + free) == [entry["ip"] for entry in entries]
