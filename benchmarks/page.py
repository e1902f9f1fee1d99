"""RESULTS.md out of what the benchmarks left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.catalogue import BENCHMARKS

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"

_HEAD = """# Results

Written by `make bench`, not by hand; `results.json` beside it has the same for programs. What counts is the
ratio: both sides of it were measured in the same run, one after the other, on the same machine. The seconds
are those of that machine alone. What a run leaves out keeps the figures of the day that stands beside them.

| number to hold | bar | ratio | measured | beside it, in the same run | day | |
| --- | --- | --- | --- | --- | --- | --- |
"""


def render(stored: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        stored: The content of results.json: ``benchmarks`` has an entry for each that was ever run, with
            ``rows`` as `benchmarks.results.Row` has them, ``failure``, ``when``, ``load_before``, ``seconds``
            and ``machine``.
    """
    entries = stored["benchmarks"]
    names = [*BENCHMARKS, *(name for name in entries if name not in BENCHMARKS)]
    rows = [row for name in names for row in _rows(name, entries.get(name))]
    return "".join([_HEAD, *rows, *_runs(entries)])


def _rows(name: str, entry: Mapping[str, Any] | None) -> Iterator[str]:
    if entry is None:
        does = BENCHMARKS[name].does
        yield _line(f"{name}: {does}", "", "", "", "", "", "**never measured**")
        return
    if not entry["rows"]:
        yield _line(name, "", "", "", entry["failure"], entry["when"], "**failed**")
    for row in entry["rows"]:
        cells = [row["what"], row["bar"], row["ratio"], row["measured"], row["beside"], entry["when"]]
        yield _line(*cells, "held" if row["held"] else "**missed**")


def _runs(entries: Mapping[str, Any]) -> Iterator[str]:
    machines = list(dict.fromkeys(entry["machine"] for entry in entries.values()))
    yield "\n## Where and when\n\n"
    for number, machine in enumerate(machines, 1):
        yield f"{number}. {machine}\n"
    yield "\n| benchmark | day | machine | load before it | took |\n| --- | --- | --- | --- | --- |\n"
    for name, entry in entries.items():
        number = machines.index(entry["machine"]) + 1
        yield _line(name, entry["when"], str(number), str(entry["load_before"]), f"{entry['seconds']} s")


def _line(*cells: str) -> str:
    return f"| {' | '.join(map(_cell, cells))} |\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
