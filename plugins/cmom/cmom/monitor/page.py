"""The page that shows the fleet at a glance: one HTML file, readable on a phone, nothing fetched from
anywhere. Pure.

Everything that comes from outside is escaped. It refreshes by itself, without a script.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from html import escape
from typing import Any

from cmom.monitor.fleet import Fleet, WatchedCluster, WatchedMember
from cmom.monitor.journal_lines import plural
from cmom.monitor.metrics import last_backup, snapshot_age_seconds
from cmom.monitor.verdict import State
from cmom.runtime import STATUS
from cmom.services.healing import record

REFRESH_SECONDS = 10
# More would be no glance; those in need of one come first.
MOST_CLUSTERS = 200
_MOST_ROWS = 5

_STYLE = """ :root{color-scheme:light
dark;--line:#8884;--good:#1a7f37;--bad:#cf222e;--odd:#9a6700;--none:#6e7781} @media
(prefers-color-scheme:dark){:root{--good:#3fb950;--bad:#f85149;--odd:#d29922;--none:#8b949e}}
body{font:16px/1.45 system-ui,sans-serif;margin:0
auto;max-width:60rem;padding:.75rem;overflow-wrap:anywhere} h1{font-size:1.3rem;margin:.2rem
0}h2{font-size:1.1rem;margin:0} section{border:1px solid var(--line);border-radius:.5rem;margin:.75rem
0;padding:.75rem} ul{list-style:none;margin:.5rem 0;padding:0}li{border-top:1px solid
var(--line);padding:.35rem 0} p{margin:.35rem 0}.alarm{border-color:var(--bad);border-width:2px}
.state{border-radius:1rem;color:#fff;display:inline-block;font-size:.85rem;padding:0 .6rem}
.good{background:var(--good)}.bad{background:var(--bad)}.odd{background:var(--odd)}.none{background:var(--none)}
small{color:var(--none)}h3{font-size:.95rem;margin:.6rem 0 0}
"""
_TONES = {
    State.HEALTHY: "good",
    State.FAILED: "bad",
    State.SUSPECT: "odd",
    State.UNKNOWN: "odd",
    State.STARTING: "none",
    State.ABSENT: "none",
}
_CONDITION_TONES = {"ready": "good", "degraded": "odd", "unknown": "odd", "down": "bad"}
# What needs a look comes first.
_URGENCY = (State.FAILED, State.UNKNOWN, State.SUSPECT, State.ABSENT, State.STARTING, State.HEALTHY)


@dataclass(frozen=True)
class Surroundings:
    """What the page says beside the fleet.

    Attributes:
        breaker: Why the breaker is open; empty when it is not.
        tier2_error: Why Tier 2 could not be read the last time; empty when it could.
        reading_age_seconds: How old what is known of Tier 2 is; None before the first reading.
        dry_run: Whether nothing is started.
    """

    breaker: str
    tier2_error: str
    reading_age_seconds: float | None
    dry_run: bool = False


def render(fleet: Fleet, around: Surroundings, now: float) -> str:
    """Return the page.

    Args:
        fleet: What to show.
        around: See `Surroundings`.
        now: On the monotonic clock.
    """
    clusters = sorted(fleet.clusters.values(), key=lambda cluster: (_urgency(cluster), cluster.key))
    moment = datetime.now(timezone.utc)
    body = "".join(
        [
            _head(fleet, around, moment),
            *(_cluster(cluster, now, moment) for cluster in clusters[:MOST_CLUSTERS]),
            _rest(len(clusters) - MOST_CLUSTERS),
        ]
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">'
        f"<title>{escape(_title(fleet))}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def _title(fleet: Fleet) -> str:
    failed = sum(member.verdict.state is State.FAILED for member in fleet.members())
    return f"{failed} failed - cmom" if failed else "cmom"


def _head(fleet: Fleet, around: Surroundings, moment: datetime) -> str:
    states = Counter(member.verdict.state for member in fleet.members())
    counts = " ".join(
        _badge(f"{count} {state.value}", _TONES[state]) for state in _URGENCY if (count := states[state])
    )
    parts = [
        "<header><h1>Tier 1 clusters</h1>",
        f"<p>{plural(len(fleet.clusters), 'cluster')} {counts}</p>",
        f"<p><small>{moment:%Y-%m-%d %H:%M:%S} UTC{_reading(around)}</small></p>",
    ]
    if around.dry_run:
        parts.append(_alarm("This is a dry run", "No heal is started."))
    if around.breaker:
        parts.append(_alarm("The breaker is open", around.breaker))
    if around.tier2_error:
        parts.append(_alarm("Tier 2 cannot be read", around.tier2_error))
    return "".join([*parts, "</header>"])


def _reading(around: Surroundings) -> str:
    if around.reading_age_seconds is None:
        return ", Tier 2 was not read yet"
    return f", Tier 2 read {age(around.reading_age_seconds)} ago"


def _alarm(title: str, text: str) -> str:
    return f'<section class="alarm" role="alert"><h2>{escape(title)}</h2><p>{escape(text)}</p></section>'


def _cluster(cluster: WatchedCluster, now: float, moment: datetime) -> str:
    status = cluster.properties.get(STATUS)
    status = status if isinstance(status, Mapping) else {}
    condition = str(status.get("condition") or "not looked at")
    badge = _badge(condition, _CONDITION_TONES.get(condition, "none"))
    parts = [
        f"<section><h2>{escape(str(cluster.key))} {badge}</h2>",
        f"<p><small>{escape(_observed(status, moment))}</small></p>",
        _text(status.get("reason")),
        _text(cluster.unread and f"It cannot be read from Tier 2: {cluster.unread}"),
        *(_text(fault) for fault in cluster.faults),
        "<ul>",
        *(_member(member, now) for member in cluster.members.values()),
        "</ul>",
        f"<p>Last backup: {escape(_backup(cluster.properties, moment))}</p>",
        *_healing(cluster, moment),
        "</section>",
    ]
    return "".join(parts)


def _observed(status: Mapping[str, Any], moment: datetime) -> str:
    seconds = _age_of(status.get("observed_at"), moment)
    return (
        "get_status has not looked at it yet"
        if seconds is None
        else f"as get_status saw it {age(seconds)} ago"
    )


def _member(member: WatchedMember, now: float) -> str:
    state = member.verdict.state
    details = [_text(member.verdict.reason)]
    pulse = member.pulse
    heard = "" if pulse is None or pulse.heard_at is None else f"heard {age(now - pulse.heard_at)} ago"
    if state is State.ABSENT:
        heard = f"its node instance is {member.instance_state}"
    rest = "" if member.rest is None else f"REST: {member.rest.detail}"
    small = ", ".join(part for part in (member.key.instance_id, heard, rest) if part)
    details += [_text(f"Not healed ({one.reason}): {one.text}") for one in member.refused]
    return (
        f"<li>{_badge(state.value, _TONES[state])} <strong>{escape(member.name)}</strong>"
        f"<br><small>{escape(small)}</small>{''.join(details)}</li>"
    )


def _backup(properties: Mapping[str, Any], moment: datetime) -> str:
    seconds = snapshot_age_seconds(properties, moment)
    if seconds is None:
        return "no verified snapshot is known"
    return f"{last_backup(properties).get('id')}, {age(seconds)} old"


def _healing(cluster: WatchedCluster, moment: datetime) -> Iterator[str]:
    told = record.status_output(cluster.properties, moment)
    pause = told["healing_paused"]
    if pause:
        reason = f" ({pause['reason']})" if pause["reason"] else ""
        yield _text(f"Healing is paused until {pause['until']}{reason}.")
    if cluster.ticket is not None:
        yield _text(f"A heal runs: {cluster.ticket.place}.")
    rows = [
        f"{one['member']}: {one['phase']} since {one['since']}"
        + (f", failed: {one['failed']}" if one["failed"] else "")
        for one in told["healing"]
    ]
    yield _list("Being healed", rows)
    yield _list("Heals", _newest(_history(told["heal_history"])))
    yield _list("Not healed", _newest(_refused(cluster)))


def _history(entries: Iterable[Any]) -> list[str]:
    found = []
    for entry in entries:
        if isinstance(entry, Mapping):
            why = entry.get("error") or entry.get("message") or ""
            times = (
                f" ({entry['count']} times)"
                if isinstance(entry.get("count"), int) and entry["count"] > 1
                else ""
            )
            when = entry.get("last_at") or entry.get("at")
            found.append(
                f"{when}: {entry.get('member')} {entry.get('outcome')}{times}{': ' if why else ''}{why}"
            )
    return found


def _refused(cluster: WatchedCluster) -> list[str]:
    return [
        f"{_clock(one.at)}: {one.member}: " + "; ".join(f"{why.reason}: {why.text}" for why in one.refusals)
        for one in cluster.refusals
    ]


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _newest(rows: Sequence[str]) -> list[str]:
    return list(reversed(rows))[:_MOST_ROWS]


def _list(title: str, rows: Sequence[str]) -> str:
    if not rows:
        return ""
    return f"<h3>{escape(title)}</h3><ul>{''.join(f'<li>{escape(row)}</li>' for row in rows)}</ul>"


def _rest(count: int) -> str:
    return (
        f"<p>And {plural(count, 'more cluster')}, none in a worse state than these.</p>" if count > 0 else ""
    )


def _badge(text: str, tone: str) -> str:
    return f'<span class="state {tone}">{escape(text)}</span>'


def _text(text: Any) -> str:
    return f"<p>{escape(str(text))}</p>" if text else ""


def _urgency(cluster: WatchedCluster) -> int:
    states = [_URGENCY.index(member.verdict.state) for member in cluster.members.values()]
    return min(states, default=len(_URGENCY))


def _age_of(text: Any, moment: datetime) -> float | None:
    try:
        found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return max(
        0.0, (moment - (found if found.tzinfo else found.replace(tzinfo=timezone.utc))).total_seconds()
    )


def age(seconds: float) -> str:
    """Return a duration in the largest unit that tells enough: ``45 s``, ``12 min``, ``3 h``, ``5 days``."""
    for size, name in ((172800, "days"), (7200, "h"), (120, "min")):
        if seconds >= size:
            return f"{seconds // {'days': 86400, 'h': 3600, 'min': 60}[name]:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"
