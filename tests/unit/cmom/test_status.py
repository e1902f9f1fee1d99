"""What a status looks like to those who read it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cmom.clients.manager_status import ServiceState
from cmom.errors import (
    AccessRefused,
    CmomError,
    ManagerRefused,
    ManagerUnreachable,
    NoRoute,
    NotClusterMaster,
    RemovedFromCluster,
    UnexpectedAnswer,
    UntrustedCertificate,
)
from cmom.models import Host, Member
from cmom.services.condition import Answer, Condition, Stand
from cmom.services.status import ClusterStatus, Previous, Told, answer_for, summarise

NOON = datetime(2024, 5, 6, 12, 0, 0, 123456, tzinfo=timezone.utc)
HOSTS = (Host("10.0.0.21", "198.51.100.1", "one"), Host("10.0.0.22", "198.51.100.2", "two"))
PASSING = {"consul": True, "services": True, "database": True, "heartbeat": True}
ONE = Member("one", "10.0.0.21", online=True, leader=True, initialized=True, checks=PASSING)
TWO = Member("two", "10.0.0.22", online=True, initialized=True, checks=PASSING)
SERVICES = (ServiceState("PostgreSQL", "running"), ServiceState("Riemann", "remote"))
LED = {
    "10.0.0.21": Told(Answer(Stand.LEADER), (ONE, TWO), SERVICES),
    "10.0.0.22": Told(Answer(Stand.REPLICA)),
}
SILENT = {host.ip: Told(Answer(Stand.SILENT, f"Manager {host.public_ip} is silent.")) for host in HOSTS}


def status(told: dict[str, Told], previous: Previous | None = None) -> ClusterStatus:
    return summarise(HOSTS, told, previous or Previous(), NOON)


def previous(condition: str = "ready", transition: str = "2024-05-01T00:00:00Z") -> Previous:
    return Previous(
        {"condition": condition, "last_transition": transition},
        {"Master": "198.51.100.1", "Slaves": ["198.51.100.2"]},
    )


def test_a_healthy_cluster_has_exactly_the_known_shapes() -> None:
    seen = status(LED)
    assert seen.status_output() == {
        "leader_status": [
            {"service": "PostgreSQL", "status": "running"},
            {"service": "Riemann", "status": "remote"},
        ],
        "cluster_status": [
            {
                "name": "one",
                "host_ip": "10.0.0.21",
                "state": "leader",
                "database": "OK",
                "consul": "OK",
                "cloudify services": "OK",
                "heartbeat": "OK",
            },
            {
                "name": "two",
                "host_ip": "10.0.0.22",
                "state": "replica",
                "database": "OK",
                "consul": "OK",
                "cloudify services": "OK",
                "heartbeat": "OK",
            },
        ],
        "error": "",
        "condition": "ready",
        "reason": "",
        "observed_at": "2024-05-06T12:00:00Z",
        "last_transition": "2024-05-06T12:00:00Z",
    }
    assert seen.addresses_output() == {"Master": "198.51.100.1", "Slaves": ["198.51.100.2"]}


def test_a_failing_check_and_an_offline_member_are_shown_as_such() -> None:
    sick = Member("one", "10.0.0.21", online=True, leader=True, checks={**PASSING, "services": False})
    gone = Member("two", "10.0.0.22", online=False)
    rows = status({"10.0.0.21": Told(Answer(Stand.LEADER), (sick, gone))}).status_output()["cluster_status"]
    assert (rows[0]["cloudify services"], rows[0]["database"]) == ("FAIL", "OK")
    assert rows[1]["state"] == "offline"
    checks = {rows[1][name] for name in ("database", "consul", "cloudify services", "heartbeat")}
    assert checks == {"FAIL"}


def test_the_addresses_follow_a_failover() -> None:
    members = (Member("one", "10.0.0.21"), Member("two", "10.0.0.22", online=True, leader=True))
    seen = status({"10.0.0.22": Told(Answer(Stand.LEADER), members)}, previous())
    assert seen.addresses_output() == {"Master": "198.51.100.2", "Slaves": ["198.51.100.1"]}


def test_a_dead_cluster_keeps_its_addresses_and_says_that_it_is_dead() -> None:
    seen = status(SILENT, previous())
    assert seen.addresses_output() == {"Master": "198.51.100.1", "Slaves": ["198.51.100.2"]}
    shown = seen.status_output()
    assert shown["condition"] == "down"
    assert [row["state"] for row in shown["cluster_status"]] == ["offline", "offline"]
    assert shown["leader_status"] == []
    assert "Manager 198.51.100.1 is silent." in shown["error"]


def test_a_cluster_that_never_answered_has_no_addresses() -> None:
    assert status(SILENT).addresses_output() == {"Master": "", "Slaves": []}


def test_members_of_which_nothing_is_known_are_not_called_offline() -> None:
    told = {"10.0.0.21": Told(Answer(Stand.REFUSES_US, "refused")), "10.0.0.22": Told(Answer(Stand.SILENT))}
    shown = status(told).status_output()
    assert shown["condition"] == "unknown"
    assert [row["host_ip"] for row in shown["cluster_status"]] == ["10.0.0.22"]


def test_a_leader_whose_services_cannot_be_read_is_an_error_beside_the_members() -> None:
    seen = status({"10.0.0.21": Told(Answer(Stand.LEADER), (ONE, TWO), trouble="it broke")}).status_output()
    assert (seen["error"], seen["condition"], len(seen["cluster_status"])) == ("it broke", "ready", 2)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (previous("ready"), "2024-05-01T00:00:00Z"),
        (previous("degraded"), "2024-05-06T12:00:00Z"),
        (previous("ready", "nonsense"), "2024-05-06T12:00:00Z"),
        (Previous(), "2024-05-06T12:00:00Z"),
    ],
    ids=["same condition", "another condition", "unreadable", "first time"],
)
def test_the_last_transition_is_kept_while_the_condition_stays(before: Previous, after: str) -> None:
    assert status(LED, before).status_output()["last_transition"] == after


def test_the_last_transition_survives_being_stored_and_read() -> None:
    first = status(LED)
    stored = Previous(first.status_output(), first.addresses_output())
    later = summarise(HOSTS, LED, stored, NOON + timedelta(hours=1))
    assert later.status_output()["last_transition"] == "2024-05-06T12:00:00Z"
    assert later.status_output()["observed_at"] == "2024-05-06T13:00:00Z"


@pytest.mark.parametrize(
    ("error", "stand"),
    [
        (NotClusterMaster("x"), Stand.REPLICA),
        (RemovedFromCluster("x"), Stand.REMOVED),
        (AccessRefused("x"), Stand.REFUSES_US),
        (UntrustedCertificate("x"), Stand.UNTRUSTED),
        (NoRoute("x"), Stand.NO_ROUTE),
        (ManagerUnreachable("x"), Stand.SILENT),
        (UnexpectedAnswer("x"), Stand.SILENT),
        (ManagerRefused("x", 404), Stand.ODD),
    ],
)
def test_each_error_of_the_wire_is_a_stand(error: CmomError, stand: Stand) -> None:
    assert answer_for(error).stand is stand


def test_a_credential_error_does_not_make_a_ready_cluster_down() -> None:
    told: dict[str, Any] = {host.ip: Told(answer_for(AccessRefused("refused"))) for host in HOSTS}
    assert status(told, previous()).condition is Condition.UNKNOWN
