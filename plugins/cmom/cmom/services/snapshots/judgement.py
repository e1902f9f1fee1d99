"""Whether a restore has restored anything: a decision made of what was counted. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping


def restore_problem(
    before: Mapping[str, int], after: Mapping[str, int], expected: Mapping[str, int] | None
) -> str | None:
    """Say what speaks against a restore that the manager calls a success; None when nothing does.

    Args:
        before: What the manager held, by kind.
        after: What it holds now.
        expected: What the snapshot holds at least; None when nobody knows.
    """
    held = _in_words(after)
    if expected:
        missing = [
            f"{kind}: {after.get(kind, 0)} of {count}"
            for kind, count in expected.items()
            if after.get(kind, 0) < count
        ]
        if not missing:
            return None
        if dict(before) == dict(after):
            return f"nothing was restored: the manager holds {held}, the same as before"
        return f"it was not restored in full ({', '.join(missing)})"
    if dict(before) == dict(after):
        return f"nothing was restored: the manager holds {held}, the same as before"
    return None


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "nothing"
