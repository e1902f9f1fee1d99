"""The syntax tree of a shell script.

Redirections are lists because a here-document's text is read after the command it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class Literal:
    """Text as it stands; unquoted text may hold patterns."""

    text: str
    quoted: bool


@dataclass(frozen=True)
class Parameter:
    """`$name`, or `${name OPERATOR argument}`."""

    name: str
    quoted: bool
    operator: str = ""
    argument: Word | None = None


@dataclass(frozen=True)
class Substitution:
    """`$(...)` or backquotes."""

    body: Sequence
    quoted: bool


Part: TypeAlias = "Literal | Parameter | Substitution"


@dataclass(frozen=True)
class Word:
    """A word before expansion."""

    parts: tuple[Part, ...]

    @property
    def plain(self) -> str | None:
        """Its text when it is one unquoted literal: what may be a reserved word."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Literal) and not self.parts[0].quoted:
            return self.parts[0].text
        return None


@dataclass(frozen=True)
class Redirect:
    """One redirection: descriptor, operator, and the target or the here-document's text."""

    descriptor: int
    operator: str
    target: Word


@dataclass(frozen=True)
class Simple:
    """Assignments, words and redirections."""

    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirects: list[Redirect]


@dataclass(frozen=True)
class Group:
    """`{ ...; }`, or with `subshell` `( ... )`."""

    body: Sequence
    subshell: bool
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(frozen=True)
class If:
    """Conditions with their bodies, and what else."""

    branches: tuple[tuple[Sequence, Sequence], ...]
    otherwise: Sequence | None
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(frozen=True)
class For:
    """`for name in words`; without words over the arguments."""

    name: str
    words: tuple[Word, ...] | None
    body: Sequence
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(frozen=True)
class While:
    """`while`, or with `until` until."""

    condition: Sequence
    body: Sequence
    until: bool
    redirects: list[Redirect] = field(default_factory=list)


Node: TypeAlias = "Simple | Group | If | For | While"


@dataclass(frozen=True)
class Pipeline:
    """Commands joined by `|`."""

    nodes: tuple[Node, ...]
    negated: bool


@dataclass(frozen=True)
class AndOr:
    """Pipelines joined by `&&` and `||`; the first one's operator is empty."""

    items: tuple[tuple[str, Pipeline], ...]
    background: bool = False


@dataclass(frozen=True)
class Sequence:
    """Lists joined by `;`, `&` and newlines."""

    items: tuple[AndOr, ...] = field(default=())
