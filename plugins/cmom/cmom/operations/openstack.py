"""Machines on OpenStack: the servers that managers run on, and what must be gone when a deployment is.

Everything else on OpenStack is done by cloudify-openstack-plugin. Servers are ours, because with that
plugin a server made by an operation that was killed cannot be found again, and one that is gone already
cannot be deleted (`clients.openstack` has the details).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cmom import runtime
from cmom.clients import openstack_calls as calls
from cmom.clients.openstack import OpenStack
from cmom.clients.openstack_access import CloudAccess
from cmom.clients.openstack_calls import ServerRequest
from cmom.errors import ActionRequired, CmomError
from cmom.models import Host
from cmom.operations.glue import change_properties, operation
from cmom.services.cloud import Patience, ServerKeeper, installation_mark, server_name

_TO = "cloudify.relationships.openstack.server_connected_to_"
PORT, KEY_PAIR, SERVER_GROUP = f"{_TO}port", f"{_TO}keypair", f"{_TO}server_group"

# What the plugin itself keeps of a server; its operations and relationships read it.
_SERVER_TYPE = "server"


@operation
def create_infrastructure(ctx: Any, **_: Any) -> None:
    """Log in once, so that wrong credentials are one clear message before anything is asked for or made.

    Then choose the mark of this installation: everything made in the cloud carries it from then on.
    """
    OpenStack(CloudAccess.read(ctx.node.properties["client_config"])).log_in()
    mark = installation_mark(ctx.deployment.id, ctx.instance.id)
    change_properties(ctx.instance, lambda properties: properties.update({runtime.MARK: mark}))


@operation
def delete_infrastructure(ctx: Any, **_: Any) -> None:
    """Delete what was made in the cloud without being recorded: it comes last, after all that was."""
    mark = ctx.instance.runtime_properties.get(runtime.MARK)
    if mark:
        count = _keeper(ctx, ctx.node.properties).sweep(mark)
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
def create_server(
    ctx: Any, name: str, mark: str, network_name: str, poll_interval_seconds: float, **_: Any
) -> None:
    """Make the server, or take over the one of this name that a former try left, and wait until it runs."""
    properties = ctx.node.properties
    config = {**properties["resource_config"]}
    config.update(config.pop("kwargs", None) or {})
    request = ServerRequest(
        name=name,
        image=properties["image"],
        flavor=properties["flavor"],
        port_ids=tuple(_related_ids(ctx, PORT)),
        key_name=next(_related_ids(ctx, KEY_PAIR), ""),
        server_group_id=next(_related_ids(ctx, SERVER_GROUP), ""),
        mark=mark,
        # What is empty in the plugin's data type was not given, and is no key of nova's.
        more={
            key: value
            for key, value in config.items()
            if key not in ("name", "id") and value not in ("", [], None)
        },
    )

    def record(server_id: str) -> None:
        change_properties(
            ctx.instance,
            lambda stored: stored.update(
                {
                    runtime.CLOUD_ID: server_id,
                    runtime.CLOUD_NAME: name,
                    runtime.CLOUD_TYPE: _SERVER_TYPE,
                    runtime.CLOUD_NETWORKS: [network_name],
                }
            ),
        )

    keeper = _keeper(ctx, properties, poll_interval_seconds)
    keeper.ensure_server(request, record, ctx.instance.runtime_properties.get(runtime.CLOUD_ID) or "")


@operation
def delete_server(
    ctx: Any, name: str | None, mark: str | None, poll_interval_seconds: float, **_: Any
) -> None:
    """Delete the server, recorded or not; one that is gone already is as good."""
    server_id = ctx.instance.runtime_properties.get(runtime.CLOUD_ID) or ""
    # Without a mark nothing was ever made, and there may not even be a cloud that could be asked.
    if server_id or mark:
        keeper = _keeper(ctx, ctx.node.properties, poll_interval_seconds)
        if not keeper.ensure_no_server(server_id, name or "", mark or ""):
            ctx.logger.info("There is no server %s (any more).", name or server_id)
    change_properties(ctx.instance, lambda properties: properties.clear())


@operation
def reboot_server(ctx: Any, **_: Any) -> None:
    """Switch the server off and on again; what comes next is for when that does not help."""
    server_id = ctx.instance.runtime_properties.get(runtime.CLOUD_ID) or ""
    cloud = OpenStack(CloudAccess.read(ctx.node.properties["client_config"]))
    try:
        there = bool(server_id) and calls.reboot_server(cloud, server_id)
    except CmomError as error:
        ctx.logger.warning("The server %s cannot be rebooted: %s", server_id, error)
        return
    ctx.logger.info("The server %s %s", server_id, "is rebooting" if there else "is gone")


@operation
def create_host(ctx: Any, ip: str | None, public_ip: str | None, hostname: str | None, **_: Any) -> None:
    """Publish the machine's addresses and name, wherever the mode of addressing has them from."""
    if not ip or not public_ip or not hostname:
        raise ActionRequired(
            f"The server of {ctx.instance.id} has no usable address: private IPv4 {ip!r}, public "
            f"{public_ip!r}, name {hostname!r}. Check that os_subnet is an IPv4 subnet of os_network."
        )
    host = Host(ip=ip, public_ip=public_ip, hostname=hostname)
    change_properties(ctx.instance, lambda properties: runtime.store_host(properties, host))
    ctx.logger.info("%s is machine %s %s", ctx.instance.id, host.public_ip, host.hostname)


def _keeper(
    ctx: Any, properties: Mapping[str, Any], poll_interval_seconds: float = Patience.interval_seconds
) -> ServerKeeper:
    cloud = OpenStack(CloudAccess.read(properties["client_config"]))
    return ServerKeeper(cloud, ctx.logger, Patience(interval_seconds=float(poll_interval_seconds)))


def _related_ids(ctx: Any, relationship_type: str) -> Iterator[str]:
    for relationship in ctx.instance.relationships:
        if relationship_type in relationship.type_hierarchy:
            yield relationship.target.instance.runtime_properties[runtime.CLOUD_ID]
