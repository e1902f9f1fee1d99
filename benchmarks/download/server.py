"""A manager of the lab with one large snapshot, in a process of its own.

    python -m benchmarks.download.server FOLDER IP BYTES

prints one line of JSON, and serves until its standard input is closed.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cmom.clients.snapshots import SnapshotOptions
from cmom.models import ManagerAccess, Secret, Version
from cmom.services.snapshots.creation import CreationTimes, SnapshotCreator
from cmom.services.tier1 import connect_alone
from cmom.services.waiting import SystemClock
from lab.manager.host import Settings
from lab.manager.standalone import StandaloneManager

SNAPSHOT = "large"
VERSION = Version.parse("4.6.0")


@dataclass(frozen=True)
class Server:
    """How to reach it."""

    ip: str
    port: int
    password: str
    ca_cert: str

    @property
    def access(self) -> ManagerAccess:
        """The same, as the product wants it."""
        return ManagerAccess("admin", Secret(self.password), self.ca_cert, self.port)


@contextmanager
def running_server(folder: Path, ip: str, size_bytes: int) -> Iterator[Server]:
    """A manager that has made its snapshot."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", __name__, str(folder), ip, str(size_bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        if process.stdout is None or process.stdin is None:
            raise AssertionError("pipes were asked for")
        try:
            yield Server(**json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()


def main() -> None:
    """Make the snapshot, and serve."""
    folder, ip, size_bytes = sys.argv[1:]
    settings = Settings(snapshot_padding_bytes=int(size_bytes))
    with StandaloneManager(Path(folder), ip=ip, settings=settings) as manager:
        server = Server(ip, manager.port, manager.password, str(manager.ca_cert))
        with connect_alone(ip, server.access, VERSION) as tier1:
            times = CreationTimes(poll_seconds=1.0)
            creator = SnapshotCreator(tier1, logging.getLogger("benchmark"), SystemClock(), times)
            creator.wait_until_created(SNAPSHOT, creator.begin(SNAPSHOT, SnapshotOptions()))
        print(json.dumps(asdict(server)))
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
