"""Clusters of generation 5 on machines of the lab, installed by its own `cfy_manager`.

The configurations are the least that 7.0 accepts; a test changes what it is about.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from cloudify_rest_client import CloudifyClient

from lab.manager import certificates
from lab.manager.five import license
from lab.packages import MANAGER_PACKAGE, Package
from lab.settings import LabSettings
from lab.testing import LabThread
from lab.tools import cfy_manager5
from lab.tools.call import ToolCall
from tests.lab.rest import shared_ca

VERSION = "7.0.5"
PASSWORD = "admin-password"
_ETC = "/etc/cloudify"
DATABASE, QUEUE, MANAGER = "db_config.yaml", "queue_config.yaml", "manager_config.yaml"


@functools.cache
def key() -> bytes:
    """One key for every certificate: making it is what takes long."""
    return certificates.make_pair(["any"], *(path.read_bytes() for path in shared_ca()))[1]


def pair(*names: str) -> tuple[bytes, bytes]:
    """A certificate of the shared CA, and its key."""
    return certificates.make_pair(list(names), *(path.read_bytes() for path in shared_ca()), own_key=key())


@dataclass
class Said:
    """What a command has printed, and how it ended."""

    code: int = -1
    lines: list[str] = field(default_factory=list)

    def out(self, text: str | bytes) -> None:
        self.lines.append(text.decode() if isinstance(text, bytes) else text)

    def err(self, text: str) -> None:
        self.lines.append(text)

    @property
    def text(self) -> str:
        return "".join(self.lines)


class Cluster5:
    """Machines m1, m2 ... of a lab that have the package and every file an installation takes.

    Args:
        lab: Whose.
        version: Of the package.
        names: Which of its machines; all by default.
        password: Of the managers' administrator.
    """

    def __init__(
        self, lab: LabThread, version: str = VERSION, names: Sequence[str] = (), password: str = PASSWORD
    ) -> None:
        self.lab, self.version, self.password = lab, version, password
        self.names = list(names) or [machine.name for machine in lab.machines]
        for name in self.names:
            self.prepare(name)

    def prepare(self, name: str) -> None:
        """Give a machine the package and the files, also after it was rebuilt."""
        machine = self.lab.machine(name)
        machine.rpm_database.add(Package(MANAGER_PACKAGE, self.version, "ga", "x86_64"))
        cert, own_key = pair(machine.hostname, machine.ip, machine.public_ip, name)
        self.put(name, "cert.pem", cert)
        self.put(name, "key.pem", own_key)
        self.put(name, "ca.pem", shared_ca()[0].read_bytes())
        for user in ("cloudify", "postgres"):
            cert, own_key = pair(user)
            self.put(name, f"{user}_cert.pem", cert)
            self.put(name, f"{user}_key.pem", own_key)
        self.put(name, "license.yaml", license.make().encode())

    def put(self, name: str, file: str, content: bytes) -> None:
        """A file below /etc/cloudify."""
        path = self.lab.machine(name).path(f"{_ETC}/{file}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def cfy(self, name: str, *words: str) -> Said:
        """Run `cfy_manager` on a machine to its end (nothing may take time)."""
        said = Said()
        call = ToolCall(self.lab.machine(name), "cfy_manager", words, "/root", {}, True, said)  # type: ignore[arg-type]
        version = tuple(int(part) for part in self.version.split("."))
        said.code = self.lab.run(lambda: cfy_manager5.run(call, version, words))
        return said

    def good(self, name: str, *words: str) -> Said:
        """Run it, and expect that it ends well."""
        said = self.cfy(name, *words)
        assert said.code == 0, said.text
        return said

    def install(self, name: str, file: str, config: dict[str, Any] | None = None) -> Said:
        """Write a configuration (the usual one) and run it."""
        made = {DATABASE: self.database, QUEUE: self.queue, MANAGER: self.manager}[file]
        self.put(name, file, yaml.safe_dump(config or made(name)).encode())
        return self.cfy(name, "install", "-c", file)

    def install_all(self) -> None:
        """Databases, then brokers, then managers on every machine."""
        for file in (DATABASE, QUEUE, MANAGER):
            for name in self.names:
                said = self.install(name, file)
                assert said.code == 0, said.text

    def ip(self, name: str) -> str:
        """A machine's address."""
        return self.lab.machine(name).ip

    def host(self, name: str) -> str:
        """A machine's host name."""
        return self.lab.machine(name).hostname

    def _base(self, name: str, *services: str) -> dict[str, Any]:
        machine = self.lab.machine(name)
        files = {"cert_path": f"{_ETC}/cert.pem", "key_path": f"{_ETC}/key.pem", "ca_path": f"{_ETC}/ca.pem"}
        return {
            "manager": {"private_ip": machine.ip, "public_ip": machine.public_ip},
            "prometheus": files,
            "services_to_install": [*services, "monitoring_service"],
        }

    def database(self, name: str) -> dict[str, Any]:
        """The configuration of a database."""
        return {
            **self._base(name, "database_service"),
            "postgresql_server": {
                "postgres_password": "postgres-pw",
                **self._base(name)["prometheus"],
                "ssl_only_connections": True,
                "ssl_client_verification": True,
                "cluster": {
                    "nodes": self._nodes(),
                    "etcd": {
                        "cluster_token": "token",
                        "root_password": "root-pw",
                        "patroni_password": "patroni-pw",
                    },
                    "patroni": {"rest_password": "rest-pw"},
                    "postgres": {"replicator_password": "replicator-pw"},
                },
            },
        }

    def lone_database(self, name: str) -> dict[str, Any]:
        """The configuration of a database that is in no cluster, and that managers elsewhere may use."""
        return {
            **self._base(name, "database_service"),
            "postgresql_server": {
                "postgres_password": "postgres-pw",
                **self._base(name)["prometheus"],
                "ssl_only_connections": True,
                "enable_remote_connections": True,
            },
        }

    def _nodes(self) -> dict[str, Any]:
        return {self.host(name): {"ip": self.ip(name)} for name in self.names}

    def _brokers(self) -> dict[str, Any]:
        return {
            "username": "broker",
            "password": "broker-pw",
            "ca_path": f"{_ETC}/ca.pem",
            "cluster_members": {
                self.host(name): {"networks": {"default": self.ip(name)}} for name in self.names
            },
        }

    def queue(self, name: str) -> dict[str, Any]:
        """The configuration of a broker; all but the first join the first."""
        joins = {} if name == self.names[0] else {"join_cluster": self.host(self.names[0])}
        return {
            **self._base(name, "queue_service"),
            "rabbitmq": {
                **self._brokers(),
                **joins,
                "cert_path": f"{_ETC}/cert.pem",
                "key_path": f"{_ETC}/key.pem",
                "nodename": self.host(name),
                "erlang_cookie": "cookie",
            },
        }

    def manager(self, name: str) -> dict[str, Any]:
        """The configuration of a manager; the first brings the licence."""
        config = self._base(name, "manager_service")
        config["services_to_install"].append("entropy_service")
        config["manager"] |= {
            "hostname": self.host(name),
            "security": {"admin_password": self.password},
            "cloudify_license_path": f"{_ETC}/license.yaml" if name == self.names[0] else "",
        }
        clients = {
            f"{which}_{part}_path": f"{_ETC}/{user}_{part}.pem"
            for which, user in (
                ("postgresql_client", "cloudify"),
                ("postgresql_superuser_client", "postgres"),
            )
            for part in ("cert", "key")
        }
        return {
            **config,
            "rabbitmq": self._brokers(),
            "postgresql_server": {
                "ca_path": f"{_ETC}/ca.pem",
                "ssl_only_connections": True,
                "ssl_client_verification": True,
                "cluster": {"nodes": self._nodes()},
            },
            "postgresql_client": {"server_password": "postgres-pw", "ssl_client_verification": True},
            "ssl_inputs": {
                "internal_cert_path": f"{_ETC}/cert.pem",
                "internal_key_path": f"{_ETC}/key.pem",
                "ca_cert_path": f"{_ETC}/ca.pem",
                **clients,
            },
        }

    def client(self, name: str) -> Any:
        """The real REST client for a manager."""
        machine = self.lab.machine(name)
        return CloudifyClient(
            host=machine.ip,
            port=machine.rest_port,
            protocol="https",
            username="admin",
            password=self.password,
            tenant="default_tenant",
            cert=str(shared_ca()[0]),
        )

    def remake(self, name: str) -> None:
        """Kill a machine and give it a new disk with the package and the files."""
        self.lab.kill(name)
        self.lab.rebuild(name)
        self.prepare(name)


def changed(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a configuration with one value changed, or removed (None)."""
    copied = copy.deepcopy(config)
    *parents, last = path.split(".")
    section = copied
    for part in parents:
        section = section.setdefault(part, {})
    section[last] = value
    return copied


@contextmanager
def cluster_of(
    folder: Path, machines: int = 3, settings: LabSettings | None = None, **config: Any
) -> Iterator[Cluster5]:
    """Machines that are ready for an installation; nothing takes time unless the settings say so."""
    settings = settings or LabSettings(rate_limit=False)
    with LabThread(folder, machines=machines, settings=settings, sandbox="interpreter", **config) as lab:
        yield Cluster5(lab)
