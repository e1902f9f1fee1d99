"""Reading what a user gave: mappings field by field, lists entry by entry.

Whatever is there, reading it ends in a value of the wanted kind or in a fault, and never in an exception.
Empty text counts as absent: it is the default of many inputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cmom.models import Secret, is_unicode
from cmom.services.validation.findings import Findings, kind_of, nearest, shown

MAX_IDENTIFIER = 256
# Also what only Unicode takes for the end of a line: `str.splitlines` does, in what machines print.
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]")
# Letters, digits, "-", ".", "_", beginning with a letter: `validate_inputs` of the REST service, 4.3 to 7.0.
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9._-]*\Z")


class Fields:
    """The fields of one mapping that the user gave.

    Args:
        raw: What was given; anything but a mapping is a fault, and reads as an empty one.
        place: Where it stands, such as ``plugins[1]``; empty for the inputs themselves.
        findings: Where faults go.
        known: The names there may be; any other is a fault.
        example: What is said to someone who gave something else than a mapping.
    """

    def __init__(
        self, raw: object, place: str, findings: Findings, known: Iterable[str], *, example: str = ""
    ) -> None:
        self.findings = findings
        self._place = place
        self._known = tuple(known)
        self.valid = isinstance(raw, Mapping)
        self._raw: Mapping[Any, Any] = raw if isinstance(raw, Mapping) else {}
        if not self.valid:
            wanted = f"must be a mapping{f' like {example}' if example else ''}, not {kind_of(raw)}"
            findings.fault(place or "inputs", wanted)
        for name in self._raw:
            if name not in self._known:
                findings.fault(self.at(shown(name)[1:-1]), f"unknown{nearest(name, self._known)}")

    def at(self, name: str) -> str:
        """Return the place of a field."""
        return f"{self._place}.{name}" if self._place else name

    def fault(self, name: str, problem: str) -> None:
        """Note what is wrong with a field."""
        self.findings.fault(self.at(name), problem)

    def raw(self, name: str) -> object:
        """Return what was given, None when nothing was."""
        return self._raw.get(name)

    def given(self, name: str) -> bool:
        """Tell whether anything was given: not nothing, not empty text."""
        value = self._raw.get(name)
        return value is not None and value != ""

    def text(self, name: str, *, required: bool = False, default: str | None = None) -> str | None:
        """Read text; None (and a fault, when it is required or wrong) if there is none."""
        if not self.given(name):
            if required and self.valid:
                self.fault(name, "missing")
            return default
        value = self._raw[name]
        if not isinstance(value, str):
            hint = "; put it in quotes" if isinstance(value, int | float) else ""
            self.fault(name, f"must be text, not {kind_of(value)}{hint}")
            return None
        text = value.reveal() if isinstance(value, Secret) else str(value)
        if not is_unicode(text):
            self.fault(name, "holds characters that are no Unicode text")
            return None
        return text

    def line(self, name: str, *, required: bool = False, default: str | None = None) -> str | None:
        """Read text of one line, without spaces around it."""
        value = self.text(name, required=required, default=default)
        if value is None:
            return None
        if _CONTROL.search(value):
            self.fault(name, "must be one line without control characters")
            return None
        if value != value.strip():
            self.fault(name, "has spaces at its beginning or end")
            return None
        return value

    def secret(self, name: str, *, required: bool = False) -> Secret | None:
        """Read what must not be shown; no message about it holds it."""
        value = self.text(name, required=required)
        return None if value is None else Secret(value)

    def integer(self, name: str, *, default: int, least: int, most: int | None = None) -> int | None:
        """Read a whole number within bounds."""
        value = self._raw.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            hint = "; give it without quotes" if isinstance(value, str) and value.strip().isdigit() else ""
            self.fault(name, f"must be a whole number, not {kind_of(value)}{hint}")
            return None
        if value < least or (most is not None and value > most):
            bounds = f"between {least} and {most}" if most is not None else f"{least} or more"
            self.fault(name, f"must be {bounds}, not {shown(value)[1:-1]}")
            return None
        return value

    def boolean(self, name: str) -> bool | None:
        """Read true or false; None when nothing was given."""
        value = self._raw.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, bool):
            self.fault(name, f"must be true or false, not {kind_of(value)}")
            return None
        return value

    def choice(self, name: str, words: tuple[str, ...], *, default: str) -> str | None:
        """Read one word of several."""
        value = self.line(name, default=default)
        if value is not None and value not in words:
            self.fault(name, f"must be one of {', '.join(words)}, not {shown(value)}")
            return None
        return value

    def identifier(
        self, name: str, *, required: bool = False, default: str | None = None, show: bool = True
    ) -> str | None:
        """Read a name as a manager accepts it for tenants, secrets, blueprints, deployments and users.

        Args:
            show: Whether a message may hold what was given; not where a secret may stand by mistake.
        """
        value = self.text(name, required=required, default=default)
        problem = identifier_problem(value, show=show) if value is not None else None
        if problem:
            self.fault(name, problem)
            return None
        return value

    def entries(self, name: str, *, required: bool = False) -> Iterator[tuple[str, object]]:
        """Read a list: yield the place and the content of each entry."""
        value = self._raw.get(name)
        if value is None or value == "":
            if required:
                self.fault(name, "missing")
            return
        if not isinstance(value, list | tuple):
            self.fault(name, f"must be a list, not {kind_of(value)}")
            return
        for number, entry in enumerate(value):
            yield f"{self.at(name)}[{number}]", entry


def identifier_problem(value: str, *, show: bool = True) -> str | None:
    """Say what keeps a name from being an identifier on a manager; None when nothing does."""
    if not value:
        return "must not be empty"
    if len(value) > MAX_IDENTIFIER:
        return f"is too long: {len(value)} characters, at most {MAX_IDENTIFIER} are allowed"
    if _IDENTIFIER.match(value):
        return None
    unlike = f", unlike {shown(value)}" if show else ""
    if not (value[0].isascii() and value[0].isalpha()):
        return f"must begin with a letter (a-z, A-Z){unlike}"
    return f"may have letters, digits, '-', '.' and '_' only{unlike}"
