"""The demo judges by itself whether what it shows is what it promises."""

from __future__ import annotations

from typing import Any

import pytest

from lab.demo import faults_of

IPS = {"Master": "127.0.0.1", "Slaves": ["127.0.0.2", "127.0.0.3"]}


def member(name: str, state: str = "replica", **checks: str) -> dict[str, Any]:
    good = dict.fromkeys(("database", "consul", "cloudify services", "heartbeat"), "OK")
    return {"name": name, "host_ip": "127.0.0.1", "state": state, **good, **checks}


def status(*members: dict[str, Any], error: str = "") -> dict[str, Any]:
    return {"leader_status": [], "cluster_status": list(members), "error": error}


WHOLE = status(member("m2"), member("m1", "leader"), member("m3"))


def test_a_whole_cluster_has_no_faults() -> None:
    assert faults_of(WHOLE, IPS) == []


@pytest.mark.parametrize(
    ("seen", "ips", "fault"),
    [
        (None, IPS, "the members are none"),
        ({}, None, "the members are none"),
        (status(member("m1", "leader"), member("m2")), IPS, "the members are leader, replica"),
        (status(member("m1"), member("m2"), member("m3")), IPS, "the members are replica, replica, replica"),
        (
            status(member("m1", "leader"), member("m2", "offline"), member("m3")),
            IPS,
            "the members are leader, offline, replica",
        ),
        (
            status(member("m1", "leader"), member("m2", database="Fail"), member("m3")),
            IPS,
            "database of m2 is Fail",
        ),
        (WHOLE, {"Master": "", "Slaves": IPS["Slaves"]}, "cluster_ips is"),
        (WHOLE, {"Master": "127.0.0.1", "Slaves": []}, "cluster_ips is"),
        ({**WHOLE, "error": "no answer"}, IPS, "the error is no answer"),
    ],
)
def test_what_is_missing_is_named(seen: Any, ips: Any, fault: str) -> None:
    assert any(found.startswith(fault) for found in faults_of(seen, ips))
