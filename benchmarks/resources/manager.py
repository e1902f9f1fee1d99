"""A manager of the lab that is empty.

    python -m benchmarks.resources.manager FOLDER VERSION IP

says how it is reached, and serves until its standard input is closed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.served import Served, describe, serve, served_by
from cmom.clients.cluster_api import ClusterApi
from cmom.models import Version
from lab.manager.standalone import StandaloneManager


@contextmanager
def running_manager(folder: Path, version: str, ip: str) -> Iterator[Served]:
    """A manager that is empty and, in generation 4, leads a cluster of one."""
    with served_by(__name__, str(folder), version, ip) as manager:
        if Version.parse(version).generation == 4:
            with ClusterApi(ip, manager.access) as api:
                api.start(ip, "member-1")
        yield manager


def main() -> None:
    """Serve."""
    folder, version, ip = sys.argv[1:]
    with StandaloneManager(Path(folder), version=version, ip=ip) as manager:
        serve(describe(manager))


if __name__ == "__main__":
    main()
