"""How members are watched, and what is tried when one dies."""

from __future__ import annotations

from cmom.services.healing.plan import HealStep
from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import kind_of, nearest, shown

# Name -> the least that makes sense.
_NUMBERS = {
    "heartbeat_interval": 1.0,
    "heal_wait_seconds": 0.0,
    "heal_retries": 0.0,
    "heal_retry_interval_seconds": 0.0,
    "heal_backup_timeout_seconds": 1.0,
    "heal_rebuild_timeout_seconds": 1.0,
    "heal_retry_delay_seconds": 0.0,
}
HEAL_INPUTS = ("heal_steps", *_NUMBERS)


def read_healing(fields: Fields) -> None:
    """Check the inputs of watching and healing; the operations read them as they are."""
    words = [step.value for step in HealStep]
    entries = list(fields.entries("heal_steps"))
    for place, word in entries:
        if word not in words:
            fields.findings.fault(place, f"cannot be {shown(word)}{nearest(word, words)}")
    if isinstance(fields.raw("heal_steps"), list | tuple) and not entries:
        fields.fault("heal_steps", f"is empty; name at least one of {', '.join(words)}")
    for name, least in _NUMBERS.items():
        _check_number(fields, name, least)


def _check_number(fields: Fields, name: str, least: float) -> None:
    value = fields.raw(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        fields.fault(name, f"must be a number, not {kind_of(value)}")
    elif not least <= value < float("inf"):
        fields.fault(name, f"must be {least:g} or more, not {shown(value)[1:-1]}")
