"""Expanding words: parameters, substitutions, splitting, patterns."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from lab.sandbox.shell.files import Files
from lab.sandbox.shell.syntax import Literal, Parameter, Substitution, Word
from lab.sandbox.shell.syntax import Sequence as Script


class ExpansionError(Exception):
    """An unset variable under `set -u`, or `${name:?message}`."""


@dataclass
class Expander:
    """Expands the words of one shell.

    Attributes:
        variables: the shell's.
        arguments: `$0`, `$1` and so on.
        status: `$?`.
        strict: `set -u`.
        files: for patterns.
        capture: runs a command substitution and returns its output.
    """

    variables: dict[str, str]
    arguments: list[str]
    status: int
    strict: bool
    files: Files
    capture: Callable[[Script], Awaitable[bytes]]

    async def fields(self, words: Sequence[Word]) -> list[str]:
        """Words as a command gets them."""
        found: list[str] = []
        for word in words:
            found += await self._fields(word)
        return found

    async def text(self, word: Word) -> str:
        """A word as one string: of an assignment, a redirection, a here-document."""
        pieces = []
        for position, part in enumerate(word.parts):
            if isinstance(part, Literal):
                tilde = position == 0 and not part.quoted
                pieces.append(self._tilde(part.text) if tilde else part.text)
            else:
                pieces.append(await self._value(part))
        return "".join(pieces)

    def _tilde(self, text: str) -> str:
        if text == "~" or text.startswith("~/"):
            return self.variables.get("HOME", "/") + text[1:]
        return text

    async def _fields(self, word: Word) -> list[str]:
        # Each field is a list of (text, quoted) pieces; patterns count in unquoted pieces only.
        fields: list[list[tuple[str, bool]]] = [[]]
        seen = False
        for position, part in enumerate(word.parts):
            if isinstance(part, Literal):
                text = self._tilde(part.text) if position == 0 and not part.quoted else part.text
                fields[-1].append((text, part.quoted))
                seen = True
            elif part.quoted:
                if isinstance(part, Parameter) and part.name == "@" and not part.operator:
                    for number, argument in enumerate(self.arguments[1:]):
                        if number:
                            fields.append([])
                        fields[-1].append((argument, True))
                        seen = True
                    continue
                fields[-1].append((await self._value(part), True))
                seen = True
            else:
                value = await self._value(part)
                pieces = re.split(r"[ \t\n]+", value)
                for number, piece in enumerate(pieces):
                    if number:
                        fields.append([])
                    if piece:
                        fields[-1].append((piece, False))
                        seen = True
        if not seen:
            return []
        return [name for field in fields if field for name in self._matches(field)]

    def _matches(self, field: list[tuple[str, bool]]) -> list[str]:
        text = "".join(piece for piece, _ in field)
        if not any(not quoted and re.search(r"[*?\[]", piece) for piece, quoted in field):
            return [text]
        pattern = "".join(re.sub(r"([*?\[])", r"[\1]", piece) if quoted else piece for piece, quoted in field)
        return self._glob(pattern) or [text]

    def _glob(self, pattern: str) -> list[str]:
        found = ["/" if pattern.startswith("/") else ""]
        for step in [step for step in pattern.split("/") if step]:
            following = []
            for base in found:
                try:
                    names = os.listdir(self.files.readable(base or "."))
                except OSError:
                    continue
                for name in sorted(names):
                    if name.startswith(".") and not step.startswith("."):
                        continue
                    if fnmatch.fnmatchcase(name, step):
                        following.append(f"{base}{name}/")
            found = following
        return [name.rstrip("/") for name in found if name.rstrip("/")]

    async def _value(self, part: Parameter | Substitution) -> str:
        if isinstance(part, Substitution):
            return (await self.capture(part.body)).decode(errors="surrogateescape").rstrip("\n")
        value = self._parameter(part.name)
        operator = part.operator
        if operator == "length":
            return str(len(value or ""))
        missing = value is None or (operator.startswith(":") and not value)
        if operator.lstrip(":") in ("-", "=", "?", "+") and operator:
            return await self._default(part, value, missing)
        if value is None:
            if self.strict and part.name not in "@*":
                raise ExpansionError(f"{part.name}: unbound variable")
            return ""
        if operator in ("#", "##", "%", "%%"):
            assert part.argument is not None
            return _trimmed(value, operator, await self.text(part.argument))
        return value

    async def _default(self, part: Parameter, value: str | None, missing: bool) -> str:
        kind = part.operator[-1]
        argument = await self.text(part.argument) if part.argument is not None else ""
        if kind == "+":
            return "" if missing else argument
        if not missing:
            return value or ""
        if kind == "?":
            raise ExpansionError(f"{part.name}: {argument or 'parameter null or not set'}")
        if kind == "=":
            self.variables[part.name] = argument
        return argument

    def _parameter(self, name: str) -> str | None:
        if name == "?":
            return str(self.status)
        if name == "#":
            return str(len(self.arguments) - 1)
        if name in ("@", "*"):
            return " ".join(self.arguments[1:])
        if name in ("$", "!"):
            return self.variables.get(name, "1")
        if name == "-":
            return "hB"
        if name.isdigit():
            number = int(name)
            return self.arguments[number] if number < len(self.arguments) else None
        return self.variables.get(name)


def _trimmed(value: str, operator: str, pattern: str) -> str:
    lengths = range(len(value) + 1)
    if operator in ("##", "%"):
        lengths = range(len(value), -1, -1)
    for length in lengths:
        if operator.startswith("#") and fnmatch.fnmatchcase(value[:length], pattern):
            return value[length:]
        if operator.startswith("%") and fnmatch.fnmatchcase(value[length:], pattern):
            return value[:length]
    return value


def exported(variables: Mapping[str, str], names: set[str]) -> dict[str, str]:
    """The part of a shell's variables that commands see."""
    return {name: value for name, value in variables.items() if name in names}
