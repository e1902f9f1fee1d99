"""What there is in the stand-in cloud: plain records, each with the form in which its service shows it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

PROJECT_ID = "6e1f1b1e5c4b4f1f9d1b7c0d4e5f6a7b"


def new_id() -> str:
    """A random ID, as every service gives out."""
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Credentials:
    """Who may use the cloud."""

    username: str = "demo"
    password: str = "cloud-secret"
    project: str = "demo-project"
    user_domain: str = "Default"
    project_domain: str = "Default"
    region: str = "RegionOne"


@dataclass(frozen=True)
class Quota:
    """How much the project may have; -1 is without limit."""

    instances: int = 10
    ports: int = 50
    floating_ips: int = 10


@dataclass
class Network:
    """A network with one IPv4 subnet, `127.x.y.0/24`."""

    name: str
    prefix: str
    external: bool = False
    id: str = field(default_factory=new_id)
    subnet_id: str = field(default_factory=new_id)

    @property
    def subnet_name(self) -> str:
        """The name of its subnet."""
        return f"{self.name}-subnet"

    def holds(self, address: str) -> bool:
        """Whether the address is one of its subnet's."""
        return address.rpartition(".")[0] == self.prefix

    def shown(self) -> dict[str, Any]:
        """As neutron shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "status": "ACTIVE",
            "subnets": [self.subnet_id],
            "router:external": self.external,
        }

    def subnet_shown(self) -> dict[str, Any]:
        """Its subnet, as neutron shows it."""
        return {
            "id": self.subnet_id,
            "name": self.subnet_name,
            "network_id": self.id,
            "ip_version": 4,
            "cidr": f"{self.prefix}.0/24",
        }


@dataclass
class SecurityGroup:
    """A security group; its rules are of no consequence here."""

    name: str
    id: str = field(default_factory=new_id)

    def shown(self) -> dict[str, Any]:
        """As neutron shows it."""
        return {"id": self.id, "name": self.name, "description": ""}


@dataclass
class Port:
    """A place in a network."""

    network: Network
    address: str
    name: str = ""
    description: str = ""
    security_groups: list[str] = field(default_factory=list)
    device_id: str = ""
    id: str = field(default_factory=new_id)

    def shown(self) -> dict[str, Any]:
        """As neutron shows it."""
        numbers = [int(number) for number in self.address.split(".")]
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "network_id": self.network.id,
            "fixed_ips": [{"ip_address": self.address, "subnet_id": self.network.subnet_id}],
            "mac_address": "fa:16:" + ":".join(f"{number:02x}" for number in numbers),
            "security_groups": list(self.security_groups),
            "device_id": self.device_id,
            "device_owner": "compute:nova" if self.device_id else "",
            "allowed_address_pairs": [],
            "status": "ACTIVE" if self.device_id else "DOWN",
        }


@dataclass
class FloatingIp:
    """A public address, associated with a port or with none."""

    network: Network
    address: str
    description: str = ""
    port_id: str | None = None
    id: str = field(default_factory=new_id)

    def shown(self) -> dict[str, Any]:
        """As neutron shows it."""
        return {
            "id": self.id,
            "floating_ip_address": self.address,
            "floating_network_id": self.network.id,
            "description": self.description,
            "port_id": self.port_id,
            "status": "ACTIVE" if self.port_id else "DOWN",
        }


@dataclass
class ServerGroup:
    """Servers that the scheduler keeps apart or together."""

    name: str
    policy: str
    id: str = field(default_factory=new_id)

    def shown(self) -> dict[str, Any]:
        """As nova shows it."""
        return {"id": self.id, "name": self.name, "policies": [self.policy], "members": [], "metadata": {}}


@dataclass
class Server:
    """A server; `machine` is the lab's machine behind it, once it is built."""

    name: str
    port: Port
    flavor: str
    image: str
    key_name: str
    metadata: dict[str, str]
    group_id: str | None
    status: str = "BUILD"
    task: str | None = "scheduling"
    fault: str = ""
    machine: str = ""
    id: str = field(default_factory=new_id)

    def shown(self, floating: list[str], group_names: list[str]) -> dict[str, Any]:
        """As nova shows it.

        Args:
            floating: the floating addresses of its port.
            group_names: the names of its port's security groups.
        """
        built = self.status in ("ACTIVE", "SHUTOFF")
        addresses = [{"addr": self.port.address, "version": 4, "OS-EXT-IPS:type": "fixed"}]
        addresses += [{"addr": one, "version": 4, "OS-EXT-IPS:type": "floating"} for one in floating]
        return {
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "OS-EXT-STS:task_state": self.task,
            "metadata": dict(self.metadata),
            "key_name": self.key_name or None,
            "flavor": {"id": self.flavor},
            "image": {"id": self.image} if self.image else "",
            "addresses": {self.port.network.name: addresses} if built else {},
            "security_groups": [{"name": name} for name in group_names],
            "accessIPv4": "",
            **({"fault": {"code": 500, "message": self.fault}} if self.fault else {}),
        }
