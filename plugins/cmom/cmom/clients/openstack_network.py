"""The calls to neutron: ports and floating IPs, one function each, over the session of `clients.openstack`.

A port of ours carries the installation's mark in its description, and the machine's name as its own. A
floating IP has no name: its description is the mark and the machine's name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cmom.clients.openstack import NETWORK, OpenStack
from cmom.clients.openstack_calls import is_uuid, one_of, pages
from cmom.clients.openstack_errors import (
    CloudConflict,
    CloudRefused,
    address,
    identifier,
    path_to,
    reading,
    text,
)
from cmom.errors import ActionRequired

_CONFLICT = 409


@dataclass(frozen=True)
class Port:
    """A port, as neutron tells it.

    Attributes:
        addresses: Its fixed addresses, IPv4 and IPv6.
        device: Whose it is: ``compute:nova``, ``network:dhcp`` ...; empty for nobody's.
    """

    id: str
    name: str
    network_id: str
    addresses: tuple[str, ...]
    mac_address: str
    device: str = ""
    allowed_address_pairs: tuple[Mapping[str, Any], ...] = ()

    @property
    def ipv4(self) -> list[str]:
        """Its IPv4 addresses."""
        return [one for one in self.addresses if ipaddress.ip_address(one).version == 4]

    @property
    def ipv6(self) -> list[str]:
        """Its IPv6 addresses."""
        return [one for one in self.addresses if ipaddress.ip_address(one).version == 6]


@dataclass(frozen=True)
class PortRequest:
    """A port to be made.

    Attributes:
        name: Of the machine that it is for.
        mark: Whose it is.
        address: The fixed address that it is to have; empty for one of the network's choice.
    """

    name: str
    mark: str
    network_id: str
    subnet_id: str
    security_group_ids: tuple[str, ...]
    address: str = ""


@dataclass(frozen=True)
class FloatingIp:
    """A floating IP, as neutron tells it."""

    id: str
    address: str
    network_id: str
    description: str = ""


def ports_named(cloud: OpenStack, name: str, mark: str) -> list[Port]:
    """Return the ports of this name that carry this mark."""
    return [port for port in ports_marked(cloud, mark, name=name) if port.name == name]


def ports_marked(cloud: OpenStack, mark: str, **filters: str) -> list[Port]:
    """Return the ports that carry this mark."""
    what = f"looking for the ports of {mark}"
    listed = _listing(cloud, "ports", what, description=mark, **filters)
    with reading(what):
        return [_port(one) for one in listed if one.get("description") == mark]


def ports_at(cloud: OpenStack, network_id: str, address: str) -> list[Port]:
    """Return the port that has an address, as far as this project may see it."""
    what = f"looking who has the address {address}"
    filters = {"network_id": network_id, "fixed_ips": f"ip_address={address}"}
    listed = _listing(cloud, "ports", what, **filters)
    with reading(what):
        return [port for port in map(_port, listed) if address in port.addresses]


def find_port(cloud: OpenStack, port_id: str) -> Port | None:
    """Return a port, None when there is none with this ID."""
    what = f"looking at the port {port_id}"
    answer = cloud.find(NETWORK, path_to("ports", port_id), what)
    with reading(what):
        return None if answer is None else _port(answer["port"])


def create_port(cloud: OpenStack, request: PortRequest) -> Port:
    """Make a port.

    Raises:
        CloudConflict: The address is taken, or the quota is used up; neutron's words say which.
        CloudRefused: Something else is not as neutron wants it.
    """
    fixed = {"subnet_id": request.subnet_id}
    if request.address:
        fixed["ip_address"] = request.address
    port = {
        "name": request.name,
        "description": request.mark,
        "network_id": request.network_id,
        "fixed_ips": [fixed],
        "security_groups": list(request.security_group_ids),
    }
    what = f"making the port {request.name}"
    answer = cloud.request("POST", NETWORK, "/ports", what, body={"port": port})
    with reading(what):
        return _port(answer["port"])


def floating_ips(cloud: OpenStack, what: str, **filters: str) -> list[FloatingIp]:
    """Return the project's floating IPs; a filter that neutron does not know lists all of them."""
    listed = _listing(cloud, "floatingips", what, **filters)
    with reading(what):
        return [_floating_ip(one) for one in listed]


