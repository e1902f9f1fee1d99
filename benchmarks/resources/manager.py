"""A manager of the lab in a process of its own, so that what is measured is not mixed with what serves it.

    python -m benchmarks.resources.manager FOLDER VERSION IP

prints one line of JSON, and serves until its standard input is closed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cmom.clients.cluster_api import ClusterApi
from cmom.models import ManagerAccess, Secret, Version
from lab.manager.standalone import StandaloneManager


@dataclass(frozen=True)
class RunningManager:
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
def running_manager(folder: Path, version: str, ip: str) -> Iterator[RunningManager]:
    """A manager that is empty and, in generation 4, leads a cluster of one."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", __name__, str(folder), version, ip],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        if process.stdout is None or process.stdin is None:
            raise AssertionError("pipes were asked for")
        try:
            manager = RunningManager(**json.loads(process.stdout.readline()))
            if Version.parse(version).generation == 4:
                with ClusterApi(ip, manager.access) as api:
                    api.start(ip, "member-1")
            yield manager
        finally:
            process.stdin.close()


def main() -> None:
    """Serve."""
    folder, version, ip = sys.argv[1:]
    with StandaloneManager(Path(folder), version=version, ip=ip) as manager:
        print(json.dumps(asdict(RunningManager(ip, manager.port, manager.password, str(manager.ca_cert)))))
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
