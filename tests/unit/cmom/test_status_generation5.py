"""The status of a cluster of generation 5: condition by quorum, the managers' own words beside it."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from cmom.clients.active_api import ClusterReport, ListedManager, NodeState
from cmom.models import Host
from cmom.services.condition import Condition
from cmom.services.generation5.status import summarise
from cmom.services.generation5.survey import Word
from cmom.services.status import Previous

NOW = datetime(2026, 3, 4, tzinfo=timezone.utc)
IPS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
HOSTS = [Host(ip, ip, f"m{number}") for number, ip in enumerate(IPS, 1)]
KINDS = ("manager", "broker", "db")


def word(ip, *, failing=(), unknown=(), status="OK"):
    """What the manager at an address says when nodes (kind, address) fail, or are unknown to it."""
    nodes = [
        NodeState(kind, f"m{number}", one, one, "Fail" if (kind, one) in failing else "OK")
        for kind in KINDS
        for number, one in enumerate(IPS, 1)
        if (kind, one) not in unknown
    ]
    kinds = tuple((kind, status, False) for kind in KINDS)
    listed = tuple(ListedManager(f"m{number}", one, one) for number, one in enumerate(IPS, 1))
    return Word(ip, ClusterReport(status, kinds, tuple(nodes)), listed)


def everything_fails(ip):
    """What it says for 10 to 15 s after a start."""
    return word(ip, failing={(kind, one) for kind in KINDS for one in IPS}, status="Fail")


def status_of(*words):
    return summarise(HOSTS, {one.ip: one for one in words}, Previous(), NOW)


def test_the_managers_own_words_stand_beside_the_condition():
    output = status_of(*map(word, IPS)).status_output()
    assert output["condition"] == "ready"
    assert output["summary"]["status"] == "OK"
    assert output["summary"]["services"]["db"]["nodes"] == {"m1": "OK", "m2": "OK", "m3": "OK"}


def test_who_has_just_been_started_and_fails_everybody_is_not_believed():
    seen = status_of(everything_fails(IPS[0]), word(IPS[1]), word(IPS[2]))
    assert (seen.condition, seen.error) == (Condition.READY, "")
    assert seen.status_output()["summary"]["status"] == "OK"


def test_a_cluster_that_has_just_been_started_as_a_whole_is_not_down():
    seen = status_of(*map(everything_fails, IPS))
    assert seen.condition is Condition.DEGRADED
    assert "does not see the cluster yet, as for 10 to 15 s after a start" in seen.reason


def test_one_word_of_the_managers_is_not_what_decides():
    one = {("db", IPS[2])}
    degraded = status_of(*(word(ip, failing=one, status="Fail") for ip in IPS))
    assert degraded.condition is Condition.DEGRADED
    assert degraded.status_output()["summary"]["status"] == "Fail"
    two = {("db", IPS[1]), ("db", IPS[2])}
    down = status_of(*(word(ip, failing=two, status="Degraded") for ip in IPS))
    assert down.condition is Condition.DOWN
    assert "databases have no majority: 1 of 3" in down.reason


def test_a_service_that_the_managers_were_never_told_of_is_missing():
    unknown = {("broker", IPS[1])}
    seen = status_of(*(word(ip, unknown=unknown) for ip in IPS))
    assert seen.condition is Condition.DEGRADED
    assert seen.reason == f"The managers do not know the broker of {IPS[1]}."


def test_services_that_lie_elsewhere_are_not_missing():
    elsewhere = {("db", ip) for ip in IPS}
    assert status_of(*(word(ip, unknown=elsewhere) for ip in IPS)).condition is Condition.READY


def addresses(*words, hosts=HOSTS, previous=None):
    told = {one.ip: one for one in words}
    return summarise(hosts, told, previous or Previous(), NOW).addresses_output()


def ordered(*numbers):
    return [HOSTS[number - 1] for number in numbers]


@pytest.mark.parametrize(
    ("order", "dead", "master", "slaves"),
    [
        ((1, 2, 3), (), 1, (2, 3)),
        ((3, 1, 2), (), 3, (1, 2)),  # of the nodes, not of the addresses and not of what the managers list
        ((1, 2, 3), (1,), 2, (1, 3)),
        ((3, 1, 2), (3,), 1, (3, 2)),
        ((1, 2, 3), (1, 2), 3, (1, 2)),
        ((1, 2, 3), (2,), 1, (2, 3)),
    ],
)
def test_master_is_the_first_manager_that_is_well_in_the_order_of_the_nodes(order, dead, master, slaves):
    failing = {(kind, IPS[number - 1]) for kind in KINDS for number in dead}
    words = [word(ip, failing=failing) for number, ip in enumerate(IPS, 1) if number not in dead]
    for told in (words, words[::-1]):  # whoever answers first
        assert addresses(*told, hosts=ordered(*order)) == {
            "Master": IPS[master - 1],
            "Slaves": [IPS[number - 1] for number in slaves],
        }


def test_a_manager_that_fails_is_not_master_though_it_answers_and_its_database_is_no_matter():
    failing = {("manager", IPS[0]), ("db", IPS[1]), ("broker", IPS[1])}
    words = [word(ip, failing=failing) for ip in IPS]
    assert addresses(*words) == {"Master": IPS[1], "Slaves": [IPS[0], IPS[2]]}


def test_master_is_told_by_the_public_address():
    hosts = [Host(ip, f"198.51.100.{number}", f"m{number}") for number, ip in enumerate(IPS, 1)]
    expected = {"Master": "198.51.100.1", "Slaves": ["198.51.100.2", "198.51.100.3"]}
    assert addresses(*map(word, IPS), hosts=hosts) == expected


def test_when_no_manager_is_known_to_be_well_the_addresses_stay_as_they_were():
    before = {"Master": IPS[1], "Slaves": [IPS[0], IPS[2]]}
    assert addresses(previous=Previous(addresses=before)) == before
    assert addresses(everything_fails(IPS[0]), previous=Previous(addresses=before)) == before
    assert addresses() == {"Master": "", "Slaves": []}