def floating_ips_described(cloud: OpenStack, description: str) -> list[FloatingIp]:
    """Return the floating IPs with exactly this description."""
    listed = floating_ips(cloud, f"looking for the floating IP of {description}", description=description)
    return [one for one in listed if one.description == description]


def find_floating_ip(cloud: OpenStack, floating_ip_id: str) -> FloatingIp | None:
    """Return a floating IP, None when there is none with this ID."""
    what = f"looking at the floating IP {floating_ip_id}"
    answer = cloud.find(NETWORK, path_to("floatingips", floating_ip_id), what)
    with reading(what):
        return None if answer is None else _floating_ip(answer["floatingip"])


def create_floating_ip(cloud: OpenStack, network_id: str, description: str) -> FloatingIp:
    """Make a floating IP.

    Raises:
        CloudRefused: The network is not external, has no address left, or the quota is used up.
    """
    body = {"floatingip": {"floating_network_id": network_id, "description": description}}
    what = "making a floating IP"
    try:
        answer = cloud.request("POST", NETWORK, "/floatingips", what, body=body)
    except CloudConflict as error:  # nothing that passes by itself
        raise CloudRefused(str(error), _CONFLICT) from None
    with reading(what):
        return _floating_ip(answer["floatingip"])


def network_id(cloud: OpenStack, name_or_id: str, source: str) -> str:
    """Return the ID of a network that is given by its ID or its name.

    Args:
        source: The input that it comes from, for the message.

    Raises:
        ActionRequired: There is none, or more than one of this name.
    """
    what = f"looking for the network {name_or_id}"
    if is_uuid(name_or_id) and cloud.find(NETWORK, path_to("networks", name_or_id), what) is not None:
        return name_or_id
    listed = _listing(cloud, "networks", what, name=name_or_id)
    with reading(what):
        return one_of(listed, name_or_id, "network", source)


def network_of(cloud: OpenStack, port_id: str) -> str:
    """Return the name of the network that a port is in.

    Raises:
        ActionRequired: The port is gone.
    """
    port = find_port(cloud, port_id)
    if port is None:
        raise ActionRequired(
            f"The port {port_id} is gone from the cloud. Uninstall the deployment and install it again."
        )
    what = f"looking at the network {port.network_id}"
    answer = cloud.get(NETWORK, path_to("networks", port.network_id), what)
    with reading(what):
        return text(answer["network"]["name"])


def _listing(cloud: OpenStack, kind: str, what: str, **filters: str) -> list[Mapping[str, Any]]:
    """Return what neutron lists of a kind.

    A filter that a service does not know lists everything: compare once more.
    """
    return [one for page in pages(cloud, NETWORK, f"/{kind}", kind, what, filters) for one in page]


def _port(shown: Mapping[str, Any]) -> Port:
    return Port(
        id=identifier(shown["id"]),
        name=text(shown["name"]),
        network_id=identifier(shown["network_id"]),
        addresses=tuple(address(entry["ip_address"]) for entry in shown["fixed_ips"]),
        mac_address=text(shown["mac_address"]),
        device=text(shown.get("device_owner"), default=""),
        allowed_address_pairs=tuple(dict(pair) for pair in shown.get("allowed_address_pairs") or ()),
    )


def _floating_ip(shown: Mapping[str, Any]) -> FloatingIp:
    return FloatingIp(
        id=identifier(shown["id"]),
        address=address(shown["floating_ip_address"]),
        network_id=identifier(shown["floating_network_id"]),
        description=text(shown.get("description"), default=""),
    )
