"""What `make bench` writes: the table says what was missed, and what was not measured in full."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as bench
from benchmarks.page import render
from benchmarks.results import Row, finish

HELD = Row("downloading", "1.3 times curl", "1.16 times curl", "5 s", "curl | 4 s", True)
MISSED = Row("installing", "under 10 s", "2 times", "12 s", "the engine 6 s", False)


def entry(*rows: Row, failure: str = "", quick: bool = False, machine: str = "2 cores") -> dict[str, Any]:
    """Return what results.json has of a benchmark."""
    return {
        "when": "2026-01-02",
        "quick": quick,
        "load_before": 0.1,
        "seconds": 7,
        "failure": failure,
        "rows": [vars(row) for row in rows],
        "machine": machine,
    }


def lines_with(page: str, word: str) -> list[str]:
    return [line for line in page.splitlines() if word in line]


def test_each_row_says_whether_its_bar_is_held() -> None:
    page = render({"benchmarks": {"download": entry(HELD), "install": entry(MISSED)}})

    assert lines_with(page, "downloading") == [
        "| downloading | 1.3 times curl | 1.16 times curl | 5 s | curl \\| 4 s | held |"
    ]
    assert lines_with(page, "installing")[0].endswith("| **missed** |")


def test_a_benchmark_that_failed_stands_in_the_table_with_its_reason() -> None:
    page = render({"benchmarks": {"fleet": entry(failure="it ended with\nexit code 3")}})

    assert "| fleet | | | | it ended with exit code 3 | **failed** |" in page


def test_figures_of_small_sizes_and_of_another_machine_are_marked() -> None:
    page = render({"benchmarks": {"one": entry(HELD, quick=True), "two": entry(MISSED, machine="64 cores")}})

    assert lines_with(page, "| one |")[0].endswith("| small sizes: says little |")
    assert "1. 2 cores\n2. 64 cores\n" in page
    assert "| two | 2026-01-02 | 2 | 0.1 | 7 s |  |" in page


def test_a_benchmark_fails_when_one_of_its_bars_is_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.json"

    assert finish([HELD], argparse.Namespace(json=None)) == 0
    assert finish([HELD, MISSED], argparse.Namespace(json=path)) == 1

    assert "MISSED: installing: 12 s (bar: under 10 s)" in capsys.readouterr().out
    assert [row["what"] for row in json.loads(path.read_text())] == ["downloading", "installing"]


def test_the_table_is_written_after_each_and_keeps_what_was_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored, page = tmp_path / "results.json", tmp_path / "RESULTS.md"
    stored.write_text(json.dumps({"benchmarks": {"download": entry(HELD)}}))
    monkeypatch.setattr(bench, "PROJECT", tmp_path)
    monkeypatch.setattr(bench, "STORED", stored)
    monkeypatch.setattr(bench, "RESULTS", page)
    monkeypatch.setattr(
        bench, "BENCHMARKS", {"broken": bench.Benchmark(("no_such_module",), (), 1), **bench.BENCHMARKS}
    )
    monkeypatch.setattr(sys, "argv", ["bench", "broken"])

    assert bench.main() == 1

    assert "NOT all bars are held" in capsys.readouterr().out
    assert lines_with(page.read_text(), "downloading")
    assert "No module named no_such_module" in lines_with(page.read_text(), "| broken |")[0]


@pytest.mark.parametrize("name", bench.BENCHMARKS)
def test_each_benchmark_is_a_program_that_takes_its_own_options(name: str) -> None:
    module = bench.BENCHMARKS[name].words[0].replace(".", "/")
    root = Path(bench.__file__).parent.parent

    source = next(path for path in (root / f"{module}.py", root / module / "__main__.py") if path.is_file())

    for option in (*bench.BENCHMARKS[name].words[1:], *bench.BENCHMARKS[name].quick):
        assert not option.startswith("--") or f'"{option}"' in source.read_text()
