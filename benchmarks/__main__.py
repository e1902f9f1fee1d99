"""Runs the benchmarks one after another, and writes what they found into RESULTS.md.

    python -m benchmarks [NAME ...] [--quick] [--list]

Without names all of them run, which takes about a quarter of an hour. What is not run keeps its last figures.
One that fails is shown as failed, and the others run all the same. The exit code is 0 when all that were run
held their bars.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.page import RESULTS, render

PROJECT = Path(__file__).resolve().parent.parent
STORED = PROJECT / "benchmarks" / "results.json"


@dataclass(frozen=True)
class Benchmark:
    """One module that is run as a program.

    Attributes:
        words: The module, and how it is called in full.
        quick: How it is called to see that it works, with figures that mean little.
        minutes: About how long it takes in full.
    """

    words: tuple[str, ...]
    quick: tuple[str, ...]
    minutes: float


BENCHMARKS = {
    "install": Benchmark(("benchmarks.install",), ("--install-seconds", "2"), 1.5),
    "resources": Benchmark(("benchmarks.resources",), ("--entries", "10"), 4),
    "download": Benchmark(("benchmarks.download",), ("--gigabytes", "0.2", "--rounds", "1"), 3),
    "status": Benchmark(("benchmarks.status",), (), 1),
    "fleet": Benchmark(("benchmarks.fleet",), ("--sizes", "10", "100"), 2.5),
    "monitor": Benchmark(("benchmarks.monitor",), ("--members", "1000", "--seconds", "20"), 2.5),
    "death": Benchmark(("benchmarks.monitor.death",), (), 2.5),
    "tests": Benchmark(("benchmarks.tests",), (), 1),
    "suite": Benchmark(("benchmarks.tests", "--all"), ("--arguments", "-k find_python"), 10),
}


def run(benchmark: Benchmark, quick: bool) -> dict[str, Any]:
    """Run one in a process of its own; return its entry of results.json."""
    load = os.getloadavg()[0]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cmom-bench-") as folder:
        path = Path(folder) / "rows.json"
        words = [sys.executable, "-W", "ignore", "-m", *benchmark.words, "--json", str(path)]
        words += benchmark.quick if quick else ()
        done = subprocess.run(words, cwd=PROJECT, check=False, stderr=subprocess.PIPE, text=True)
        rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    said = done.stderr.strip().splitlines()
    print(done.stderr, end="", file=sys.stderr)
    return {
        "when": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "quick": quick,
        "load_before": round(load, 1),
        "seconds": round(time.monotonic() - began),
        "failure": "" if rows else (said[-1] if said else f"it ended with exit code {done.returncode}"),
        "rows": rows,
    }


def replace(path: Path, text: str) -> None:
    """Write a file aside, and put it in the place of the old one."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def main() -> int:
    """Run what is wanted."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that they run, not how fast")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    if options.list:
        for name, benchmark in BENCHMARKS.items():
            print(f"{name:10} about {benchmark.minutes:g} min   python -m {' '.join(benchmark.words)}")
        return 0
    names = [name for name in BENCHMARKS if name in options.names or not options.names]
    stored: dict[str, Any] = {}
    if STORED.is_file():
        stored = json.loads(STORED.read_text(encoding="utf-8"))
    stored.setdefault("benchmarks", {})
    for name in names:
        print(f"\n==> {name}, about {BENCHMARKS[name].minutes:g} min", flush=True)
        entry = run(BENCHMARKS[name], options.quick)
        stored["benchmarks"][name] = {**entry, "machine": describe()}
        # After each: what was measured is kept when the next one is interrupted.
        stored["benchmarks"] = {
            one: stored["benchmarks"][one] for one in BENCHMARKS if one in stored["benchmarks"]
        }
        replace(STORED, json.dumps(stored, indent=2) + "\n")
        replace(RESULTS, render(stored))
    ran = [stored["benchmarks"][name] for name in names]
    good = all(entry["rows"] and all(row["held"] for row in entry["rows"]) for entry in ran)
    print(
        f"\n{RESULTS.relative_to(PROJECT)} is written. "
        + ("All bars are held." if good else "NOT all bars are held.")
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
