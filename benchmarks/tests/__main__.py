"""How long the tests take: the unit tests, or all that `make test` runs.

    python -m benchmarks.tests [--all]

Make runs them. The exit code is 0 when they pass within the bar.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.results import Row, add_options, finish

PROJECT = Path(__file__).resolve().parent.parent.parent
UNIT_SECONDS = 60.0
ALL_SECONDS = 600.0


def run(target: str, more: str) -> tuple[float, int, int]:
    """Run make; return the seconds, how many tests passed and how many did not."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    words = ["make", "--no-print-directory", target, f"PYTHON={sys.executable}", f"ARGS=-q {more}"]
    began = time.monotonic()
    done = subprocess.run(words, cwd=PROJECT, env=environment, check=False, capture_output=True, text=True)
    seconds = time.monotonic() - began
    found = re.findall(r"(\d+) (passed|failed|errors?)\b", done.stdout)
    counts = {kind: int(number) for number, kind in found}
    if "passed" not in counts:
        raise SystemExit(f"nothing passed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    bad = sum(number for kind, number in counts.items() if kind != "passed")
    if bad:
        print(done.stdout[-4000:])
    return seconds, counts["passed"], bad


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tests")
    parser.add_argument("--all", action="store_true", help="all that `make test` runs")
    parser.add_argument("--arguments", default="", help="more for pytest, to see that this works")
    add_options(parser)
    options = parser.parse_args()
    target, bar_seconds = ("test", ALL_SECONDS) if options.all else ("unit", UNIT_SECONDS)
    seconds, passed, bad = run(target, options.arguments)
    row = Row(
        what="everything that `make test` runs" if options.all else "unit tests (`make unit`)",
        bar=f"under {bar_seconds:g} s",
        ratio=f"{seconds / bar_seconds:.2f} of the bar",
        measured=f"{seconds:.0f} s, {passed} passed, {bad} failed",
        beside=f"{seconds / passed * 1000:.0f} ms for each test",
        held=seconds < bar_seconds and not bad,
    )
    return finish([row], options)


if __name__ == "__main__":
    sys.exit(main())
