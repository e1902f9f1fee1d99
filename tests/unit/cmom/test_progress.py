"""Lines about a transfer: enough of them, and not more."""

from __future__ import annotations

import pytest

from cmom.services.progress import TransferProgress, readable_size


class Clock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_a_fast_transfer_says_a_line_for_every_tenth():
    lines = []
    progress = TransferProgress("RPM to 10.0.0.21", lines.append, Clock())
    for done in range(1001):
        progress(done * 1_900_000, 1_900_000_000)
    assert len(lines) == 10
    assert lines[3] == "RPM to 10.0.0.21: 40 % of 1.9 GB"
    assert lines[-1] == "RPM to 10.0.0.21: 100 % of 1.9 GB"


def test_a_slow_transfer_says_a_line_every_ten_seconds():
    lines, clock = [], Clock()
    progress = TransferProgress("x", lines.append, clock)
    for done in range(1, 61):
        clock.now += 1.0
        progress(done, 100_000)
    assert len(lines) == 6


def test_an_empty_file_is_complete():
    lines = []
    TransferProgress("x", lines.append, Clock())(0, 0)
    assert lines == ["x: 100 % of 0 B"]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_900_000_000, "1.9 GB"), (2_500_000_000_000, "2.5 TB")],
)
def test_sizes_are_readable(size, text):
    assert readable_size(size) == text
