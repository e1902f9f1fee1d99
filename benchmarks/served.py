"""A manager of the lab in a process of its own, so that what is measured is not mixed with what serves it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from cmom.models import ManagerAccess, Secret
from lab.manager.standalone import StandaloneManager


@dataclass(frozen=True)
class Served:
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
def served_by(module: str, *arguments: str) -> Iterator[Served]:
    """Run a module that ends with `serve`, and yield how its manager is reached."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        if process.stdout is None or process.stdin is None:
            raise AssertionError("pipes were asked for")
        try:
            yield Served(**json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()


def describe(manager: StandaloneManager) -> Served:
    """Say how a manager is reached."""
    return Served(manager.ip, manager.port, manager.password, str(manager.ca_cert))


def serve(served: Served) -> None:
    """Print one line of JSON, and wait until the standard input is closed."""
    print(json.dumps(asdict(served)), flush=True)
    sys.stdin.read()
