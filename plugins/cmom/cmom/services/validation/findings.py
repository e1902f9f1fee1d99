"""All that is found wrong, or worth a word, collected so that it can be said at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from cmom.errors import Fault, InvalidInputs

_MOST_SHOWN = 80


class Findings:
    """Faults and warnings in the order in which they were found."""

    def __init__(self) -> None:
        # In the order in which they were found, each once; a mapping, for there may be very many.
        self._faults: dict[Fault, None] = {}
        self._warnings: list[str] = []

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What must be mended."""
        return tuple(self._faults)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed and still worth a word."""
        return tuple(self._warnings)

    def fault(self, place: str, problem: str) -> None:
        """Note what is wrong at a place."""
        self._faults.setdefault(Fault(place, problem))

    def take(self, faults: Iterable[Fault]) -> None:
        """Note faults that others found."""
        for found in faults:
            self.fault(found.place, found.problem)

    def warn(self, place: str, remark: str) -> None:
        """Note what is allowed and still worth a word."""
        self._warnings.append(f"{place}: {remark}")

    def raise_faults(self) -> None:
        """Raise all faults as one error, if there are any.

        Raises:
            InvalidInputs: There are.
        """
        if self._faults:
            raise InvalidInputs(self._faults)


def kind_of(value: object) -> str:
    """Return what a value is, in words of YAML; never the value itself, which may be a secret."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true/false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return f"of the kind {type(value).__name__}"


def shown(text: object) -> str:
    """Return a name or a value for a message: quoted, without control characters, not too long."""
    try:
        return repr(str(text)[:_MOST_SHOWN])
    except ValueError:  # Python writes no number of more than some thousand digits
        return "'a very large number'"


def nearest(word: object, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for a mistyped word, or the known ones when none is near."""
    words = sorted(known)
    close = difflib.get_close_matches(shown(word)[1:-1].lower(), words, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(words)}"
