"""What servers on OpenStack are plugged into: ports, floating IPs, and the group that spreads servers.

Each is made once, found again when nobody recorded it, and gone when it is told to go. The runtime
properties are those that cloudify-openstack-plugin keeps, whose relationships read them.
"""

from __future__ import annotations

from typing import Any

from cmom import runtime
from cmom.clients.openstack_network import Port, PortRequest
from cmom.errors import ActionRequired
from cmom.operations import openstack as cloud
from cmom.operations.glue import change_properties, operation
from cmom.services.cloud_network import NetworkKeeper


@operation
def create_port(ctx: Any, **_: Any) -> None:
    """Make the port of one machine, or take over the one that a former try left."""
    request = PortRequest(
        name=cloud.name_of(ctx),
        mark=cloud.mark_of(ctx),
        network_id=_one_id(ctx, cloud.NETWORK),
        subnet_id=_one_id(ctx, cloud.SUBNET),
        security_group_ids=tuple(cloud.related_ids(ctx, cloud.SECURITY_GROUP)),
        address=cloud.address_of(ctx),
    )
    port = _keeper(ctx).ensure_port(request, cloud.recorded_id(ctx))
    cloud.record_made(ctx, cloud.PORT, _port_properties(port))


@operation
def delete_port(ctx: Any, **_: Any) -> None:
    """Delete the port, recorded or not; one that is gone already is as good."""
    if cloud.may_be_there(ctx):
        _keeper(ctx).ensure_no_port(cloud.recorded_id(ctx), cloud.name_of(ctx), cloud.mark_of(ctx))
    change_properties(ctx.instance, lambda properties: properties.clear())


@operation
def create_floating_ip(ctx: Any, floating_network: str, **_: Any) -> None:
    """Make the floating IP of one machine, or take over the one that a former try left.

    Args:
        floating_network: Name or ID of the external network.
    """
    made = _keeper(ctx).ensure_floating_ip(
        floating_network, cloud.name_of(ctx), cloud.mark_of(ctx), cloud.recorded_id(ctx)
    )
    found = {runtime.CLOUD_ID: made.id, runtime.FLOATING_ADDRESS: made.address}
    cloud.record_made(ctx, cloud.FLOATING_IP, found)


@operation
def delete_floating_ip(ctx: Any, **_: Any) -> None:
    """Delete the floating IP, recorded or not; one that is gone already is as good."""
    if cloud.may_be_there(ctx):
        _keeper(ctx).ensure_no_floating_ip(cloud.recorded_id(ctx), cloud.name_of(ctx), cloud.mark_of(ctx))
    change_properties(ctx.instance, lambda properties: properties.clear())


@operation
def create_server_group(ctx: Any, policy: str, **_: Any) -> None:
    """Make the server group, or take over the one that a former try left.

    Args:
        policy: ``soft-anti-affinity`` or another of nova's.
    """
    mark = cloud.mark_of(ctx)
    group_id = _keeper(ctx).ensure_server_group(mark, policy, cloud.recorded_id(ctx))
    cloud.record_made(ctx, cloud.SERVER_GROUP, {runtime.CLOUD_ID: group_id, runtime.CLOUD_NAME: mark})


@operation
def delete_server_group(ctx: Any, **_: Any) -> None:
    """Delete the server group, recorded or not; one that is gone already is as good."""
    if cloud.may_be_there(ctx):
        _keeper(ctx).ensure_no_server_group(cloud.recorded_id(ctx), cloud.mark_of(ctx))
    change_properties(ctx.instance, lambda properties: properties.clear())


def _keeper(ctx: Any) -> NetworkKeeper:
    return NetworkKeeper(cloud.cloud_of(ctx), ctx.logger)


def _one_id(ctx: Any, kind: str) -> str:
    found = list(cloud.related_ids(ctx, kind))
    if len(found) != 1:
        raise ActionRequired(f"{ctx.node.id} must be related to one {kind}, but is to {len(found)}.")
    return found[0]


def _port_properties(port: Port) -> dict[str, Any]:
    """Return what cloudify-openstack-plugin keeps of a port; the singular is empty unless there is one."""
    ipv4, ipv6 = port.ipv4, port.ipv6
    return {
        runtime.CLOUD_ID: port.id,
        runtime.CLOUD_NAME: port.name,
        runtime.FIXED_IPS: ipv4 + ipv6,
        runtime.MAC_ADDRESS: port.mac_address,
        runtime.ALLOWED_ADDRESS_PAIRS: [dict(pair) for pair in port.allowed_address_pairs],
        runtime.IPV4_ADDRESSES: ipv4,
        runtime.IPV4_ADDRESS: ipv4[0] if len(ipv4) == 1 else "",
        runtime.IPV6_ADDRESSES: ipv6,
        runtime.IPV6_ADDRESS: ipv6[0] if len(ipv6) == 1 else "",
    }
