"""Machines on OpenStack: the servers that managers run on, and what must be gone when a deployment is.

What a server is plugged into is made in `openstack_network`. All of it is ours, because what
cloudify-openstack-plugin has made and not recorded cannot be found again, and what is gone already cannot
be deleted with it (`clients.openstack`). That plugin looks up what exists, connects, and publishes a
server's addresses.

What a node needs of another is read through the relationship to it, not with ``get_attribute``: in the
local profile that reads the files of all instances, one of which another thread may just be writing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cmom import runtime
from cmom.clients import openstack_calls as calls
from cmom.clients import openstack_network as network
from cmom.clients.openstack import OpenStack
from cmom.clients.openstack_access import CloudAccess
from cmom.clients.openstack_calls import ServerRequest
from cmom.errors import ActionRequired, CmomError
from cmom.models import Host
from cmom.operations.glue import change_properties, operation
from cmom.services.cloud import Patience, ServerKeeper, installation_mark, server_name
from cmom.services.cloud_network import NetworkKeeper
from cmom.services.validation.devices import check_device_mapping

# The plugin's types, by which its nodes and the relationships to them are known.
SERVER, SERVER_GROUP, KEY_PAIR = "server", "server_group", "key_pair"
PORT, FLOATING_IP = "port", "floatingip"
NETWORK, SUBNET, SECURITY_GROUP = "network", "subnet", "security_group"


@operation
def create_infrastructure(ctx: Any, **_: Any) -> None:
    """Check what the servers are to be made of, and log in once: what is wrong is one clear message before
    anything is asked for or made.

    Then choose the mark of this installation: everything made in the cloud carries it from then on.
    """
    if ctx.node.properties.get("floating_network") == "":
        raise ActionRequired("os_floating_network is missing: infra/floating_ip.yaml needs it.")
    check_device_mapping(ctx.node.properties.get("device_mapping"))
    cloud_of(ctx).log_in()
    mark = installation_mark(ctx.deployment.id, ctx.instance.id)
    change_properties(ctx.instance, lambda properties: properties.update({runtime.MARK: mark}))


@operation
def delete_infrastructure(ctx: Any, **_: Any) -> None:
    """Delete what was made in the cloud without being recorded: it comes last, after all that was."""
    mark = ctx.instance.runtime_properties.get(runtime.MARK)
    if mark:
        cloud = cloud_of(ctx)
        count = ServerKeeper(cloud, ctx.logger, Patience()).sweep(mark)
        count += NetworkKeeper(cloud, ctx.logger).sweep(mark)
        if count:
            ctx.logger.warning(
                "%s things in the cloud were made and never recorded; they are deleted.", count
            )
    change_properties(ctx.instance, lambda properties: properties.clear())


@operation
def create_address(ctx: Any, **_: Any) -> None:
    """Choose the name of a machine that gets none from the pool; the address comes from the network."""
    name = server_name(ctx.deployment.id, ctx.instance.id)
    change_properties(ctx.instance, lambda properties: properties.update({runtime.HOSTNAME: name}))


@operation
def create_server(ctx: Any, poll_interval_seconds: float, **_: Any) -> None:
    """Make the server, or take over the one of this name that a former try left, and wait until it runs."""
    properties = ctx.node.properties
    name, cloud = name_of(ctx), cloud_of(ctx)
    ports = tuple(related_ids(ctx, PORT))
    config = {**properties["resource_config"]}
    config.update(config.pop("kwargs", None) or {})
    request = ServerRequest(
        name=name,
        image=properties["image"],
        flavor=properties["flavor"],
        port_ids=ports,
        key_name=next(related_ids(ctx, KEY_PAIR), ""),
        server_group_id=next(related_ids(ctx, SERVER_GROUP), ""),
        mark=mark_of(ctx),
        # What is empty in the plugin's data type was not given, and is no key of nova's.
        more={
            key: value
            for key, value in config.items()
            if key not in ("name", "id") and value not in ("", [], None)
        },
    )
    networks = [network.network_of(cloud, port) for port in ports]

    def record(server_id: str) -> None:
        found = {runtime.CLOUD_ID: server_id, runtime.CLOUD_NETWORKS: networks}
        record_made(ctx, SERVER, {**found, runtime.CLOUD_NAME: name})

    keeper = ServerKeeper(cloud, ctx.logger, _patience(poll_interval_seconds))
    keeper.ensure_server(request, record, recorded_id(ctx))


@operation
def delete_server(ctx: Any, poll_interval_seconds: float, **_: Any) -> None:
    """Delete the server, recorded or not; one that is gone already is as good."""
    if may_be_there(ctx):
        keeper = ServerKeeper(cloud_of(ctx), ctx.logger, _patience(poll_interval_seconds))
        if not keeper.ensure_no_server(recorded_id(ctx), name_of(ctx), mark_of(ctx)):
            ctx.logger.info("There is no server %s (any more).", name_of(ctx) or recorded_id(ctx))
    change_properties(ctx.instance, lambda properties: properties.clear())


@operation
def reboot_server(ctx: Any, **_: Any) -> None:
    """Switch the server off and on again; what comes next is for when that does not help."""
    server_id = recorded_id(ctx)
    try:
        there = bool(server_id) and calls.reboot_server(cloud_of(ctx), server_id)
    except CmomError as error:
        ctx.logger.warning("The server %s cannot be rebooted: %s", server_id, error)
        return
    ctx.logger.info("The server %s %s", server_id, "is rebooting" if there else "is gone")


@operation
def create_host(ctx: Any, **_: Any) -> None:
    """Publish the machine's addresses and name, wherever the mode of addressing has them from."""
    ip = next((ip for port in _related(ctx, PORT) for ip in port.get(runtime.IPV4_ADDRESSES) or ()), "")
    floating = next((found.get(runtime.FLOATING_ADDRESS) for found in _related(ctx, FLOATING_IP)), ip)
    hostname = name_of(ctx)
    if not ip or not floating or not hostname:
        raise ActionRequired(
            f"The server of {ctx.instance.id} has no usable address: private IPv4 {ip!r}, public "
            f"{floating!r}, name {hostname!r}. Check that os_subnet is an IPv4 subnet of os_network."
        )
    host = Host(ip=ip, public_ip=floating, hostname=hostname)
    change_properties(ctx.instance, lambda properties: runtime.store_host(properties, host))
    ctx.logger.info("%s is machine %s %s", ctx.instance.id, host.public_ip, host.hostname)


