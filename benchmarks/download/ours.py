"""Our download, in a process of its own so that its memory can be told.

    python -m benchmarks.download.ours IP PORT CA_CERT TARGET

reads the password from standard input, and prints one line of JSON.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import time
from pathlib import Path

from benchmarks.download.server import SNAPSHOT, VERSION
from cmom.models import ManagerAccess, Secret
from cmom.services.snapshots.download import Downloader
from cmom.services.tier1 import connect_alone
from cmom.services.waiting import SystemClock


def _timed_fsync() -> list[float]:
    """Let the part of it be known that waits for the disk alone."""
    fsync, took = os.fsync, []

    def timed(descriptor: int) -> None:
        began = time.monotonic()
        fsync(descriptor)
        took.append(time.monotonic() - began)

    os.fsync = timed  # type: ignore[assignment]
    return took


def _seconds(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Download it."""
    ip, port, ca_cert, target = sys.argv[1:]
    access = ManagerAccess("admin", Secret(sys.stdin.read()), ca_cert, int(port))
    with connect_alone(ip, access, VERSION) as tier1:
        tier1.call(
            lambda api: api.find_snapshot(SNAPSHOT), "looking at it"
        )  # all that is imported late, is now
        before = resource.getrusage(resource.RUSAGE_SELF)
        began = time.monotonic()
        syncing = _timed_fsync()
        downloader = Downloader(tier1, logging.getLogger("benchmark"), SystemClock())
        downloaded = downloader.fetch(SNAPSHOT, Path(target))
        seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "sync_seconds": sum(syncing),
                "processor_seconds": _seconds(used) - _seconds(before),
                "memory_bytes": (used.ru_maxrss - before.ru_maxrss) * 1024,
                "sha256": downloaded.sha256,
            }
        )
    )


if __name__ == "__main__":
    main()
