"""What a benchmark says at its end: rows of the table, for people and as JSON for `make bench`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One number to hold.

    Attributes:
        what: What is measured, and with how much of it.
        bar: What it must not exceed, in words.
        ratio: How many times what stands beside it; the only figure that another machine should see again.
        measured: Ours.
        beside: What was done instead in the same run, and what that took.
        held: Whether the bar is.
    """

    what: str
    bar: str
    ratio: str
    measured: str
    beside: str
    held: bool


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let a benchmark be told where its rows go."""
    parser.add_argument("--json", type=Path, help="write the rows into this file, too")


def finish(rows: Sequence[Row], options: argparse.Namespace) -> int:
    """Print the rows, write them where they are wanted, and return the exit code."""
    for row in rows:
        print(f"{'held' if row.held else 'MISSED'}: {row.what}: {row.measured} (bar: {row.bar})")
        print(f"    beside: {row.beside}; ratio: {row.ratio}", flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
    return 0 if all(row.held for row in rows) else 1
