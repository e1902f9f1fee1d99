"""What can be known of a licence before a manager looks at it: whether it has ended, and for whom it is.

Its signature only a manager can judge. An expired trial licence stops everything, an expired paid one
nothing (manager-rest's own tests of licences); the dates are written as 11/24/2018, or as ``60 days`` from
its upload.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from cmom.models import Version
from cmom.services.validation.findings import shown

_FORMATS = ("%m/%d/%Y", "%Y-%m-%d")
_SOON = timedelta(days=30)


@dataclass(frozen=True)
class Verdict:
    """What is to be said of a licence.

    Attributes:
        fault: Why it will not do; empty when nothing is known that speaks against it.
        warning: What is worth a word; empty when nothing is.
    """

    fault: str = ""
    warning: str = ""


def judge(licence: Mapping[str, Any], version: Version, today: date) -> Verdict:
    """Judge what a licence says of itself.

    Args:
        licence: What stands below ``license`` in its file.
        version: Of the managers that are to be installed.
        today: The date, in UTC.
    """
    latest = _numbers(licence.get("cloudify_version"))
    if latest and latest < version.numbers[:2]:
        given = shown(str(licence["cloudify_version"]))
        return Verdict(f"is a licence for managers up to {given}, and these are of {version}")
    end = _date(licence.get("expiration_date"))
    if end is None or end > today + _SOON:
        return Verdict()
    if end > today:
        return Verdict(warning=f"expires on {end}; upload another one to the managers before")
    if licence.get("trial"):
        return Verdict(f"is a trial licence that has expired on {end}; managers do nothing with it")
    return Verdict(warning=f"has expired on {end}; managers say so, and go on")


def _date(value: object) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    for form in _FORMATS:
        try:
            return datetime.strptime(str(value), form).date()
        except ValueError:
            continue
    return None


def _numbers(value: object) -> tuple[int, ...]:
    """Return the first two numbers of a version; empty for one that cannot be told."""
    found = re.match(r"([0-9]{1,6})\.([0-9]{1,6})", str(value or ""), re.ASCII)
    return () if found is None else (int(found[1]), int(found[2]))
