"""The table of what happened to each entry, and the error that it makes."""

from __future__ import annotations

from typing import Any

from cmom.errors import ActionRequired, TryAgainLater
from cmom.services.resources.report import Outcome, Report, Row, short


def row(outcome: Outcome, name: str = "a", **more: Any) -> Row:
    return Row("secret", name, "blue", outcome, **more)


def test_a_report_is_good_when_every_entry_is_as_wanted() -> None:
    report = Report((row(Outcome.CREATED), row(Outcome.EXISTS), row(Outcome.UPDATED)))
    assert report.good
    assert report.failure() is None
    assert report.summary() == "1 created, 1 already so, 1 updated"


def test_the_table_has_a_line_for_each_entry() -> None:
    report = Report(
        (
            Row("tenant", "blue", "", Outcome.CREATED, seconds=0.123),
            row(Outcome.REFUSED, "a-long-name", reason="it is taken", seconds=12.0),
        )
    )
    assert report.table().splitlines() == [
        "kind    name         tenant  outcome  seconds  reason",
        "tenant  blue         -       created  0.1      -",
        "secret  a-long-name  blue    refused  12.0     it is taken",
    ]


def test_the_rows_for_runtime_properties_are_plain_data() -> None:
    assert Report((row(Outcome.FAILED, reason="no", seconds=1.26, time_may_help=True),)).as_plain_data() == [
        {
            "kind": "secret",
            "name": "a",
            "tenant": "blue",
            "outcome": "failed",
            "reason": "no",
            "seconds": 1.3,
        }
    ]


def test_the_failure_names_everything_in_one_message() -> None:
    failure = Report((row(Outcome.CREATED, "good"), row(Outcome.REFUSED, "bad", reason="taken"))).failure()
    assert isinstance(failure, ActionRequired)
    assert "1 of 2 resources are not as wanted (1 created, 1 refused)" in str(failure)
    assert "good" in str(failure)
    assert "taken" in str(failure)


def test_it_is_worth_trying_again_only_when_time_may_help_with_all_that_failed() -> None:
    late = row(Outcome.FAILED, time_may_help=True)
    skipped = row(Outcome.SKIPPED, "b")
    assert isinstance(Report((late, skipped)).failure(), TryAgainLater)
    assert isinstance(Report((late, row(Outcome.REFUSED))).failure(), ActionRequired)
    assert isinstance(Report((late, row(Outcome.FAILED))).failure(), ActionRequired)


def test_a_long_reason_of_many_lines_becomes_a_short_one() -> None:
    reason = short("first\n  second\t" + "x" * 1000)
    assert reason.startswith("first second xxx")
    assert len(reason) < 320
