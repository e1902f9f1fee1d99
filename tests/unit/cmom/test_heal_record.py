"""What is remembered of heals between two runs."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cmom.models import Host
from cmom.services.healing import notes, record
from cmom.services.healing.plan import Decision, Finding, Phase, Reason, Verdict
from cmom.services.healing.record import HEALTHY_SECONDS, HISTORY_ENTRIES, Journal

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=timezone.utc)
HOST = Host("10.0.0.3", "198.51.100.3", "m3")
ID = "manager_abc"


def journal(**changes: Any) -> Journal:
    given: dict[str, Any] = {
        "instance_id": ID,
        "hostname": HOST.hostname,
        "ip": HOST.ip,
        "public_ip": HOST.public_ip,
        "diagnosis": "heart-beat-failure",
        "started_at": "2026-03-01T03:00:00Z",
        "execution_id": "first",
        "steps": ("wait", "rebuild"),
    }
    return Journal(**{**given, **changes})


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def properties() -> dict[str, Any]:
    """Those of a cluster on which a heal has just begun."""
    stored: dict[str, Any] = {"status": {"condition": "degraded"}}
    record.begin(stored, journal(), NOW)
    return stored


def test_a_journal_survives_being_stored_as_json(properties: dict[str, Any]) -> None:
    record.advance(properties, ID, later(1), phase=Phase.REMOVED, tried=("wait",))

    found = record.journal_of(json.loads(json.dumps(properties)), ID)

    assert found is not None
    assert found.phase is Phase.REMOVED
    assert found.tried == ("wait",)
    assert found.reached == {"found": "2026-03-01T03:00:00Z", "removed": "2026-03-01T03:00:01Z"}
    assert found.host == HOST


def test_an_interrupted_heal_goes_on_where_it_was(properties: dict[str, Any]) -> None:
    record.advance(properties, ID, later(1), phase=Phase.UNINSTALLED, machine_ip="10.0.0.3", tried=("wait",))

    taken_up = record.begin(properties, journal(execution_id="second"), later(9))

    assert taken_up.phase is Phase.UNINSTALLED
    assert taken_up.machine_ip == "10.0.0.3"
    assert taken_up.started_at == "2026-03-01T03:00:00Z"
    assert taken_up.tried == ()


@pytest.mark.parametrize(
    ("execution", "tried"),
    [("first", ("wait",)), ("another", ()), ("second", ())],
    ids=["same", "less", "more"],
)
def test_what_was_tried_is_not_tried_again_by_the_same_execution(
    properties: dict[str, Any], execution: str, tried: tuple[str, ...]
) -> None:
    record.advance(properties, ID, later(1), tried=("wait",))
    # The identity comes from the engine and from storage: equal words, not the same object.
    stored = json.loads(json.dumps(properties))

    assert record.begin(stored, journal(execution_id=execution), later(9)).tried == tried


def test_a_failed_heal_makes_the_machine_anew_once_more(properties: dict[str, Any]) -> None:
    record.advance(properties, ID, later(1), phase=Phase.REINSTALLED, machine_ip="10.0.0.3")
    record.fail(properties, ID, "it did not join", later(2))

    taken_up = record.begin(properties, journal(execution_id="second"), later(900))

    assert taken_up.phase is Phase.BACKED_UP
    assert taken_up.machine_ip == ""
    assert taken_up.failed == ""


@pytest.mark.parametrize(
    ("reached", "repeated_from", "machine_ip"),
    [
        pytest.param(Phase.REINSTALLED, Phase.REINSTALLED, "10.0.0.3", id="joining"),
        pytest.param(Phase.UNINSTALLED, Phase.BACKED_UP, "", id="installing"),
    ],
)
def test_a_failed_join_goes_on_where_what_joined_may_be_needed(
    properties: dict[str, Any], reached: Phase, repeated_from: Phase, machine_ip: str
) -> None:
    record.advance(properties, ID, later(1), phase=reached, machine_ip="10.0.0.3")
    record.fail(properties, ID, "it did not join", later(2))

    taken_up = record.begin(properties, journal(execution_id="second"), later(900), join_goes_on=True)

    assert (taken_up.phase, taken_up.machine_ip) == (repeated_from, machine_ip)
    assert taken_up.failed == ""


def test_a_heal_that_ended_well_leaves_its_history_and_no_journal(properties: dict[str, Any]) -> None:
    record.advance(properties, ID, later(5), phase=Phase.REJOINED, backup="snapshot s", machine="made anew")
    record.end_well(properties, ID, later(6))

    assert record.journals(properties) == ()
    (entry,) = properties["heal_history"]
    assert entry["outcome"] == "healed"
    assert entry["backup"] == "snapshot s"
    assert entry["machine"] == "made anew"
    assert list(entry["phases"]) == ["found", "rejoined"]


def test_the_delay_doubles_with_each_failure_and_ends_with_a_success(properties: dict[str, Any]) -> None:
    delays = []
    for _ in range(7):
        record.fail(properties, ID, "no", NOW)
        delays.append(record.seconds_to_wait(properties, ID, NOW, 120.0))

    assert delays == [120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]
    assert record.tries(properties, ID) == 7
    assert record.seconds_to_wait(properties, ID, later(3600), 120.0) == 0
    record.end_well(properties, ID, later(3601))
    assert record.seconds_to_wait(properties, ID, later(3601), 120.0) == 0


def test_nobody_waits_before_a_failure_or_long_after_it(properties: dict[str, Any]) -> None:
    assert record.seconds_to_wait(properties, ID, NOW, 120.0) == 0
    record.fail(properties, ID, "no", NOW)

    assert record.seconds_to_wait(properties, ID, later(100), 120.0) == 20
    assert record.seconds_to_wait(properties, ID, later(86400), 120.0) == 0


def test_a_clock_that_was_put_back_makes_nobody_wait_longer(properties: dict[str, Any]) -> None:
    record.fail(properties, ID, "no", NOW)

    assert record.seconds_to_wait(properties, ID, later(-86400), 120.0) == 120.0


@pytest.mark.parametrize(
    ("seconds", "count"), [(HEALTHY_SECONDS - 1, 1), (HEALTHY_SECONDS, 0), (2 * HEALTHY_SECONDS, 0)]
)
def test_a_member_that_dies_again_soon_was_healed_in_vain(
    properties: dict[str, Any], seconds: float, count: int
) -> None:
    record.end_well(properties, ID, NOW)

    record.begin(properties, journal(execution_id="second"), later(seconds))

    assert record.tries(properties, ID) == count


def test_each_heal_that_did_not_last_is_counted(properties: dict[str, Any]) -> None:
    counts = []
    for number in range(1, 5):
        record.end_well(properties, ID, later(60 * number))
        record.begin(properties, journal(), later(60 * number + 30))
        counts.append(record.tries(properties, ID))

    assert counts == [1, 2, 3, 4]


def test_resuming_ends_the_pause_and_forgets_what_was_in_vain(properties: dict[str, Any]) -> None:
    record.fail(properties, ID, "no", NOW)
    record.pause(properties, 60, "works on the network", NOW)

    assert record.resume(properties)

    assert record.paused(properties, NOW) is None
    assert record.tries(properties, ID) == 0
    assert record.journal_of(properties, ID) is not None
    assert not record.resume(properties)


def test_a_pause_ends_by_itself(properties: dict[str, Any]) -> None:
    record.pause(properties, 60, "", NOW)

    assert record.paused_in_words(properties, later(59)) == "until 2026-03-01T03:01:00Z"
    assert record.paused(properties, later(60)) is None
    assert record.paused(properties, later(86400)) is None
    assert record.paused_in_words(properties, later(60)) == ""


def refused(properties: dict[str, Any], moment: datetime, reason: Reason = Reason.TARGET_ALIVE) -> None:
    verdict = Verdict(Decision.REFUSE, (Finding(reason, f"Because {reason.value}."),))
    record.refuse(properties, HOST, ID, verdict, moment, diagnosis="d", evidence={"ssh": "SSH-2.0-x"})


def test_the_same_refusal_again_only_counts_up(properties: dict[str, Any]) -> None:
    for seconds in (0, 600, 1200):
        refused(properties, later(seconds))
    refused(properties, later(1800), Reason.PAUSED)

    first, second = properties["heal_history"]
    assert (first["count"], first["at"], first["last_at"]) == (
        3,
        "2026-03-01T03:00:00Z",
        "2026-03-01T03:20:00Z",
    )
    assert first["evidence"] == {"ssh": "SSH-2.0-x"}
    assert second["reasons"] == ["paused"]


def test_a_refusal_counts_up_its_own_entry_and_no_older_one(properties: dict[str, Any]) -> None:
    refused(properties, later(0), Reason.PAUSED)
    refused(properties, later(10))
    refused(properties, later(20))
    refused(properties, later(30))

    assert [(entry["count"], entry["at"]) for entry in properties["heal_history"]] == [
        (1, "2026-03-01T03:00:00Z"),
        (3, "2026-03-01T03:00:10Z"),
    ]


@pytest.mark.parametrize(("decision", "outcome"), [(Decision.WAIT, "waiting"), (Decision.REFUSE, "refused")])
def test_the_history_tells_waiting_from_refusing(
    properties: dict[str, Any], decision: Decision, outcome: str
) -> None:
    verdict = Verdict(decision, (Finding(Reason.NO_LEADER, "Nobody leads."),))
    record.refuse(properties, HOST, ID, verdict, NOW, diagnosis="d", evidence={})

    assert properties["heal_history"][-1]["outcome"] == outcome


def test_the_last_trouble_of_a_member_is_why_it_failed_or_was_refused(properties: dict[str, Any]) -> None:
    assert record.last_trouble(properties, ID) == ""
    record.fail(properties, ID, "it did not join", later(2))
    assert record.last_trouble(properties, ID) == "it did not join"
    assert record.last_trouble(properties, "manager_of_another") == ""
    assert record.last_trouble(properties, "a_manager_before") == ""
    assert record.last_trouble(json.loads(json.dumps(properties)), ID) == "it did not join"
    paused = Verdict(Decision.REFUSE, (Finding(Reason.PAUSED, "Healing is paused."),))
    record.refuse(properties, HOST, ID, paused, later(3), diagnosis="x", evidence={})
    assert record.last_trouble(properties, ID) == "Healing is paused."
    record.end_well(properties, ID, later(4))
    assert record.last_trouble(properties, ID) == ""


def test_the_history_is_bounded_and_keeps_the_newest(properties: dict[str, Any]) -> None:
    for number in range(HISTORY_ENTRIES + 5):
        refused(properties, later(number), list(Reason)[number % 2])

    assert len(properties["heal_history"]) == HISTORY_ENTRIES
    assert properties["heal_history"][-1]["at"] == "2026-03-01T03:00:24Z"


def test_the_history_of_heals_is_bounded_too(properties: dict[str, Any]) -> None:
    for number in range(HISTORY_ENTRIES + 5):
        record.fail(properties, ID, f"error {number}", later(number))

    errors = [entry["error"] for entry in properties["heal_history"]]
    assert errors == [f"error {number}" for number in range(5, HISTORY_ENTRIES + 5)]


def test_the_status_tells_what_is_under_way(properties: dict[str, Any]) -> None:
    record.advance(properties, ID, later(3), phase=Phase.REMOVED)
    record.fail(properties, ID, "it did not answer", later(4))
    record.pause(properties, 60, "later", later(5))

    told = record.status_output(properties, later(6))

    (under_way,) = told["healing"]
    assert under_way["member"] == "m3 (198.51.100.3)"
    assert under_way["phase"] == "removed"
    assert under_way["failed"] == "it did not answer"
    assert told["healing_paused"]["reason"] == "later"
    assert told["heal_history"][-1]["error"] == "it did not answer"


def test_the_status_of_a_cluster_that_was_never_healed_is_empty() -> None:
    assert record.status_output({}, NOW) == {"healing_paused": None, "healing": [], "heal_history": []}


@pytest.mark.parametrize(
    ("changes", "outcome", "told"),
    [
        ({}, "healed", ["cfy cluster update-profile", "it was not the master"]),
        ({"was_leader": True}, "healed", ["cfy cluster update-profile", "198.51.100.1"]),
        ({"was_leader": True, "public_ip": "198.51.100.1"}, "healed", ["nothing changes", "master again"]),
        ({"spare_ip": "10.0.0.9"}, "healed", ["10.0.0.9", "is a spare when it was repaired"]),
        ({"backup": "failed: no."}, "healed", ["Take one now", "cfy cluster update-profile"]),
        ({"machine": "came back after wait"}, "recovered", ["came back after wait"]),
    ],
)
def test_what_is_left_for_people_to_do_is_said(
    changes: dict[str, Any], outcome: str, told: list[str]
) -> None:
    text = "\n".join(notes.after_heal(journal(**changes), "198.51.100.1", outcome))

    for words in told:
        assert words in text
