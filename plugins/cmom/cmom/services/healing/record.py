"""What is known of healing between two runs: journals, tries in vain, a pause, and the history of decisions.

It lies in the runtime properties of the cluster's node instance, as plain data (`cmom.runtime` has the keys),
and is changed as a whole. Times are UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from cmom.models import Host
from cmom.runtime import HEAL_HISTORY, HEALING, HEALING_PAUSED, Properties
from cmom.services.healing.journal import Journal, Tries, name_of
from cmom.services.healing.plan import MAX_TRIES, phase_to_repeat_from
from cmom.services.healing.situation import Verdict

__all__ = [
    "DEFAULT_DELAY_SECONDS",
    "HEALTHY_SECONDS",
    "HISTORY_ENTRIES",
    "Journal",
    "advance",
    "begin",
    "end_well",
    "fail",
    "journal_of",
    "journals",
    "last_trouble",
    "name_of",
    "pause",
    "paused",
    "paused_in_words",
    "refuse",
    "resume",
    "seconds_to_wait",
    "status_output",
    "take_up",
    "tries",
]

HISTORY_ENTRIES = 20
DEFAULT_DELAY_SECONDS = 120.0
_MAX_DELAY_SECONDS = 3600.0
_MAX_TEXT = 2000

# A member that dies again this soon after its heal was not healed.
HEALTHY_SECONDS = 3600.0


def journal_of(properties: Mapping[str, Any], instance_id: str) -> Journal | None:
    """Return the journal of a heal that has not ended well (yet); None when there is none."""
    stored = _healing(properties)["journals"].get(instance_id)
    return None if stored is None else Journal.parse(stored)


def journals(properties: Mapping[str, Any]) -> tuple[Journal, ...]:
    """Return all journals."""
    return tuple(Journal.parse(stored) for stored in _healing(properties)["journals"].values())


def begin(properties: Properties, journal: Journal, now: datetime, *, join_goes_on: bool = False) -> Journal:
    """Open the journal of a heal, or take up the one that there is.

    Args:
        properties: The runtime properties, which are changed.
        journal: What it begins with.
        now: The time.
        join_goes_on: See `phase_to_repeat_from`.
    """
    known = journal_of(properties, journal.instance_id)
    if known is not None:
        phase = known.phase
        if known.failed:
            phase = phase_to_repeat_from(phase, join_goes_on=join_goes_on)
        journal = replace(
            known,
            phase=phase,
            failed="",
            machine_ip=known.machine_ip if phase is known.phase else "",
            execution_id=journal.execution_id,
            steps=journal.steps,
            # What was tried by an execution before this one is tried once more.
            tried=known.tried if known.execution_id == journal.execution_id else (),
        )
    else:
        journal = replace(journal, reached={journal.phase.value: _text(now)})
        _count_relapse(properties, journal.instance_id, now)
    _store(properties, journal)
    return journal


def take_up(properties: Properties, journal: Journal) -> None:
    """Put a journal in the place of the one that there is."""
    _store(properties, journal)


def advance(properties: Properties, instance_id: str, now: datetime, **changes: Any) -> Journal:
    """Note what was done; a new `phase` is noted with its time.

    Raises:
        KeyError: There is no journal.
    """
    journal = replace(Journal.parse(_healing(properties)["journals"][instance_id]), **changes)
    if "phase" in changes:
        journal = replace(journal, reached={**journal.reached, journal.phase.value: _text(now)})
    _store(properties, journal)
    return journal


def end_well(properties: Properties, instance_id: str, now: datetime, outcome: str = "healed") -> Journal:
    """Close a journal: the member is whole again.

    Raises:
        KeyError: There is no journal.
    """
    healing = _healing(properties)
    journal = Journal.parse(healing["journals"].pop(instance_id))
    count = _tries(healing, instance_id).count if instance_id in healing["tries"] else 0
    healing["tries"][instance_id] = asdict(Tries(count, _text(now), healed=True))
    properties[HEALING] = healing
    _remember(properties, _entry_of(journal, outcome, now))
    return journal


def fail(properties: Properties, instance_id: str, error: str, now: datetime) -> Journal:
    """Note that a heal failed; what it has done is kept for the next try.

    Raises:
        KeyError: There is no journal.
    """
    error = error[:_MAX_TEXT]
    journal = advance(properties, instance_id, now, failed=error)
    healing = _healing(properties)
    count = _tries(healing, instance_id).count + 1 if instance_id in healing["tries"] else 1
    healing["tries"][instance_id] = asdict(Tries(count, _text(now), healed=False))
    properties[HEALING] = healing
    _remember(properties, {**_entry_of(journal, "failed", now), "error": error, "tries": count})
    return journal


def refuse(
    properties: Properties,
    host: Host,
    instance_id: str,
    verdict: Verdict,
    now: datetime,
    *,
    diagnosis: str,
    evidence: Mapping[str, Any],
) -> None:
    """Note why a heal was not begun, or not yet. The same one again only counts up the last entry."""
    entry: dict[str, Any] = {
        "outcome": "waiting" if verdict.decision == "wait" else "refused",
        "node_instance_id": instance_id,
        "member": name_of(host),
        "reasons": [finding.reason.value for finding in verdict.findings],
        "message": verdict.text[:_MAX_TEXT],
        "diagnosis": diagnosis,
        "evidence": dict(evidence),
        "at": _text(now),
        "last_at": _text(now),
        "count": 1,
    }
    history = list(properties.get(HEAL_HISTORY) or [])
    same = ("node_instance_id", "outcome", "reasons")
    if history and all(history[-1].get(key) == entry[key] for key in same):
        entry["at"], entry["count"] = history[-1]["at"], history[-1]["count"] + 1
        history.pop()
    properties[HEAL_HISTORY] = [*history, entry][-HISTORY_ENTRIES:]


def tries(properties: Mapping[str, Any], instance_id: str) -> int:
    """Return how many heals of a member were in vain, in a row."""
    healing = _healing(properties)
    return _tries(healing, instance_id).count if instance_id in healing["tries"] else 0


def seconds_to_wait(
    properties: Mapping[str, Any], instance_id: str, now: datetime, delay_seconds: float
) -> float:
    """Return how long the next try must wait: it doubles with each one in vain."""
    healing = _healing(properties)
    if instance_id not in healing["tries"]:
        return 0.0
    known = _tries(healing, instance_id)
    if known.healed:
        return 0.0
    doublings = min(known.count - 1, MAX_TRIES)
    delay = min(delay_seconds * float(2**doublings), _MAX_DELAY_SECONDS)
    passed = (now - _time(known.last_at)).total_seconds()
    return min(delay, max(0.0, delay - passed))  # also when the clock was put back


def pause(properties: Properties, seconds: float, reason: str, now: datetime) -> None:
    """Hold all heals for some time."""
    properties[HEALING_PAUSED] = {
        "since": _text(now),
        "until": _text(now + timedelta(seconds=seconds)),
        "reason": reason,
    }


def resume(properties: Properties) -> bool:
    """End a pause, and let members be tried again that were healed in vain.

    Returns:
        Whether healing was paused.
    """
    healing = _healing(properties)
    properties[HEALING] = {**healing, "tries": {}}
    return bool(properties.pop(HEALING_PAUSED, None))


def paused(properties: Mapping[str, Any], now: datetime) -> dict[str, str] | None:
    """Return the pause that is in force: ``{since, until, reason}``; None for none, or when it is over."""
    stored = properties.get(HEALING_PAUSED)
    if not isinstance(stored, Mapping) or _time(str(stored["until"])) <= now:
        return None
    return {key: str(stored.get(key) or "") for key in ("since", "until", "reason")}


def paused_in_words(properties: Mapping[str, Any], now: datetime) -> str:
    """Return the pause as the end of a sentence; empty for none."""
    found = paused(properties, now)
    if found is None:
        return ""
    return f"until {found['until']}" + (f" ({found['reason']})" if found["reason"] else "")


def status_output(properties: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return what ``cluster_status`` says of healing."""
    return {
        "healing_paused": paused(properties, now),
        "healing": [
            {
                "member": journal.name,
                "node_instance_id": journal.instance_id,
                "phase": journal.phase.value,
                "since": journal.reached.get(journal.phase.value, journal.started_at),
                "failed": journal.failed,
            }
            for journal in journals(properties)
        ],
        "heal_history": list(properties.get(HEAL_HISTORY) or []),
    }


