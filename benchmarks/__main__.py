"""Runs the benchmarks one after another, and writes what they found into RESULTS.md.

    python -m benchmarks [NAME ...] [--without NAME] [--quick] [--list]

Without names all of them run, which takes about 25 minutes on two idle cores, ten of them for all tests:
`--without suite` leaves those out. What is not run keeps its last figures and is named with their day. One
that fails or hangs is shown as failed, and the others run all the same. The exit code is 0 when all that were
run held their bars.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.catalogue import BENCHMARKS, total
from benchmarks.machine import describe
from benchmarks.page import RESULTS, render
from benchmarks.running import PROJECT, run

STORED = PROJECT / "benchmarks" / "results.json"


def read() -> dict[str, Any]:
    """Return what former runs found: the entry of each benchmark that was ever run, by its name."""
    if not STORED.is_file():
        return {}
    found: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))["benchmarks"]
    return found


def write(entries: Mapping[str, Any]) -> None:
    """Store what was found, and make the page of it."""
    stored = {"benchmarks": {name: entries[name] for name in BENCHMARKS if name in entries}}
    replace(STORED, json.dumps(stored, indent=2) + "\n")
    replace(RESULTS, render(stored))


def replace(path: Path, text: str) -> None:
    """Write a file aside, and put it in the place of the old one."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def chosen(arguments: Sequence[str] | None = None) -> tuple[list[str], argparse.Namespace]:
    """Return which benchmarks are wanted, in their order, and the options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME", help="leave these out")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: shows that they run, not how fast; writes nothing"
    )
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    options = parser.parse_args(arguments)
    if unknown := {*options.names, *options.without} - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    wanted = set(options.names or BENCHMARKS) - set(options.without)
    if not wanted:
        parser.error("nothing is left to run")
    return [name for name in BENCHMARKS if name in wanted], options


def main() -> int:
    """Run what is wanted."""
    names, options = chosen()
    if options.list:
        for name in names:
            benchmark = BENCHMARKS[name]
            print(f"{name:10} about {benchmark.minutes:g} min: {benchmark.does}")
            print(f"{'':10} python -m {' '.join(benchmark.words)}")
        return 0
    entries = read()
    ran = {}
    print(f"{len(names)} benchmarks" + ("." if options.quick else f", {total(names)}."))
    for number, name in enumerate(names, 1):
        benchmark = BENCHMARKS[name]
        minutes = "" if options.quick else f", about {benchmark.minutes:g} min"
        print(f"\n==> {number} of {len(names)}: {name}{minutes}: it {benchmark.does}", flush=True)
        ran[name] = {**run(benchmark, options.quick), "machine": describe()}
        if not ran[name]["rows"]:
            print(f"FAILED: {name}: {ran[name]['failure']}", flush=True)
        # After each: what was measured is kept when the next one is interrupted.
        if not options.quick:
            write({**entries, **ran})
    return conclude(ran, entries, options.quick)


def conclude(ran: Mapping[str, Any], entries: Mapping[str, Any], quick: bool) -> int:
    """Say how it went, and what the page has from former days; return the exit code."""
    print()
    if quick:
        print("Small sizes say little: nothing is written.")
    else:
        print(f"{RESULTS.relative_to(PROJECT)} is written.")
        for name in BENCHMARKS:
            if name not in ran:
                when = f"its figures are of {entries[name]['when']}" if name in entries else "never measured"
                print(f"Not run: {name}, {when}.")
    bad = [
        name
        for name, entry in ran.items()
        if not entry["rows"] or not all(row["held"] for row in entry["rows"])
    ]
    print(f"NOT all bars are held: {', '.join(bad)}." if bad else "All bars are held.")
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; what was measured before is kept.")