def cloud_of(ctx: Any) -> OpenStack:
    """Return the cloud that a node names."""
    return OpenStack(CloudAccess.read(ctx.node.properties["client_config"]))


def mark_of(ctx: Any) -> str:
    """Return the mark of this installation; empty before there is one."""
    return next((str(found[runtime.MARK]) for found in _targets(ctx) if found.get(runtime.MARK)), "")


def name_of(ctx: Any) -> str:
    """Return the name of the machine that a node is for; empty before it has one."""
    return next((str(found[runtime.HOSTNAME]) for found in _targets(ctx) if found.get(runtime.HOSTNAME)), "")


def address_of(ctx: Any) -> str:
    """Return the address that is known in advance; empty where the network chooses it."""
    named = (found for found in _targets(ctx) if found.get(runtime.HOSTNAME))
    return str(next(named, {}).get(runtime.IP) or "")


def related_ids(ctx: Any, kind: str) -> Iterator[str]:
    """Yield the IDs of the things of one of the plugin's types that a node is related to."""
    return (found[runtime.CLOUD_ID] for found in _related(ctx, kind))


def recorded_id(ctx: Any) -> str:
    """Return the ID of what a node stands for, as a former try recorded it; empty for none."""
    return str(ctx.instance.runtime_properties.get(runtime.CLOUD_ID) or "")


def may_be_there(ctx: Any) -> bool:
    """Tell whether what a node stands for may have been made.

    Without a mark nothing ever was, and there may not even be a cloud that could be asked.
    """
    return bool(recorded_id(ctx) or mark_of(ctx))


def record_made(ctx: Any, kind: str, properties: Mapping[str, Any]) -> None:
    """Store what is known of a thing just made or found, as the plugin would."""
    change_properties(ctx.instance, lambda stored: stored.update({runtime.CLOUD_TYPE: kind, **properties}))


def _related(ctx: Any, kind: str) -> Iterator[Mapping[str, Any]]:
    return (found for found in _targets(ctx) if found.get(runtime.CLOUD_TYPE) == kind)


def _targets(ctx: Any) -> Iterator[Mapping[str, Any]]:
    for relationship in ctx.instance.relationships:
        yield relationship.target.instance.runtime_properties


def _patience(poll_interval_seconds: float) -> Patience:
    return Patience(interval_seconds=float(poll_interval_seconds))
