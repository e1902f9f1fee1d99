"""From a script's text to its tree."""

from __future__ import annotations

import re
from collections.abc import Collection

from lab.sandbox.shell.syntax import (
    AndOr,
    For,
    Group,
    If,
    Literal,
    Node,
    Pipeline,
    Redirect,
    Sequence,
    Simple,
    While,
    Word,
)
from lab.sandbox.shell.word_parser import META, ShellSyntaxError, WordParser

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_REDIRECT = re.compile(r"(\d*)(&>>|&>|<<-|<<<|<<|>>|>&|<&|>\||>|<)")
_ENDS = ("then", "elif", "else", "fi", "do", "done", "}")
_UNSUPPORTED = ("case", "function", "select", "[[", "((")


class Parser(WordParser):
    """Parses one script.

    Args:
        text: the script.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._documents: list[tuple[list[Redirect], int, str, bool]] = []

    def parse(self) -> Sequence:
        """The whole script.

        Raises:
            ShellSyntaxError: as bash says it, more or less.
        """
        sequence = self._sequence(())
        if self._at < len(self._text):
            raise self._unexpected()
        return sequence

    def _blanks(self, *, newlines: bool = False) -> None:
        while self._at < len(self._text):
            letter = self._text[self._at]
            if self._peek("\\\n"):
                self._at += 2
            elif letter in " \t":
                self._at += 1
            elif letter == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif letter == "\n" and newlines:
                self._newline()
            else:
                return

    def _newline(self) -> None:
        self._at += 1
        for redirects, position, end, quoted in self._documents:
            redirects[position] = self._document(redirects[position], end, quoted)
        self._documents.clear()

    def _document(self, redirect: Redirect, end: str, quoted: bool) -> Redirect:
        lines = []
        while self._at < len(self._text):
            stop = self._text.find("\n", self._at)
            stop = len(self._text) if stop < 0 else stop
            line = self._text[self._at : stop]
            self._at = min(stop + 1, len(self._text))
            if redirect.operator == "<<-":
                line = line.lstrip("\t")
            if line == end:
                break
            lines.append(line + "\n")
        body = "".join(lines)
        word = Word((Literal(body, True),)) if quoted else Parser(body).quoted_text()
        return Redirect(redirect.descriptor, "<<", word)

    def _reserved(self) -> str:
        found = re.compile(r"[a-z]+|[{}]").match(self._text, self._at)
        if found is None:
            return ""
        after = self._text[found.end() : found.end() + 1]
        return found[0] if not after or after in META else ""

    def _sequence(self, ends: Collection[str]) -> Sequence:
        items: list[AndOr] = []
        while True:
            self._blanks(newlines=True)
            if self._at >= len(self._text) or self._peek(")") or self._reserved() in ends:
                return Sequence(tuple(items))
            items.append(self._and_or())

    def _and_or(self) -> AndOr:
        items = [("", self._pipeline())]
        while True:
            self._blanks()
            if self._peek("&&") or self._peek("||"):
                operator = self._text[self._at : self._at + 2]
                self._at += 2
                self._blanks(newlines=True)
                items.append((operator, self._pipeline()))
                continue
            if self._peek(";;"):
                raise self._unexpected()
            background = self._peek("&")
            if background or self._peek(";"):
                self._at += 1
            elif self._peek("\n"):
                self._newline()
            return AndOr(tuple(items), background)

    def _pipeline(self) -> Pipeline:
        negated = False
        while self._peek("! "):
            negated = not negated
            self._at += 2
            self._blanks()
        nodes = [self._command()]
        while True:
            self._blanks()
            if not self._peek("|") or self._peek("||"):
                return Pipeline(tuple(nodes), negated)
            self._at += 1
            self._blanks(newlines=True)
            nodes.append(self._command())

    def _command(self) -> Node:
        word = self._reserved()
        if any(self._peek(one + " ") or word == one for one in _UNSUPPORTED):
            raise ShellSyntaxError(f"`{word or self._text[self._at]}' is not simulated by the lab")
        if word in _ENDS:
            raise self._unexpected()
        if self._peek("("):
            self._at += 1
            body = self._sequence(())
            self._expect(")")
            return Group(body, True, self._redirects())
        if word == "{":
            self._at += 1
            body = self._sequence(("}",))
            self._expect("}")
            return Group(body, False, self._redirects())
        if word == "if":
            return self._if()
        if word == "for":
            return self._for()
        if word in ("while", "until"):
            self._at += 5
            condition = self._sequence(("do",))
            body = self._do()
            return While(condition, body, word == "until", self._redirects())
        return self._simple()

    def _expect(self, text: str) -> None:
        self._blanks(newlines=True)
        if not self._peek(text):
            raise self._unexpected()
        self._at += len(text)

    def _if(self) -> If:
        branches = []
        otherwise = None
        self._at += 2
        while True:
            condition = self._sequence(("then",))
            self._expect("then")
            body = self._sequence(("elif", "else", "fi"))
            branches.append((condition, body))
            if self._reserved() != "elif":
                break
            self._at += 4
        if self._reserved() == "else":
            self._at += 4
            otherwise = self._sequence(("fi",))
        self._expect("fi")
        return If(tuple(branches), otherwise, self._redirects())

    def _for(self) -> For:
        self._at += 3
        self._blanks()
        name = _NAME.match(self._text, self._at)
        if name is None:
            raise self._unexpected()
        self._at = name.end()
        self._blanks(newlines=True)
        words: list[Word] | None = None
        if self._reserved() == "in":
            self._at += 2
            words = []
            self._blanks()
            while self._at < len(self._text) and self._text[self._at] not in ";\n":
                words.append(self._word())
                self._blanks()
        if self._peek(";"):
            self._at += 1
        body = self._do()
        return For(name[0], None if words is None else tuple(words), body, self._redirects())

    def _do(self) -> Sequence:
        self._expect("do")
        body = self._sequence(("done",))
        self._expect("done")
        return body

    def _redirects(self) -> list[Redirect]:
        found: list[Redirect] = []
        self._blanks()
        while self._redirect(found):
            self._blanks()
        return found

    def _simple(self) -> Simple:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            self._blanks()
            if self._redirect(redirects):
                continue
            if self._at >= len(self._text) or self._text[self._at] in META:
                break
            assignment = None if words else _ASSIGNMENT.match(self._text, self._at)
            if assignment is not None:
                self._at = assignment.end()
                assignments.append((assignment[1], self._word()))
                continue
            words.append(self._word())
        if not (assignments or words or redirects):
            raise self._unexpected()
        return Simple(tuple(assignments), tuple(words), redirects)

    def _redirect(self, redirects: list[Redirect]) -> bool:
        found = _REDIRECT.match(self._text, self._at)
        if found is None:
            return False
        self._at = found.end()
        self._blanks()
        operator = found[2]
        descriptor = int(found[1]) if found[1] else (0 if operator.startswith("<") else 1)
        target = self._word()
        redirects.append(Redirect(descriptor, operator, target))
        if operator in ("<<", "<<-"):
            text = "".join(part.text for part in target.parts if isinstance(part, Literal))
            quoted = any(part.quoted for part in target.parts)
            self._documents.append((redirects, len(redirects) - 1, text, quoted))
        return True
