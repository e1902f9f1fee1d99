"""The page, without a browser."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import Any

import pytest

from cmom.clients.heartbeats import Beat
from cmom.monitor.fleet import Fleet, Refusal, Refused
from cmom.monitor.page import MOST_CLUSTERS, Surroundings, age, render
from cmom.monitor.pulse import Pulse, Times
from cmom.monitor.tier2 import ClusterKey, Ticket
from cmom.monitor.verdict import State, Verdict
from tests.unit.cmom.monitor.given_fleet import deployment, inventory

CALM = Surroundings(breaker="", tier2_error="", reading_age_seconds=3.0)
EVIL = "<script>alert('x')</script>"
VOID = {"meta", "br"}


class Checker(HTMLParser):
    """Notes what a page has: its tags, its text, and whether they are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def a_fleet(**changes: Any) -> Fleet:
    fleet = Fleet(Times())
    fleet.update(inventory(deployment(**changes)), 0.0)
    return fleet


def test_it_shows_each_member_its_condition_the_last_backup_heals_and_refusals() -> None:
    moment = datetime.now(timezone.utc) - timedelta(hours=5)
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    status = {
        "condition": "degraded",
        "reason": "10.0.0.21 is offline.",
        "observed_at": stamp,
        "last_backup": {"id": "snap_1", "created_at": stamp},
    }
    heal = {
        "outcome": "failed",
        "member": "m1",
        "error": "no disk",
        "at": stamp,
        "last_at": stamp,
        "count": 3,
    }
    fleet = a_fleet(properties={"status": status, "heal_history": [heal]})
    cluster = fleet.clusters[ClusterKey("default_tenant", "one")]
    member = cluster.members["manager_1"]
    member.pulse = Pulse(0.0, heard_at=40.0)
    member.rest = Beat(True, 0.01, "HTTP 400")
    member.verdict = Verdict(State.FAILED, "Silent for 65 s (connection refused).")
    member.refused = (Refusal("interval", "The last heal was started 30 s ago."),)
    cluster.refusals.append(Refused("m1", member.refused, 0.0))
    cluster.ticket = Ticket(cluster.key, "17", "process 17")
    text = Checker(render(fleet, CALM, 100.0)).text
    for expected in (
        "1 failed",
        "degraded",
        "10.0.0.21 is offline.",
        "as get_status saw it 5 h ago",
        "m1 (10.0.0.21)",
        "manager_1, heard 60 s ago, REST: HTTP 400",
        "Silent for 65 s",
        "Not healed (interval): The last heal was started 30 s ago.",
        "Last backup: snap_1, 5 h old",
        "A heal runs: process 17.",
        f"{stamp}: m1 failed (3 times): no disk",
        "1970-01-01T00:00:00Z: m1: interval: The last heal",
    ):
        assert expected in text, expected


def test_what_comes_from_outside_is_escaped() -> None:
    status = {
        "condition": EVIL,
        "reason": EVIL,
        "observed_at": EVIL,
        "last_backup": {"id": EVIL, "created_at": EVIL},
    }
    fleet = a_fleet(
        name=EVIL,
        properties={
            "status": status,
            "heal_history": [{"outcome": EVIL, "member": EVIL, "message": EVIL, "at": EVIL}],
            "healing_paused": {"until": "2999-01-01T00:00:00Z", "since": EVIL, "reason": EVIL},
        },
    )
    (cluster,) = fleet.clusters.values()
    member = cluster.members["manager_1"]
    member.verdict, member.rest = Verdict(State.UNKNOWN, EVIL), Beat(False, 0.0, EVIL)
    member.refused = (Refusal(EVIL, EVIL),)
    member.instance_state = EVIL
    cluster.members["manager_2"].verdict = Verdict(State.ABSENT)
    cluster.members["manager_2"].instance_state = EVIL
    cluster.refusals.append(Refused(EVIL, member.refused, 0.0))
    cluster.unread, cluster.faults = EVIL, (EVIL,)
    cluster.ticket = Ticket(cluster.key, EVIL, EVIL)
    page = render(fleet, Surroundings(EVIL, EVIL, None), 0.0)
    assert "<script" not in page
    assert Checker(page).text.count(EVIL) > 15


def test_it_fetches_nothing_and_refreshes_by_itself() -> None:
    page = render(a_fleet(), CALM, 0.0)
    tags = Checker(page).tags
    assert not {"script", "img", "link", "iframe", "form", "a"} & {tag for tag, _ in tags}
    assert not any({"src", "href", "style", "onclick"} & set(attributes) for _, attributes in tags)
    assert "url(" not in page
    assert "@import" not in page
    assert ("meta", {"http-equiv": "refresh", "content": "10"}) in tags
    assert ("meta", {"name": "viewport", "content": "width=device-width,initial-scale=1"}) in tags


def test_it_says_what_is_wrong_with_the_watcher_itself_first() -> None:
    page = render(a_fleet(), Surroundings("All is silent.", "Tier 2 is down.", 300.0, dry_run=True), 0.0)
    text = Checker(page).text
    assert text.index("The breaker is open") < text.index("Tier 2 cannot be read") < text.index("manager_1")
    assert "This is a dry run" in text
    assert "Tier 2 read 5 min ago" in text


def test_an_empty_fleet_has_a_page_too() -> None:
    assert "0 clusters" in Checker(render(Fleet(Times()), Surroundings("", "", None), 0.0)).text


def test_of_a_large_fleet_those_in_need_of_a_look_come_first_and_the_rest_is_counted() -> None:
    fleet = Fleet(Times())
    fleet.update(inventory(*(deployment(f"c{number:03}") for number in range(MOST_CLUSTERS + 7))), 0.0)
    last = fleet.clusters[ClusterKey("default_tenant", f"c{MOST_CLUSTERS + 6}")]
    last.members["manager_3"].verdict = Verdict(State.FAILED, "Silent.")
    text = Checker(render(fleet, CALM, 0.0)).text
    assert re.findall(r"c\d{3} ", text)[0].strip() == last.key.deployment_id
    assert "And 7 more clusters" in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172800, "2 days")],
)
def test_ages_are_told_in_the_unit_that_tells_enough(seconds: float, words: str) -> None:
    assert age(seconds) == words