def last_trouble(properties: Mapping[str, Any], instance_id: str) -> str:
    """Return why the last heal of a member failed or was not begun; empty when it did well."""
    history: Sequence[Mapping[str, Any]] = properties.get(HEAL_HISTORY) or []
    for entry in reversed(history):
        if entry.get("node_instance_id") == instance_id:
            return str(entry.get("error") or entry.get("message") or "")
    return ""


def _healing(properties: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    stored = properties.get(HEALING) or {}
    return {part: dict(stored.get(part) or {}) for part in ("journals", "tries")}


def _store(properties: Properties, journal: Journal) -> None:
    healing = _healing(properties)
    healing["journals"][journal.instance_id] = journal.as_plain_data()
    properties[HEALING] = healing


def _tries(healing: Mapping[str, Mapping[str, Any]], instance_id: str) -> Tries:
    return Tries(**healing["tries"][instance_id])


def _count_relapse(properties: Properties, instance_id: str, now: datetime) -> None:
    """Count a heal that did not last, and forget those of a member that was well for long."""
    healing = _healing(properties)
    if instance_id not in healing["tries"]:
        return
    known = _tries(healing, instance_id)
    if not known.healed:
        return
    lasted = (now - _time(known.last_at)).total_seconds() >= HEALTHY_SECONDS
    healing["tries"][instance_id] = asdict(replace(known, count=0 if lasted else known.count + 1))
    properties[HEALING] = healing


def _entry_of(journal: Journal, outcome: str, now: datetime) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "node_instance_id": journal.instance_id,
        "member": journal.name,
        "was_leader": journal.was_leader,
        "diagnosis": journal.diagnosis,
        "started_at": journal.started_at,
        "at": _text(now),
        "phases": dict(journal.reached),
        "backup": journal.backup,
        "machine": journal.machine,
    }


def _remember(properties: Properties, entry: Mapping[str, Any]) -> None:
    history: Sequence[Any] = properties.get(HEAL_HISTORY) or []
    properties[HEAL_HISTORY] = [*history, dict(entry)][-HISTORY_ENTRIES:]


def _text(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
