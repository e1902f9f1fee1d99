"""What `make bench` writes: the table says what was missed, what failed, and what was never measured."""

from __future__ import annotations

import argparse
import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as bench
from benchmarks import running
from benchmarks.catalogue import Benchmark
from benchmarks.page import render
from benchmarks.results import Row, finish

HELD = Row("downloading", "1.3 times curl", "1.16 times curl", "5 s", "curl | 4 s", True)
MISSED = Row("installing", "under 10 s", "2 times", "12 s", "the engine 6 s", False)


def entry(*rows: Row, failure: str = "", machine: str = "2 cores") -> dict[str, Any]:
    """Return what results.json has of a benchmark."""
    return {
        "when": "2026-01-02",
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
        "| downloading | 1.3 times curl | 1.16 times curl | 5 s | curl \\| 4 s | 2026-01-02 | held |"
    ]
    assert lines_with(page, "installing")[0].endswith("| **missed** |")


def test_a_benchmark_that_failed_stands_in_the_table_with_its_reason() -> None:
    page = render({"benchmarks": {"fleet": entry(failure="it ended with\nexit code 3")}})

    assert "| fleet |  |  |  | it ended with exit code 3 | 2026-01-02 | **failed** |" in page


def test_what_was_never_measured_stands_in_the_table_with_what_it_does() -> None:
    page = render({"benchmarks": {"download": entry(HELD)}})

    (line,) = lines_with(page, "fleet: ")
    assert bench.BENCHMARKS["fleet"].does in line
    assert line.endswith("| **never measured** |")


def test_figures_of_another_machine_are_told_apart() -> None:
    page = render({"benchmarks": {"fleet": entry(HELD), "monitor": entry(MISSED, machine="64 cores")}})

    assert "1. 2 cores\n2. 64 cores\n" in page
    assert "| monitor | 2026-01-02 | 2 | 0.1 | 7 s |" in page


def test_a_benchmark_fails_when_one_of_its_bars_is_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.json"

    assert finish([HELD], argparse.Namespace(json=None)) == 0
    assert finish([HELD, MISSED], argparse.Namespace(json=path)) == 1

    assert "MISSED: installing: 12 s (bar: under 10 s)" in capsys.readouterr().out
    assert [row["what"] for row in json.loads(path.read_text())] == ["downloading", "installing"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with figures of a former day, whose first benchmark is broken."""
    (tmp_path / "results.json").write_text(json.dumps({"benchmarks": {"download": entry(HELD)}}))
    monkeypatch.setattr(bench, "PROJECT", tmp_path)
    monkeypatch.setattr(bench, "STORED", tmp_path / "results.json")
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "RESULTS.md")
    broken = Benchmark("breaks", ("no_such_module",), (), 1)
    monkeypatch.setitem(bench.BENCHMARKS, "install", broken)
    return tmp_path


def test_what_is_not_run_keeps_its_figures_and_is_named_with_their_day(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "install"])

    assert bench.main() == 1

    out = capsys.readouterr().out
    assert "==> 1 of 1: install, about 1 min: it breaks" in out
    assert "FAILED: install: " in out
    assert "Not run: download, its figures are of 2026-01-02." in out
    assert "Not run: suite, never measured." in out
    assert "NOT all bars are held: install." in out
    page = (project / "RESULTS.md").read_text()
    assert lines_with(page, "downloading")
    assert "No module named no_such_module" in lines_with(page, "| install |")[0]
    assert str(Path(sys.executable).parent) not in page


def test_small_sizes_do_not_take_the_place_of_full_figures(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (project / "results.json").read_text()
    monkeypatch.setattr(sys, "argv", ["bench", "install", "--quick"])

    assert bench.main() == 1

    assert "nothing is written" in capsys.readouterr().out
    assert (project / "results.json").read_text() == before
    assert not (project / "RESULTS.md").exists()


def test_some_can_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    names, _ = bench.chosen(["--without", "suite", "tests"])

    assert names == [name for name in bench.BENCHMARKS if name not in ("suite", "tests")]
    for wrong in (["--without", "suit"], ["suite", "--without", "suite"]):
        with pytest.raises(SystemExit):
            bench.chosen(wrong)
    assert "there is no benchmark suit;" in capsys.readouterr().err


HANGS = """
import subprocess, sys, time
sleeper = subprocess.Popen(["sleep", "600"])
print(sleeper.pid, file=sys.stderr, flush=True)
try:
    time.sleep(600)
finally:
    print("stopping the lab", file=sys.stderr, flush=True)
"""


def test_one_that_hangs_is_interrupted_and_its_group_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hangs.py").write_text(HANGS)
    monkeypatch.setattr(running, "PROJECT", tmp_path)
    monkeypatch.setattr(Benchmark, "deadline_seconds", 1.0)

    found = running.run(Benchmark("hangs", ("hangs",), (), 1), quick=False)

    assert (found["rows"], found["failure"]) == ([], "it hung: ended after 1 s")
    said = capfd.readouterr().err.splitlines()
    assert "stopping the lab" in said
    state = Path(f"/proc/{said[0]}/stat")
    assert not state.exists() or state.read_text().split(") ")[1][0] == "Z"


def test_a_busy_machine_is_not_taken_for_one_that_hangs() -> None:
    for benchmark in bench.BENCHMARKS.values():
        assert benchmark.deadline_seconds >= max(300, 4 * 60 * benchmark.minutes)


def test_a_reason_says_nothing_of_this_machine() -> None:
    reason = (
        f"cfy: [Errno 2] '/home/me/x.venv/bin/cfy' on {socket.gethostname()}: see https://a/b/c, or a/b/c"
    )

    assert running.anonymous(reason) == "cfy: [Errno 2] 'cfy' on HOST: see https://a/b/c, or a/b/c"


@pytest.mark.parametrize("name", bench.BENCHMARKS)
def test_each_benchmark_is_a_program_that_takes_its_own_options(name: str) -> None:
    module = bench.BENCHMARKS[name].words[0].replace(".", "/")
    root = Path(bench.__file__).parent.parent

    source = next(path for path in (root / f"{module}.py", root / module / "__main__.py") if path.is_file())

    for option in (*bench.BENCHMARKS[name].words[1:], *bench.BENCHMARKS[name].quick):
        assert not option.startswith("--") or f'"{option}"' in source.read_text()
