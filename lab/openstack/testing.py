"""The stand-in cloud inside a test, with everything callable from outside its event loop."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from lab.clock import RealClock
from lab.core import Lab
from lab.faults import Fault
from lab.local_profile import PROJECT, LocalProfile
from lab.openstack.cloud import Cloud, CloudConfig
from lab.openstack.models import Quota
from lab.openstack.server import CloudServer
from lab.settings import LabSettings
from lab.subnets import any_subnet
from lab.testing import LabThread

STAND_IN = {"cloudify-openstack-plugin": PROJECT / "lab" / "openstack" / "plugin" / "plugin.yaml"}
MODES = ("private_ip", "floating_ip", "private_fixed_ip")
API_HOST = 5
"""The last number of the address on which the cloud's services listen."""


class CloudThread:
    """A context manager: a lab without machines, and a cloud that makes them.

    Args:
        folder: for disks and keys, usually in `tmp_path`.
        settings: how long things take; instant by default.
        quota: how much the project may have.
        options: further settings of the lab.
    """

    def __init__(
        self, folder: Path, settings: LabSettings | None = None, quota: Quota | None = None, **options: Any
    ) -> None:
        self._thread = LabThread(
            folder, machines=0, settings=settings or LabSettings.instant(), clock=RealClock(), **options
        )
        self._quota = quota or Quota()
        self._lock: socket.socket | None = None
        self.server: CloudServer

    def __enter__(self) -> CloudThread:
        self._thread.__enter__()
        try:
            config = self._thread.lab.config
            public, self._lock = any_subnet((config.ssh_port, config.rest_port), 0)
            cloud = Cloud(self.lab, CloudConfig(config.subnet, public, quota=self._quota))
            self.server = CloudServer(cloud, f"{config.subnet}.{API_HOST}")
            self._thread.run(self.server.start)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if hasattr(self, "server"):
                self._thread.run(self.server.stop)
        finally:
            self._thread.__exit__(kind, error, trace)
            if self._lock is not None:
                self._lock.close()

    @property
    def lab(self) -> Lab:
        """The lab whose machines are the servers."""
        return self._thread.lab

    @property
    def cloud(self) -> Cloud:
        """The cloud; read its attributes freely, change it with `call` only."""
        return self.server.cloud

    def call(self, function: Any, *arguments: Any) -> Any:
        """Call a plain function in the cloud's event loop."""
        return self._thread.call(function, *arguments)

    def run(self, function: Any) -> Any:
        """Run a coroutine function in the cloud's event loop."""
        return self._thread.run(function)

    def holdings(self) -> dict[str, list[str]]:
        """What the project holds, by kind."""
        held: dict[str, list[str]] = self._thread.call(self.cloud.ours)
        return held

    def fault(self, kind: str, path: str, **options: Any) -> None:
        """Put a fault onto the cloud's services."""
        self._thread.call(self.server.faults.add, Fault(kind, path=path, **options))

    def clear_faults(self) -> None:
        """Take them away."""
        self._thread.call(self.server.faults.clear)

    def address(self, last: int) -> str:
        """An address of the private network."""
        return f"{self.cloud.config.private_prefix}.{last}"

    def client_config(self) -> dict[str, Any]:
        """The plugin's client_config."""
        credentials = self.cloud.config.credentials
        return {
            "auth_url": self.server.auth_url,
            "username": credentials.username,
            "password": credentials.password,
            "project_name": credentials.project,
            "region_name": credentials.region,
            "user_domain_name": credentials.user_domain,
            "project_domain_name": credentials.project_domain,
        }

    def inputs(self, members: int = 2) -> dict[str, Any]:
        """The inputs of blueprint.yaml, in every mode."""
        given = self._thread.inputs()
        del given["hosts"]
        config = self.cloud.config
        return {
            **given,
            "num_of_instances": members,
            "os_auth_url": self.server.auth_url,
            "os_username": config.credentials.username,
            "os_password": config.credentials.password,
            "os_project": config.credentials.project,
            "os_region": config.credentials.region,
            "os_image": config.image,
            "os_flavor": config.flavor,
            "os_network": config.network,
            "os_subnet": f"{config.network}-subnet",
            "os_keypair": config.key_name,
            "os_security_group": config.security_group,
            "os_floating_network": config.floating_network,
            "resource_pool": [
                {"ip_address": self.address(20 + number), "hostname": f"tier1-{number}"}
                for number in range(1, members + 1)
            ],
        }


def local_profile(folder: Path, mode: str, plugins: Mapping[str, Path] | None = None) -> LocalProfile:
    """A Tier 2 that has the stand-in plugin, with a mode of addressing switched on as a user does it."""
    profile = LocalProfile.create(folder, {**STAND_IN, **(plugins or {})})
    switch = profile.blueprint_folder / "infra" / "infra.yaml"
    switch.write_text(switched(switch.read_text(), mode))
    return profile


def switched(text: str, mode: str) -> str:
    """The text of infra.yaml with one line uncommented and the others not."""
    lines = []
    for line in text.splitlines():
        name = line.strip().lstrip("# ").removeprefix("- ")
        if name in [f"{one}.yaml" for one in MODES]:
            line = f"  - {name}" if name == f"{mode}.yaml" else f"  # - {name}"
        lines.append(line)
    assert yaml.safe_load("\n".join(lines))["imports"] == [f"{mode}.yaml"]
    return "\n".join(lines) + "\n"
