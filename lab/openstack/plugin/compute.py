"""Operations on servers, server groups and key pairs."""

from __future__ import annotations

from typing import Any

from cloudify.exceptions import NonRecoverableError, OperationRetry

from lab.openstack.plugin.glue import Resource, related_ids, resource_operation
from lab.openstack.plugin.rest import NotFoundError, SdkError

STOP_RETRY_SECONDS = 30
_DELETING, _STOPPING = "delete_server_task", "stop_server_task"


def _refuse(ctx: Any, resource: Resource, **_: Any) -> None:
    raise NonRecoverableError(f"The stand-in can only look a {resource.kind} up, it cannot make one.")


keypair = resource_operation("key_pair")(_refuse)


@resource_operation("server_group")
def create_server_group(ctx: Any, resource: Resource, **_: Any) -> None:
    """Make a server group."""
    wanted = {"name": resource.name, "policies": resource.config["policies"]}
    group = resource.cloud.call("server_group", "POST", body={"server_group": wanted})["server_group"]
    ctx.instance.runtime_properties["id"] = group["id"]


@resource_operation("server_group")
def delete_server_group(ctx: Any, resource: Resource, **_: Any) -> None:
    """Delete it."""
    resource.cloud.call("server_group", "DELETE", resource.id)


@resource_operation("server")
def create(ctx: Any, resource: Resource, **_: Any) -> None:
    """Make a server; its ID is stored when the call has returned, and not before."""
    config, node = dict(resource.config), ctx.node.properties
    ports = [{"port": port} for port in related_ids(ctx, "port")]
    ports += [{"uuid": network} for network in related_ids(ctx, "network")]
    if config.get("networks") and ports:
        raise NonRecoverableError(
            'Server can\'t both have the "networks" property and be connected to a network/port via a '
            "relationship at the same time"
        )
    config["networks"] = config.get("networks") or ports
    config["flavorRef"] = _pick(resource, "flavor", node["flavor"])
    config["imageRef"] = _pick(resource, "image", node["image"]) if node["image"] else ""
    groups = related_ids(ctx, "server_group")
    hints = {"group": groups[0]} if groups else {}
    for key in related_ids(ctx, "key_pair"):
        config["key_name"] = key
    body = {
        "server": config,
        "os:scheduler_hints": hints,
    }
    server = resource.cloud.call("server", "POST", body=body)["server"]
    ctx.instance.runtime_properties["id"] = server["id"]
    ctx.instance.runtime_properties["server"] = {"id": server["id"]}
    ctx.instance.runtime_properties["networks"] = [
        _network_of(resource, port["port"]) for port in config["networks"] if "port" in port
    ]


@resource_operation("server")
def configure(ctx: Any, resource: Resource, **_: Any) -> None:
    """Wait until the server is active, and publish its addresses."""
    server = resource.find()
    if server["status"] == "ERROR":
        raise NonRecoverableError(f"Server {server['id']} cannot be started, because it is on error state")
    if server["status"] != "ACTIVE":
        raise OperationRetry(
            f"Waiting for server to be in ACTIVE state but is in {server['status']} state. Retrying..."
        )
    properties = ctx.instance.runtime_properties
    if not server["addresses"] or not properties.get("networks"):
        return
    addresses = [one for name in properties["networks"] for one in server["addresses"].get(name, [])]
    for one in addresses:
        if one["OS-EXT-IPS:type"] == "fixed":
            properties.setdefault("ip", one["addr"])
        else:
            properties.setdefault("public_ip_address", one["addr"])
    if ctx.node.properties.get("use_public_ip") and properties.get("public_ip_address"):
        properties["ip"] = properties["public_ip"] = properties["public_ip_address"]
    listed = [one["addr"] for one in addresses]
    properties["ipv4_addresses"] = listed
    properties["ipv4_address"] = listed[0] if len(listed) == 1 else ""


@resource_operation("server")
def stop(ctx: Any, resource: Resource, **_: Any) -> None:
    """Shut the server down; comes back once, half a minute later."""
    if resource.find()["status"] == "SHUTOFF":
        return
    if _STOPPING not in ctx.instance.runtime_properties:
        resource.cloud.call("server", "POST", resource.id, body={"os-stop": None}, more="/action")
        ctx.instance.runtime_properties[_STOPPING] = "PENDING"
        ctx.instance.update()
    raise OperationRetry("Server has not stopped yet.", retry_after=STOP_RETRY_SECONDS)


@resource_operation("server")
def delete(ctx: Any, resource: Resource, **_: Any) -> None:
    """Delete the server; comes back until it is gone. One that is gone already is an error."""
    try:
        server = resource.find()
    except NotFoundError:
        if _DELETING not in ctx.instance.runtime_properties:
            raise NonRecoverableError(f"Server {resource.id} is not found") from None
        return
    if _DELETING not in ctx.instance.runtime_properties:
        resource.cloud.call("server", "DELETE", resource.id)
        ctx.instance.runtime_properties[_DELETING] = True
    raise OperationRetry(f"Server has {server['status']} state.")


@resource_operation("server")
def connect_security_group(ctx: Any, resource: Resource, security_group_id: str, **_: Any) -> None:
    """Give the server a security group; neutron refuses one that its port has already."""
    body = {"addSecurityGroup": {"name": security_group_id}}
    resource.cloud.call("server", "POST", resource.id, body=body, more="/action")


def _pick(resource: Resource, kind: str, wanted: str) -> str:
    for one in resource.cloud.all_of(kind):
        if wanted in (one["id"], one["name"]):
            return str(one["id"])
    raise SdkError(f"No {kind.title()} found for {wanted}")


def _network_of(resource: Resource, port_id: str) -> str:
    port = resource.cloud.find("port", port_id)
    return str(resource.cloud.find("network", port["network_id"])["name"])
