"""Reading words: quotes, parameters, substitutions."""

from __future__ import annotations

import re
from collections.abc import Collection

from lab.sandbox.shell.syntax import Literal, Parameter, Part, Sequence, Substitution, Word

META = " \t\n;&|()<>"
"""What ends an unquoted word."""

_OPERATORS = (":-", ":=", ":?", ":+", "##", "%%", "-", "=", "?", "+", "#", "%")


class ShellSyntaxError(Exception):
    """The script is wrong, or uses what this shell does not have."""


class WordParser:
    """The half of a parser that reads words; the other half reads what stands between them.

    Args:
        text: the script.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def _sequence(self, ends: Collection[str]) -> Sequence:
        raise NotImplementedError

    def parse(self) -> Sequence:
        """The whole script."""
        raise NotImplementedError

    def _unexpected(self) -> ShellSyntaxError:
        rest = self._text[self._at :].split("\n")[0][:20]
        what = f"unexpected token `{rest}'" if rest else "unexpected end of file"
        return ShellSyntaxError(f"syntax error near {what}" if rest else f"syntax error: {what}")

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def quoted_text(self) -> Word:
        """The whole text as if between double quotes: the body of a here-document."""
        parts: list[Part] = []
        while self._at < len(self._text):
            self._quoted_part(parts)
        return Word(_joined(parts))

    def _expect(self, text: str) -> None:
        raise NotImplementedError

    def _word(self) -> Word:
        parts: list[Part] = []
        while self._at < len(self._text) and self._text[self._at] not in META:
            letter = self._text[self._at]
            if letter == "'":
                end = self._text.find("'", self._at + 1)
                if end < 0:
                    raise ShellSyntaxError("unexpected EOF while looking for matching `''")
                parts.append(Literal(self._text[self._at + 1 : end], True))
                self._at = end + 1
            elif letter == '"':
                self._double_quoted(parts)
            elif letter == "\\":
                if not self._peek("\\\n"):
                    parts.append(Literal(self._text[self._at + 1 : self._at + 2], True))
                self._at += 2
            elif letter in "$`":
                self._dollar(parts, quoted=False)
            else:
                parts.append(Literal(letter, False))
                self._at += 1
        return Word(_joined(parts))

    def _double_quoted(self, parts: list[Part]) -> None:
        self._at += 1
        parts.append(Literal("", True))
        while not self._peek('"'):
            if self._at >= len(self._text):
                raise ShellSyntaxError("unexpected EOF while looking for matching `\"'")
            self._quoted_part(parts)
        self._at += 1

    def _quoted_part(self, parts: list[Part]) -> None:
        letter = self._text[self._at]
        if letter == "\\" and self._text[self._at + 1 : self._at + 2] in tuple('$`"\\\n'):
            if not self._peek("\\\n"):
                parts.append(Literal(self._text[self._at + 1], True))
            self._at += 2
        elif letter in "$`":
            self._dollar(parts, quoted=True)
        else:
            parts.append(Literal(letter, True))
            self._at += 1

    def _dollar(self, parts: list[Part], *, quoted: bool) -> None:
        if self._peek("`"):
            end = self._text.find("`", self._at + 1)
            if end < 0:
                raise ShellSyntaxError("unexpected EOF while looking for matching ``'")
            body = type(self)(self._text[self._at + 1 : end]).parse()
            parts.append(Substitution(body, quoted))
            self._at = end + 1
        elif self._peek("$(("):
            raise ShellSyntaxError("`$((' is not simulated by the lab")
        elif self._peek("$("):
            self._at += 2
            body = self._sequence(())
            self._expect(")")
            parts.append(Substitution(body, quoted))
        elif self._peek("${"):
            self._at += 2
            parts.append(self._braced(quoted))
        else:
            found = re.compile(r"\$([A-Za-z_]\w*|[0-9?#$!@*-])").match(self._text, self._at)
            if found is None:
                parts.append(Literal("$", quoted))
                self._at += 1
            else:
                parts.append(Parameter(found[1], quoted))
                self._at = found.end()

    def _braced(self, quoted: bool) -> Parameter:
        length = self._peek("#") and not self._peek("#}")
        if length:
            self._at += 1
        found = re.compile(r"[A-Za-z_]\w*|[0-9?#$!@*-]").match(self._text, self._at)
        if found is None:
            raise ShellSyntaxError("bad substitution")
        self._at = found.end()
        operator = next((one for one in _OPERATORS if self._peek(one)), "")
        self._at += len(operator)
        parts: list[Part] = []
        while not self._peek("}"):
            if self._at >= len(self._text) or not operator:
                raise ShellSyntaxError("bad substitution")
            if self._peek('"'):
                self._double_quoted(parts)
            else:
                self._quoted_part(parts)
        self._at += 1
        return Parameter(found[0], quoted, "length" if length else operator, Word(_joined(parts)))


def _joined(parts: list[Part]) -> tuple[Part, ...]:
    """Neighbouring literals of one kind as one."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, Literal) and isinstance(last, Literal) and part.quoted == last.quoted:
            joined[-1] = Literal(last.text + part.text, part.quoted)
        else:
            joined.append(part)
    return tuple(joined)
