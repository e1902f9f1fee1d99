"""A manager alone, without the lab around it: for tests of whatever talks to its REST service.

    with StandaloneManager(tmp_path, version="7.0.5") as manager:
        client = CloudifyClient(**manager.client_arguments())

It is installed by the lab's own installer on a `LoneMachine`. Managers that are to see each
other share a `LoopThread`.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lab.clock import Clock, ManualClock, RealClock
from lab.faults import Fault
from lab.manager import certificates
from lab.manager.configuration import CONFIG_PATH
from lab.manager.engine import Script
from lab.manager.generation import parse_version, traits_of
from lab.manager.host import Settings
from lab.manager.installer import install
from lab.manager.lone_machine import LoneMachine
from lab.manager.models import Manager
from lab.ports import free_port

T = TypeVar("T")

_DEADLINE_SECONDS = 60.0
PASSWORD = "admin-password"


class LoopThread:
    """An event loop in a thread of its own, for synchronous callers."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(_DEADLINE_SECONDS)

    def close(self) -> None:
        """Stop the loop and its thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_DEADLINE_SECONDS)
        self.loop.close()


class StandaloneManager:
    """One running manager; use it as a context manager.

    Args:
        folder: Where its disk, its CA certificate and its downloads lie.
        version: Of the manager, e.g. `4.6.0`; it decides the generation.
        ip: An address of this host, e.g. in 127.0.0.0/8.
        port: Of REST; 0 for a free one.
        ca: The files of a CA certificate and its key; without them one is made.
        thread: The loop to run on; without one it has its own.
        clock: Its time; without one the real time.
        settings: How long things take.
    """

    def __init__(
        self,
        folder: Path,
        *,
        version: str = "4.6.0",
        ip: str = "127.0.0.1",
        port: int = 0,
        ca: tuple[Path, Path] | None = None,
        name: str = "",
        thread: LoopThread | None = None,
        clock: Clock | None = None,
        settings: Settings | None = None,
        password: str = PASSWORD,
    ) -> None:
        self.ip, self.password, self.version = ip, password, version
        self.port = port or free_port([ip])
        self._own_thread = thread is None
        self.thread = thread or LoopThread()
        folder.mkdir(parents=True, exist_ok=True)
        self.ca = ca or _make_ca(folder)
        self.machine = LoneMachine(
            folder / "disk",
            name=name or ip,
            version=version,
            ip=ip,
            port=self.port,
            settings=settings or Settings(),
            clock=clock or RealClock(),
        )
        self.output: list[str] = []

    @property
    def ca_cert(self) -> Path:
        """The certificate to trust."""
        return self.ca[0]

    @property
    def manager(self) -> Manager:
        """The manager itself, for looking inside; touch it on its own loop only."""
        if self.machine.manager is None:
            raise RuntimeError("no manager is installed")
        return self.machine.manager

    def client_arguments(self, tenant: str = "default_tenant") -> dict[str, Any]:
        """Arguments for `CloudifyClient`."""
        return {
            "host": self.ip,
            "port": self.port,
            "protocol": "https",
            "api_version": "v3.1",
            "username": "admin",
            "password": self.password,
            "tenant": tenant,
            "cert": str(self.ca_cert),
        }

    def __enter__(self) -> StandaloneManager:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def install(self, config: dict[str, Any] | None = None) -> None:
        """Write a configuration (or the given one) and run the installer.

        Raises:
            RuntimeError: It refused; the message is what it said.
        """
        authority, authority_key = (path.read_bytes() for path in self.ca)
        certificate, key = _pair(self.ip, authority, authority_key)
        self._put("/root/cert.pem", certificate)
        self._put("/root/key.pem", key)
        self._put("/root/ca.pem", authority)
        given = config or {
            "manager": {
                "private_ip": self.ip,
                "public_ip": self.ip,
                "security": {"ssl_enabled": True, "admin_password": self.password},
            },
            "ssl_inputs": self._certificates(),
        }
        self._put(CONFIG_PATH, yaml.safe_dump(given).encode())
        if self.thread.run(install(self.machine, self.output.append)) != 0:
            raise RuntimeError("\n".join(self.output))

    def _certificates(self) -> dict[str, str]:
        paths = {
            "internal_cert_path": "/root/cert.pem",
            "internal_key_path": "/root/key.pem",
            "ca_cert_path": "/root/ca.pem",
        }
        external = {"external_cert_path": "/root/cert.pem", "external_key_path": "/root/key.pem"}
        if traits_of(self.version).generation < 5:
            return {**paths, **external}
        # 7.0 refuses an external certificate for an address, and serves the internal one.
        if parse_version(self.version) >= (7, 0, 0):
            return paths
        return {**paths, **external, "external_ca_cert_path": "/root/ca.pem"}

    def kill(self) -> None:
        """Cut the power."""
        self.thread.run(self._kill())

    async def _kill(self) -> None:
        self.manager.power_off()
        await self.machine.stop_rest()

    def start(self) -> None:
        """Switch it on again."""
        self.thread.run(self.manager.power_on())

    def fault(self, kind: str, **values: Any) -> None:
        """Put a fault onto the machine."""
        self.thread.run(self._fault(Fault(kind, **values)))

    async def _fault(self, fault: Fault) -> None:
        self.machine.faults.add(fault)

    def script(self, script: Script) -> None:
        """Tell how the next executions of a workflow are to go."""
        self.manager.script(script)

    def advance(self, seconds: float) -> None:
        """Move a manual clock."""
        clock = self.machine.clock
        if not isinstance(clock, ManualClock):
            raise TypeError("this manager runs by real time")
        self.thread.run(clock.advance_stepwise(seconds))

    def close(self) -> None:
        """Stop it, and its loop if it is its own."""
        if self.machine.manager is not None:
            self.kill()
        if self._own_thread:
            self.thread.close()

    def _put(self, path: str, content: bytes) -> None:
        target = self.machine.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


@functools.lru_cache(maxsize=64)
def _pair(ip: str, authority: bytes, authority_key: bytes) -> tuple[bytes, bytes]:
    # Making a key is what takes longest; the next manager at the same address gets the same one.
    return certificates.make_pair([ip, "localhost"], authority, authority_key)


def _make_ca(folder: Path) -> tuple[Path, Path]:
    paths = folder / "ca_cert.pem", folder / "ca_key.pem"
    for path, content in zip(paths, certificates.make_authority(), strict=True):
        path.write_bytes(content)
    return paths
