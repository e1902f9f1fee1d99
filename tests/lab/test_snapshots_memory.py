"""Snapshots of any size pass through in pieces, both ways; `benchmarks/download` does it with 5 GB."""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from cmom.clients.snapshots import SnapshotOptions
from cmom.services.snapshots.archive import check_archive, hash_file
from cmom.services.snapshots.creation import SnapshotCreator
from cmom.services.snapshots.download import Downloader
from lab.manager.host import Settings
from tests.lab.filled import Filled

SIZE = 80_000_000
LOGGER = logging.getLogger("test.memory")


def most_memory(function: Callable[[], object]) -> int:
    """Return how much more memory there was at any moment, the lab's part in it included."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_large_snapshot_comes_and_goes_in_little_memory(tmp_path: Path) -> None:
    with Filled(tmp_path, "4.6.0", Settings(snapshot_padding_bytes=SIZE)) as filled:
        creator = SnapshotCreator(filled.tier1, LOGGER, filled.clock)
        creator.wait_until_created("large", creator.begin("large", SnapshotOptions()))
        downloader = Downloader(filled.tier1, LOGGER, filled.clock, spare_bytes=0)
        target = tmp_path / "large.zip"

        down = most_memory(lambda: downloader.fetch("large", target))
        checked = most_memory(lambda: (check_archive(target), hash_file(target)))
        up = most_memory(
            lambda: filled.tier1.call(lambda api: api.upload_snapshot("back", target), "uploading")
        )

    assert target.stat().st_size > SIZE
    assert max(down, checked, up) < SIZE / 5
