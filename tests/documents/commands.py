"""The commands that a document tells its readers to type: found in its blocks, and in its running text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
README = PROJECT / "README.md"
RUNBOOK = PROJECT / "docs" / "runbook.md"

# What begins a command in the middle of a text. In a block without a language every line is one.
PROGRAMS = (
    "cfy",
    "cfy_manager",
    "cmom-monitor",
    "make",
    "pip",
    "python",
    "ssh-keygen",
    "sudo",
    "systemctl",
    "wagon",
)
_FENCE = re.compile(r"^\s*```(?P<language>\w*)\s*$")
_SPAN = re.compile(r"`([^`]+)`")
_REMARK = re.compile(r"(^|\s+)#\s.*$")


@dataclass(frozen=True)
class Command:
    """One command, as it stands in a document.

    Attributes:
        place: ``README.md:12``.
        text: Without prompt and remark, blanks made single.
    """

    place: str
    text: str


def commands_in(path: Path) -> list[Command]:
    """Return all commands of a document.

    A command that is only named by its first words (`cfy install`) is among them; who asks sees to that.
    """
    found = []
    for number, text in _lines(path.read_text(encoding="utf-8").splitlines()):
        found.append(Command(f"{path.name}:{number}", text))
    return found


def _lines(lines: list[str]) -> Iterator[tuple[int, str]]:
    language: str | None = None
    block: list[tuple[int, str]] = []
    for number, line in enumerate(lines, 1):
        fence = _FENCE.match(line)
        if fence and language is None:
            language, block = fence["language"], []
        elif fence:
            if not language:
                yield from _of_block(block)
            language = None
        elif language is not None:
            block.append((number, line))
        else:
            for span in _SPAN.findall(line):
                if len(span.split()) > 1 and span.split()[0] in PROGRAMS:
                    yield number, _plain(span)


def _of_block(block: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Every line, or, where output is shown, too, those with a prompt."""
    prompts = [(number, line.strip()[2:]) for number, line in block if line.strip().startswith("$ ")]
    for number, line in prompts or block:
        text = _plain(_REMARK.sub("", line))
        if text:
            yield number, text


def _plain(text: str) -> str:
    return " ".join(text.split())
