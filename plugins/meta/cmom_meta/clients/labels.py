"""Rules on labels, in the words of ``cfy deployments list --labels-rule``."""

from __future__ import annotations

import re
from typing import Any

from cmom_meta.errors import ActionRequired

_EQUAL = re.compile(r"^\s*([^\s=!]+)\s*(!?=)\s*(.+?)\s*$")
_NULL = re.compile(r"^\s*([^\s=!]+)\s+is\s+(not\s+)?null\s*$", re.IGNORECASE)


def parse_rule(rule: str) -> dict[str, Any]:
    """Make of a rule what the REST service takes as one of its ``filter_rules``.

    Args:
        rule: ``key=value``, ``key!=value``, either with a list ``[one,two]``; ``key is null``, ``key is
            not null``.

    Raises:
        ActionRequired: It is none of these.
    """
    found = _NULL.match(rule)
    if found:
        return _rule(found[1], "is_not_null" if found[2] else "is_null", [])
    found = _EQUAL.match(rule)
    if not found:
        raise ActionRequired(
            f"label_selector: {rule!r} is no rule. One is key=value, key!=value (or a list of values, as in "
            "key=[one,two]), key is null, or key is not null."
        )
    text = found[3]
    inner = text[1:-1].split(",") if text.startswith("[") and text.endswith("]") else [text]
    values = [value.strip() for value in inner if value.strip()]
    if not values:
        raise ActionRequired(f"label_selector: {rule!r} names no value.")
    return _rule(found[1], "any_of" if found[2] == "=" else "not_any_of", values)


def _rule(key: str, operator: str, values: list[str]) -> dict[str, Any]:
    # The manager keeps the keys of labels in lower case.
    return {"key": key.lower(), "values": values, "operator": operator, "type": "label"}
