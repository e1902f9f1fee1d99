"""The systemd unit, and the program that it starts."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

from cmom.monitor.command import DEFAULT_CONFIG

PROJECT = Path(__file__).resolve().parents[4]


@pytest.fixture
def unit() -> configparser.ConfigParser:
    """The unit; a value that is given twice is a fault."""
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(PROJECT / "options" / "cmom-monitor.service", encoding="utf-8")
    return parser


def test_it_starts_the_program_with_the_configuration_that_it_looks_for(
    unit: configparser.ConfigParser,
) -> None:
    program, *arguments = unit["Service"]["ExecStart"].split()
    assert Path(program).name == "cmom-monitor"
    assert arguments == ["--config", DEFAULT_CONFIG]


def test_a_restart_leaves_heals_alone_and_a_standstill_is_noticed(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    assert (service["Type"], service["KillMode"], service["Restart"]) == ("notify", "process", "always")
    assert 0 < int(service["WatchdogSec"]) <= 120
    assert int(service["LimitNOFILE"]) >= 20_000


def test_it_runs_without_privileges(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    assert service["User"] == "cfyuser"
    assert service["CapabilityBoundingSet"] == ""
    assert (service["NoNewPrivileges"], service["ProtectSystem"]) == ("yes", "strict")


def test_the_plugin_brings_the_program(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", "egg_info", "--egg-base", str(tmp_path)],
        cwd=PROJECT / "plugins" / "cmom",
        check=True,
        capture_output=True,
    )
    (names,) = tmp_path.glob("*.egg-info/entry_points.txt")
    assert "cmom-monitor = cmom.monitor.command:main" in names.read_text()
