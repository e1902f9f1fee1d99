"""Operations on networks, subnets, security groups, ports and floating IPs."""

from __future__ import annotations

from typing import Any

from cloudify.exceptions import NonRecoverableError

from lab.openstack.plugin.glue import Resource, related_ids, resource_operation


def _refuse(ctx: Any, resource: Resource, **_: Any) -> None:
    raise NonRecoverableError(f"The stand-in can only look a {resource.kind} up, it cannot make one.")


network = resource_operation("network")(_refuse)
subnet = resource_operation("subnet")(_refuse)
security_group = resource_operation("security_group")(_refuse)


@resource_operation("port")
def create_port(ctx: Any, resource: Resource, **_: Any) -> None:
    """Make a port in the network and with the security groups that the node is related to."""
    config = resource.config
    for key, kind in (("network_id", "network"), ("security_groups", "security_group")):
        related = related_ids(ctx, kind)
        if config.get(key) and related:
            raise NonRecoverableError(
                f'Port can\'t both have the "{key}" property and be connected to a network via a '
                "relationship at the same time"
            )
        config[key] = config.get(key) or related
    if isinstance(config["network_id"], list):
        config["network_id"] = config["network_id"][0] if config["network_id"] else None
    if ctx.node.properties.get("fixed_ip"):
        config.setdefault("fixed_ips", []).append({"ip_address": ctx.node.properties["fixed_ip"]})
    port = resource.cloud.call("port", "POST", body={"port": config})["port"]
    addresses = [entry["ip_address"] for entry in port["fixed_ips"]]
    ctx.instance.runtime_properties.update(
        {
            "id": port["id"],
            "fixed_ips": addresses,
            "mac_address": port["mac_address"],
            "allowed_address_pairs": port["allowed_address_pairs"],
            "ipv4_addresses": addresses,
            "ipv6_addresses": [],
            "ipv4_address": addresses[0] if len(addresses) == 1 else "",
            "ipv6_address": "",
        }
    )


@resource_operation("port")
def delete_port(ctx: Any, resource: Resource, **_: Any) -> None:
    """Delete it."""
    resource.find()
    resource.cloud.call("port", "DELETE", resource.id)


@resource_operation("server")
def attach(ctx: Any, resource: Resource, port_id: str, **_: Any) -> None:
    """Give a port to the server."""
    resource.cloud.call("port", "PUT", port_id, body={"port": {"device_id": resource.id}})


@resource_operation("server")
def detach(ctx: Any, resource: Resource, port_id: str, **_: Any) -> None:
    """Take a port from the server."""
    resource.cloud.call("port", "PUT", port_id, body={"port": {"device_id": ""}})


@resource_operation("floatingip")
def create_floating_ip(ctx: Any, resource: Resource, **_: Any) -> None:
    """Make a floating IP out of a network that is named, or that the node is related to."""
    config = resource.config
    related = related_ids(ctx, "network")
    name = config.pop("floating_network_name", None)
    if len([one for one in (name, config.get("floating_network_id"), related) if one]) > 1:
        raise NonRecoverableError(
            "Floating ip can't have the floating network properties and be connected to a network via a "
            "relationship at the same time"
        )
    if name:
        config["floating_network_id"] = resource.cloud.find("network", name)["id"]
    elif related:
        config["floating_network_id"] = related[0]
    floating = resource.cloud.call("floatingip", "POST", body={"floatingip": config})["floatingip"]
    ctx.instance.runtime_properties["id"] = floating["id"]
    ctx.instance.runtime_properties["floating_ip_address"] = floating["floating_ip_address"]


@resource_operation("floatingip")
def delete_floating_ip(ctx: Any, resource: Resource, **_: Any) -> None:
    """Delete it."""
    resource.cloud.call("floatingip", "DELETE", resource.id)


@resource_operation("floatingip")
def update_floating_ip(ctx: Any, resource: Resource, args: dict[str, Any], **_: Any) -> None:
    """Associate it with a port, or with none."""
    changes = {key: value or None for key, value in args.items()}
    resource.cloud.call("floatingip", "PUT", resource.id, body={"floatingip": changes})
