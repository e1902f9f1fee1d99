"""The stand-in cloud itself: who holds what, what is refused, and machines that boot and go."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from lab.core import Lab
from lab.openstack.models import (
    Credentials,
    FloatingIp,
    Network,
    Port,
    Quota,
    SecurityGroup,
    Server,
    ServerGroup,
    new_id,
)
from lab.openstack.refusals import RefusalError, check_quota, find, is_uuid

POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")
FIRST_ADDRESS, LAST_ADDRESS = 100, 199
"""What neutron gives out by itself; addresses below may be asked for."""


@dataclass(frozen=True)
class CloudConfig:
    """What the cloud has from the beginning.

    Attributes:
        private_prefix: the first three numbers of the private network's addresses.
        public_prefix: the same of the external network.
        key_name: the key pair whose public half the lab's machines know.
    """

    private_prefix: str
    public_prefix: str
    credentials: Credentials = field(default_factory=Credentials)
    quota: Quota = field(default_factory=Quota)
    key_name: str = "lab-key"
    flavor: str = "m1.large"
    image: str = "CentOS 7"
    security_group: str = "managers"
    network: str = "management"
    floating_network: str = "public"


@dataclass
class Cloud:
    """One project of an OpenStack. Use it from the lab's event loop only.

    Attributes:
        lab: Its machines are the servers.
        build_fault: What becomes of the next servers: nova's reason why they cannot be built; empty:
            they can.
    """

    lab: Lab
    config: CloudConfig
    build_fault: str = ""
    ports: dict[str, Port] = field(default_factory=dict)
    floating_ips: dict[str, FloatingIp] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)
    server_groups: dict[str, ServerGroup] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = self.config
        self.networks = [
            Network(config.network, config.private_prefix),
            Network(config.floating_network, config.public_prefix, external=True),
        ]
        self.security_groups = [SecurityGroup("default"), SecurityGroup(config.security_group)]
        self.flavor_id, self.image_id = new_id(), new_id()
        self._work: set[asyncio.Task[None]] = set()
        self._building: dict[str, asyncio.Task[None]] = {}
        self._built = 0

    def ours(self) -> dict[str, list[str]]:
        """What the project holds now, by kind: for tests that look for leaks."""
        return {
            "servers": [server.name for server in self.servers.values()],
            "ports": [port.name for port in self.ports.values()],
            "floating_ips": [floating.address for floating in self.floating_ips.values()],
            "server_groups": [group.name for group in self.server_groups.values()],
        }

    # neutron

    def create_port(self, wanted: dict[str, Any]) -> Port:
        """Make a port; see neutron's POST /ports."""
        network = self._network(wanted.get("network_id"))
        check_quota(len(self.ports), self.config.quota.ports, 409, "Quota exceeded for resources: ['port'].")
        groups = wanted.get("security_groups")
        for group in groups or ():
            find(self.security_groups, group, "Security group {} does not exist")
        fixed = [entry for entry in wanted.get("fixed_ips") or () if entry]
        if len(fixed) > 1:
            raise RefusalError(400, "The stand-in gives a port one fixed address.")
        for entry in fixed:
            subnet = entry.get("subnet_id")
            if subnet not in (None, network.subnet_id):
                raise RefusalError(
                    400,
                    f"Invalid input for operation: Failed to create port on network {network.id}, because "
                    f"fixed_ips included invalid subnet {subnet}.",
                )
        address = fixed[0].get("ip_address") if fixed else None
        port = Port(
            network,
            self._address(network, address, [one.address for one in self.ports.values()]),
            name=wanted.get("name", ""),
            description=wanted.get("description", ""),
            security_groups=list(groups or ()),
        )
        self.ports[port.id] = port
        return port

    def create_floating_ip(self, wanted: dict[str, Any]) -> FloatingIp:
        """Make a floating IP; see neutron's POST /floatingips."""
        network_id = wanted.get("floating_network_id")
        if not is_uuid(network_id):
            raise RefusalError(
                400, f"Invalid input for floating_network_id. Reason: '{network_id}' is not a valid UUID."
            )
        network = self._network(network_id)
        if not network.external:
            raise RefusalError(
                400, f"Bad floatingip request: Network {network.id} is not a valid external network."
            )
        limit = self.config.quota.floating_ips
        check_quota(len(self.floating_ips), limit, 409, "Quota exceeded for resources: ['floatingip'].")
        taken = [one.address for one in self.floating_ips.values()]
        floating = FloatingIp(
            network, self._address(network, None, taken), description=wanted.get("description", "")
        )
        self.floating_ips[floating.id] = floating
        if wanted.get("port_id"):
            self.associate(floating, wanted["port_id"])
        return floating

    def associate(self, floating: FloatingIp, port_id: str | None) -> None:
        """Associate a floating IP with a port, or with none."""
        if port_id is not None and port_id != floating.port_id:
            port = find(self.ports.values(), port_id, "Port {} could not be found.")
            if any(server.port is port for server in self.servers.values()):
                raise RefusalError(
                    409, "The stand-in cannot give an address to a server that is there already."
                )
        floating.port_id = port_id

    def delete_port(self, port: Port) -> None:
        """Delete a port; what it was associated with is free again."""
        for floating in self.floating_ips.values():
            if floating.port_id == port.id:
                floating.port_id = None
        del self.ports[port.id]

    # nova

    def create_server(self, wanted: dict[str, Any], hints: dict[str, Any]) -> Server:
        """Begin to build a server; see nova's POST /servers."""
        if wanted.get("flavorRef") != self.flavor_id:
            raise RefusalError(400, f"Flavor {wanted.get('flavorRef')} could not be found.")
        image = wanted.get("imageRef") or ""
        self._check_boot(image, wanted.get("block_device_mapping_v2") or [])
        if wanted.get("key_name") not in (None, self.config.key_name):
            raise RefusalError(400, "Invalid key_name provided.")
        group = hints.get("group")
        if group is not None and group not in self.server_groups:
            raise RefusalError(400, f"Instance group {group} could not be found.")
        networks = wanted.get("networks") or []
        if len(networks) != 1 or "port" not in networks[0]:
            raise RefusalError(400, "The stand-in wants exactly one network, given as a port.")
        port = self.ports.get(networks[0]["port"])
        if port is None:
            raise RefusalError(400, f"Port id {networks[0]['port']} could not be found.")
        if port.device_id:
            raise RefusalError(409, f"Port {port.id} is still in use.")
        used, limit = len(self.servers), self.config.quota.instances
        message = f"Quota exceeded for instances: Requested 1, but already used {used} of {limit} instances"
        check_quota(used, limit, 403, message)
        server = Server(
            name=wanted["name"],
            port=port,
            flavor=self.flavor_id,
            image=image,
            key_name=wanted.get("key_name") or "",
            metadata=dict(wanted.get("metadata") or {}),
            group_id=group,
        )
        port.device_id = server.id
        self.servers[server.id] = server
        self._building[server.id] = self._begin(self._build(server))
        return server

    def delete_server(self, server: Server) -> None:
        """Begin to delete a server; its port stays."""
        if server.task != "deleting":
            server.task = "deleting"
            self._begin(self._tear_down(server))

    def stop_server(self, server: Server) -> None:
        """Begin to shut a server down."""
        server.task = "powering-off"
        self._begin(self._shut_down(server))

    def reboot_server(self, server: Server) -> None:
        """Begin to reboot a server, running or not."""
        server.task = "rebooting_hard"
        self._begin(self._reboot(server))

    def refresh(self, server: Server) -> None:
        """Let a server's status follow its machine: one that lost its power is ``SHUTOFF``."""
        machine = self.lab.machines.get(server.machine)
        if machine is not None and server.status in ("ACTIVE", "SHUTOFF"):
            server.status = "SHUTOFF" if machine.power == "off" else "ACTIVE"

    def shown(self, server: Server) -> dict[str, Any]:
        """A server as nova shows it."""
        self.refresh(server)
        floating = [one.address for one in self.floating_ips.values() if one.port_id == server.port.id]
        groups = [one.name for one in self.security_groups if one.id in server.port.security_groups]
        return server.shown(floating, groups)

    async def close(self) -> None:
        """Stop what is under way."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def _build(self, server: Server) -> None:
        if self.build_fault:
            server.status, server.task, server.fault = "ERROR", None, self.build_fault
            return
        server.task = "spawning"
        self._built += 1
        name = f"server-{self._built}"
        floating = [one.address for one in self.floating_ips.values() if one.port_id == server.port.id]
        address = server.port.address
        await self.lab.add_machine(
            name, hostname=server.name, ip=address, public_ip=floating[0] if floating else address
        )
        server.machine = name
        # Active is when the machine runs, not when its system has booted.
        server.status, server.task = "ACTIVE", None

    async def _tear_down(self, server: Server) -> None:
        await asyncio.gather(self._building.pop(server.id), return_exceptions=True)
        server.task = "deleting"
        if server.machine:
            await self.lab.remove_machine(server.machine)
        if server.port.device_id == server.id:
            server.port.device_id = ""
        self.servers.pop(server.id, None)

    async def _shut_down(self, server: Server) -> None:
        await self.lab.kill(server.machine)
        server.status, server.task = "SHUTOFF", None

    async def _reboot(self, server: Server) -> None:
        await self.lab.kill(server.machine)
        await self.lab.switch_on(server.machine)
        server.status, server.task = "ACTIVE", None

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    def _check_boot(self, image: str, devices: list[dict[str, Any]]) -> None:
        boots = [device for device in devices if str(device.get("boot_index")) == "0"]
        if image and boots:
            raise RefusalError(
                400,
                "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device "
                "mapping combination is not valid.",
            )
        if not image and not boots:
            raise RefusalError(400, "Invalid imageRef provided.")
        for source in [image] if image else [device.get("uuid") for device in boots]:
            if source != self.image_id:
                raise RefusalError(400, f"Can not find requested image {source}")

    def _network(self, network_id: Any) -> Network:
        return find(self.networks, network_id, "Network {} could not be found.")

    def _address(self, network: Network, wanted: str | None, taken: list[str]) -> str:
        if wanted is None:
            free = (f"{network.prefix}.{last}" for last in range(FIRST_ADDRESS, LAST_ADDRESS + 1))
            wanted = next((address for address in free if address not in taken), None)
            if wanted is None:
                raise RefusalError(409, f"No more IP addresses available on network {network.id}.")
        if not network.holds(wanted):
            raise RefusalError(400, f"IP address {wanted} is not a valid IP for the specified subnet.")
        if wanted in taken:
            raise RefusalError(409, f"IP address {wanted} already allocated in subnet {network.subnet_id}")
        return wanted
