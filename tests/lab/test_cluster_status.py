"""The status of clusters in every state of decay, within its time."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cmom.clients.cluster_api import ClusterApi
from cmom.models import ManagerAccess, Secret
from cmom.services.condition import Condition
from cmom.services.generations import Cluster4
from cmom.services.status import ClusterStatus, Previous
from tests.lab.fleet import CANARY, Fleet, make_ca

MakeFleet = Callable[..., Fleet]
LOGGER = logging.getLogger("test.status")
BOUND_SECONDS = 8.0


def form(fleet: Fleet) -> None:
    with Cluster4(fleet.hosts, fleet.access, LOGGER, clock=fleet.services_clock) as cluster:
        cluster.form()
        for host in fleet.hosts[1:]:
            cluster.rejoin(host)


def look(
    fleet: Fleet, access: ManagerAccess | None = None, previous: Previous | None = None
) -> ClusterStatus:
    """Look at a cluster, and see to it that this takes no longer than it may."""
    began = time.monotonic()
    with Cluster4(fleet.hosts, access or fleet.access, LOGGER) as cluster:
        seen = cluster.status(previous)
    assert time.monotonic() - began < BOUND_SECONDS
    return seen


def test_a_whole_cluster_is_ready(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    form(fleet)
    seen = look(fleet)
    assert (seen.condition, seen.reason, seen.error) == (Condition.READY, "", "")
    assert seen.addresses_output() == {"Master": "127.77.0.21", "Slaves": ["127.77.0.22", "127.77.0.23"]}
    shown = seen.status_output()
    assert [row["state"] for row in shown["cluster_status"]] == ["leader", "replica", "replica"]
    assert {
        row[check]
        for row in shown["cluster_status"]
        for check in ("database", "consul", "cloudify services", "heartbeat")
    } == {"OK"}
    assert {"service": "RabbitMQ", "status": "running"} in shown["leader_status"]


def test_a_failover_is_followed(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    form(fleet)
    before = look(fleet)
    fleet.switch_off(fleet.hosts[0])
    seen = look(fleet, previous=Previous(before.status_output(), before.addresses_output()))
    assert seen.condition is Condition.DEGRADED
    assert seen.reason == "127.77.0.21 is offline."
    assert seen.addresses_output() == {"Master": "127.77.0.22", "Slaves": ["127.77.0.21", "127.77.0.23"]}


def test_an_election_is_unknown_and_not_down(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3, election_seconds=100.0)
    form(fleet)
    before = look(fleet)
    fleet.switch_off(fleet.hosts[0])
    seen = look(fleet, previous=Previous(before.status_output(), before.addresses_output()))
    assert seen.condition is Condition.UNKNOWN
    assert "none of the members leads" in seen.error
    assert seen.addresses_output() == before.addresses_output()
    states = [row["state"] for row in seen.status_output()["cluster_status"]]
    assert states == ["offline", "replica", "replica"]


def test_one_black_holed_member_costs_nothing_but_itself(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    form(fleet)
    fleet.black_hole(fleet.hosts[2])
    seen = look(fleet)
    assert seen.condition is Condition.DEGRADED
    assert seen.reason == "127.77.0.23 is offline."
    assert len(seen.services) > 5


def test_a_black_holed_leader_costs_nothing_but_itself(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    form(fleet)
    fleet.black_hole(fleet.hosts[0])
    assert look(fleet).leader_ip == "127.77.0.22"


def test_all_members_black_holed_is_down_in_time(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    form(fleet)
    before = look(fleet)
    for host in fleet.hosts:
        fleet.black_hole(host)
    seen = look(fleet, previous=Previous(before.status_output(), before.addresses_output()))
    assert seen.condition is Condition.DOWN
    assert seen.last_transition == seen.observed_at
    assert seen.addresses_output() == before.addresses_output()
    assert seen.error.startswith("No member answers.")
    assert all(host.public_ip in seen.error for host in fleet.hosts)


def test_all_members_that_accept_and_say_nothing_are_down_in_time(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    form(fleet)
    for host in fleet.hosts:
        fleet[host].fault("hang")
    assert look(fleet).condition is Condition.DOWN


def test_a_dead_cluster_is_down_at_once(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    for host in fleet.hosts:
        fleet.switch_off(host)
    began = time.monotonic()
    seen = look(fleet)
    assert time.monotonic() - began < 5
    assert seen.condition is Condition.DOWN
    assert "connection refused" in seen.error


def test_a_refused_password_is_unknown_and_says_so(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    form(fleet)
    before = look(fleet)
    wrong = replace(fleet.access, password=Secret("wr0ng-canary"))
    seen = look(fleet, wrong, Previous(before.status_output(), before.addresses_output()))
    assert seen.condition is Condition.UNKNOWN
    assert "refused the credentials of user admin" in seen.error
    assert "wr0ng" not in str(seen.status_output())
    assert seen.addresses_output() == before.addresses_output()


def test_a_certificate_of_another_ca_is_unknown_and_says_so(make_fleet: MakeFleet, tmp_path: Path) -> None:
    fleet = make_fleet(2)
    form(fleet)
    other = make_ca(tmp_path / "other")
    seen = look(fleet, replace(fleet.access, ca_cert_path=str(other[0])))
    assert seen.condition is Condition.UNKNOWN
    assert "not trusted" in seen.error


def test_a_ca_that_cannot_be_read_is_unknown_and_says_so(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(1)
    connected = Cluster4(fleet.hosts, fleet.access, LOGGER)
    Path(fleet.access.ca_cert_path).unlink()
    seen = connected.status()
    assert seen.condition is Condition.UNKNOWN
    assert "cannot be read" in seen.error


def test_managers_without_a_cluster_are_unknown(make_fleet: MakeFleet) -> None:
    seen = look(make_fleet(2))
    assert seen.condition is Condition.UNKNOWN
    assert "127.77.0.21 is in no cluster." in seen.reason


def test_no_damage_on_the_wire_makes_it_fail(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    form(fleet)
    expected = {"/cluster$": Condition.DOWN, "/cluster/nodes": Condition.UNKNOWN, "/status": Condition.READY}
    for kind, path in itertools.product(["500", "503", "broken-json", "refuse", "cut"], expected):
        for host in fleet.hosts:
            fleet.clear_faults(host)
            fleet[host].fault(kind, path=path)
        seen = look(fleet)
        assert seen.error, (kind, path)
        assert seen.condition is expected[path], (kind, path)


def test_a_replica_that_only_we_cannot_reach_is_mentioned(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    form(fleet)
    fleet[fleet.hosts[1]].fault("hang")
    seen = look(fleet)
    assert seen.condition is Condition.READY
    assert seen.reason == "127.77.0.22 does not answer, though the leader lists it as online."


def test_the_canary_is_nowhere(make_fleet: MakeFleet, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    fleet = make_fleet(2)
    form(fleet)
    seen = look(fleet)
    with ClusterApi(fleet.hosts[0].ip, fleet.access) as leader:
        nodes = leader.list_nodes()
    assert nodes[1].join  # there is something to hide
    for text in (caplog.text, str(seen), str(seen.status_output()), repr(nodes)):
        assert CANARY not in text
        assert "node_secret" not in text
