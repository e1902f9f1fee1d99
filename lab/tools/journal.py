"""The journal of an emulated machine: in memory, as CentOS 7 keeps it, and gone after a reboot."""

from __future__ import annotations

import re
import time
import uuid
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from lab.tools.call import Tool, ToolCall

MAX_ENTRIES = 20_000


@dataclass(frozen=True)
class Entry:
    """One line of the journal.

    Attributes:
        number: grows by one from entry to entry, never reused.
        at_seconds: when, in the lab's time.
        unit: whose, with its suffix.
        sender: what `short` shows before the text, `bash[12]`.
        text: the line.
    """

    number: int
    at_seconds: float
    unit: str
    sender: str
    text: str


class Journal:
    """All entries of one boot."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=MAX_ENTRIES)
        self._source = uuid.uuid4().hex
        self._last = 0

    def add(self, at_seconds: float, unit: str, sender: str, text: str) -> None:
        """Append a line."""
        self._last += 1
        self._entries.append(Entry(self._last, at_seconds, unit, sender, text))

    def clear(self) -> None:
        """Forget everything; cursors of before are not found any more."""
        self._entries.clear()
        self._source = uuid.uuid4().hex

    def of(self, units: Iterable[str]) -> list[Entry]:
        """The entries of these units, of all without any."""
        wanted = set(units)
        return [entry for entry in self._entries if not wanted or entry.unit in wanted]

    def cursor(self, entry: Entry) -> str:
        """The cursor that stands for an entry."""
        return f"s={self._source};i={entry.number:x};t={int(entry.at_seconds * 1e6):x}"

    def number_of(self, cursor: str) -> int | None:
        """The number in a cursor; None when it is not of this journal."""
        found = re.match(r"s=([0-9a-f]+);i=([0-9a-f]+)(;|$)", cursor)
        if found is None:
            return None
        return int(found[2], 16) if found[1] == self._source else 0


@dataclass
class _Options:
    units: list[str]
    lines: int | None = None
    output: str = "short"
    after: str | None = None
    show_cursor: bool = False
    quiet: bool = False
    reverse: bool = False


_VALUED = {
    "-u": "unit", "--unit": "unit", "-n": "lines", "--lines": "lines", "-o": "output",
    "--output": "output", "--after-cursor": "after", "--since": "ignored", "--until": "ignored",
    "-S": "ignored", "-U": "ignored", "-p": "ignored", "--priority": "ignored",
}  # fmt: skip
_FLAGS = {
    "--no-pager": "ignored", "-b": "ignored", "--boot": "ignored", "--show-cursor": "cursor",
    "-q": "quiet", "--quiet": "quiet", "-a": "ignored", "--all": "ignored", "-l": "ignored",
    "--full": "ignored", "--no-full": "ignored", "--utc": "ignored", "-r": "reverse",
    "--reverse": "reverse", "-e": "ignored", "-k": "kernel", "--system": "ignored",
}  # fmt: skip
_FORMATS = ("short", "short-iso", "cat")


class _UsageError(Exception):
    """An argument the real command refuses too."""


def _parse(args: tuple[str, ...]) -> _Options:
    options = _Options(units=[])
    pending = list(args)
    while pending:
        word = pending.pop(0)
        name, joined, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not word.startswith("--") and len(word) > 2 and word[:2] in _VALUED:
            name, joined, value = word[:2], "=", word[2:]
        if name in _VALUED:
            if not joined:
                if not pending:
                    raise _UsageError(f"option requires an argument -- '{name.lstrip('-')}'")
                value = pending.pop(0)
            _set(options, _VALUED[name], value)
        elif name in _FLAGS:
            kind = _FLAGS[name]
            options.show_cursor |= kind == "cursor"
            options.quiet |= kind == "quiet"
            options.reverse |= kind == "reverse"
        elif word.startswith("--"):
            raise _UsageError(f"unrecognized option '{word}'")
        elif word.startswith("-"):
            raise _UsageError(f"invalid option -- '{word[1:2]}'")
        else:
            raise _UsageError(f"Failed to add match '{word}': Invalid argument")
    return options


def _set(options: _Options, name: str, value: str) -> None:
    if name == "unit":
        options.units.append(value if "." in value else f"{value}.service")
    elif name == "lines":
        if value != "all" and not value.isdigit():
            raise _UsageError(f"Failed to parse lines '{value}'")
        options.lines = None if value == "all" else int(value)
    elif name == "output":
        if value not in _FORMATS:
            raise _UsageError(f"Unknown output format '{value}'.")
        options.output = value
    elif name == "after":
        options.after = value


async def journalctl(call: ToolCall) -> int:
    """Print the journal. The SSH user may read it: the cloud image puts it into adm."""
    try:
        options = _parse(call.args)
    except _UsageError as error:
        call.err(f"journalctl: {error}" if "option" in str(error) else str(error))
        return 1
    journal = call.machine.units.journal
    entries = journal.of(options.units)
    if options.after is not None:
        number = journal.number_of(options.after)
        if number is None:
            call.err("Failed to seek to cursor: Invalid argument")
            return 1
        entries = [entry for entry in entries if entry.number > number]
    if options.lines is not None:
        entries = entries[len(entries) - min(options.lines, len(entries)) :]
    if options.reverse:
        entries.reverse()
    if options.output != "cat" and not options.quiet:
        call.out(_heading(journal))
    for entry in entries:
        call.out(_line(call, entry, options.output))
    if options.show_cursor and entries:
        call.out(f"-- cursor: {journal.cursor(entries[-1])}\n")
    return 0


def _heading(journal: Journal) -> str:
    entries = journal.of(())
    if not entries:
        return "-- No entries --\n"
    first, last = (_date(entry.at_seconds) for entry in (entries[0], entries[-1]))
    return f"-- Logs begin at {first}, end at {last}. --\n"


def _date(seconds: float) -> str:
    return time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _line(call: ToolCall, entry: Entry, output: str) -> str:
    if output == "cat":
        return f"{entry.text}\n"
    form = "%b %d %H:%M:%S" if output == "short" else "%Y-%m-%dT%H:%M:%S+0000"
    moment = time.strftime(form, time.gmtime(entry.at_seconds))
    return f"{moment} {call.machine.hostname.split('.')[0]} {entry.sender}: {entry.text}\n"


TOOLS: dict[str, Tool] = {"journalctl": journalctl}
