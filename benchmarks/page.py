"""RESULTS.md out of what the benchmarks left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"

_HEAD = """# Results

Written by `make bench`, not by hand; `results.json` beside it has the same for programs. What counts is the
ratio: both sides of it were measured in the same run, one after the other, on the same machine. The seconds
are those of that machine alone.

| number to hold | bar | ratio | measured | beside it, in the same run | |
| --- | --- | --- | --- | --- | --- |
"""


def render(stored: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        stored: The content of results.json: ``benchmarks`` has an entry for each, with ``rows`` as
            `benchmarks.results.Row` has them, ``failure``, ``when``, ``load_before``, ``seconds``, ``quick``
            and ``machine``.
    """
    return "".join([_HEAD, *_rows(stored["benchmarks"]), *_runs(stored["benchmarks"])])


def _rows(benchmarks: Mapping[str, Any]) -> Iterator[str]:
    for name, entry in benchmarks.items():
        if not entry["rows"]:
            yield f"| {name} | | | | {_cell(entry['failure'])} | **failed** |\n"
        for row in entry["rows"]:
            verdict = "held" if row["held"] else "**missed**"
            cells = [row["what"], row["bar"], row["ratio"], row["measured"], row["beside"]]
            yield f"| {' | '.join(map(_cell, cells))} | {verdict} |\n"


def _runs(benchmarks: Mapping[str, Any]) -> Iterator[str]:
    machines = list(dict.fromkeys(entry["machine"] for entry in benchmarks.values()))
    yield "\n## Where and when\n\n"
    for number, machine in enumerate(machines, 1):
        yield f"{number}. {machine}\n"
    yield "\n| benchmark | day | machine | load before it | took | |\n| --- | --- | --- | --- | --- | --- |\n"
    for name, entry in benchmarks.items():
        number = machines.index(entry["machine"]) + 1
        size = "small sizes: says little" if entry["quick"] else ""
        cells = [name, entry["when"], str(number), str(entry["load_before"]), f"{entry['seconds']} s", size]
        yield f"| {' | '.join(map(_cell, cells))} |\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
