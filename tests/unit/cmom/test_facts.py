"""What the programs of a machine print, and what it means."""

from __future__ import annotations

import pytest

from cmom.models import Package, Version
from cmom.services.facts import FileFacts, FreeSpace, only_absent, parse_df, parse_package, parse_stat
from cmom.services.units import UnitState, parse_journal, parse_show


def test_a_package_is_read_from_the_rpm_database():
    assert parse_package("cloudify-manager-install|4.6.0|ga|x86_64\n") == Package(
        "cloudify-manager-install", Version.parse("4.6.0"), "ga", "x86_64"
    )


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ("8180|root|root|17|/a|b c", FileFacts(0o600, "root", "root", 17, False)),
        ("41ed|centos|wheel|4096|/a|b c", FileFacts(0o755, "centos", "wheel", 4096, True)),
        ("43ff|root|root|40|/a|b c", FileFacts(0o1777, "root", "root", 40, True)),
    ],
)
def test_a_line_of_stat_is_read(line, facts):
    assert parse_stat(line) == ("/a|b c", facts)


@pytest.mark.parametrize(
    ("stderr", "absent"),
    [
        ("stat: cannot stat '/x': No such file or directory\n", True),
        ("cat: /etc/passwd/x: Not a directory\n", True),
        (
            "stat: cannot stat '/x': No such file or directory\nstat: cannot stat '/y': Permission denied\n",
            False,
        ),
        ("cat: /root: Is a directory", False),
        ("", False),
    ],
)
def test_only_a_missing_path_is_taken_for_a_missing_path(stderr, absent):
    assert only_absent(stderr) is absent


def test_free_space_is_read_in_bytes_with_its_mount_point():
    text = (
        "Filesystem     1024-blocks    Used Available Capacity Mounted on\n"
        "/dev/vda1         41931756 4567890  37363866      11% /my disk\n"
    )
    assert parse_df(text) == FreeSpace("/dev/vda1", "/my disk", 37363866 * 1024)


def show(**values):
    return parse_show("".join(f"{key}={value}\n" for key, value in values.items()))


@pytest.mark.parametrize(
    ("state", "meaning"),
    [
        (show(LoadState="not-found", ActiveState="inactive", SubState="dead", ExecMainStatus="0"), "gone"),
        (show(LoadState="loaded", ActiveState="active", SubState="running", ExecMainStatus="0"), "running"),
        (show(LoadState="loaded", ActiveState="activating", SubState="start", ExecMainStatus="0"), "running"),
        (show(LoadState="loaded", ActiveState="deactivating", SubState="stop-sigterm"), "running"),
        (show(LoadState="loaded", ActiveState="active", SubState="exited", ExecMainStatus="0"), "succeeded"),
        (show(ActiveState="failed", SubState="failed", Result="exit-code", ExecMainStatus="1"), "failed"),
    ],
)
def test_a_unit_is_in_exactly_one_state(state, meaning):
    found = [word for word in ("gone", "running", "succeeded", "failed") if getattr(state, word)]
    assert found == [meaning]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (UnitState(active="failed", result="exit-code", exit_status=3), "exit code 3"),
        (UnitState(active="failed", result="signal", exit_status=9), "signal 9"),
        (UnitState(active="failed", result="timeout"), "timeout"),
    ],
)
def test_a_failed_unit_says_how(state, words):
    assert str(state) == words


def test_the_journal_gives_lines_without_colours_and_the_cursor():
    text = (
        "2024-01-01 - \x1b[1;34m[MAIN]\x1b[0m - \x1b[0;32mInstalling\x1b[0m\n\n"
        "-- Reboot --\nsecond line\n-- cursor: s=abc;i=1\n"
    )
    assert parse_journal(text) == (["2024-01-01 - [MAIN] - Installing", "second line"], "s=abc;i=1")


@pytest.mark.parametrize("text", ["", "-- No entries --\n"])
def test_an_empty_journal_has_no_lines_and_no_cursor(text):
    assert parse_journal(text) == ([], "")
