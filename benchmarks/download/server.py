"""A manager of the lab with one large snapshot.

    python -m benchmarks.download.server FOLDER IP BYTES

says how it is reached, and serves until its standard input is closed.
"""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.served import Served, describe, serve, served_by
from cmom.clients.snapshots import SnapshotOptions
from cmom.models import Version
from cmom.services.snapshots.creation import CreationTimes, SnapshotCreator
from cmom.services.tier1 import connect_alone
from cmom.services.waiting import SystemClock
from lab.manager.host import Settings
from lab.manager.standalone import StandaloneManager

SNAPSHOT = "large"
VERSION = Version.parse("4.6.0")


def running_server(folder: Path, ip: str, size_bytes: int) -> AbstractContextManager[Served]:
    """A manager that has made its snapshot."""
    return served_by(__name__, str(folder), ip, str(size_bytes))


def main() -> None:
    """Make the snapshot, and serve."""
    folder, ip, size_bytes = sys.argv[1:]
    settings = Settings(snapshot_padding_bytes=int(size_bytes))
    with StandaloneManager(Path(folder), ip=ip, settings=settings) as manager:
        served = describe(manager)
        with connect_alone(ip, served.access, VERSION) as tier1:
            times = CreationTimes(poll_seconds=1.0)
            creator = SnapshotCreator(tier1, logging.getLogger("benchmark"), SystemClock(), times)
            creator.wait_until_created(SNAPSHOT, creator.begin(SNAPSHOT, SnapshotOptions()))
        serve(served)


if __name__ == "__main__":
    main()
