"""The calls to nova, and to glance for images, one function each, over the session of `clients.openstack`.

What is ours is known by its *mark*: a text that is unique to one installation of one deployment.
Servers carry it in their metadata, ports and floating IPs in their description (`openstack_network`), a
server group as its name.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from cmom.clients.openstack import COMPUTE, IMAGE, CloudRefused, OpenStack
from cmom.errors import ActionRequired

MARK_KEY = "cmom"
ACTIVE, ERROR, DELETED = "ACTIVE", "ERROR", ("DELETED", "SOFT_DELETED")


@dataclass(frozen=True)
class Server:
    """A server, as nova tells it.

    Attributes:
        status: ``BUILD``, ``ACTIVE``, ``ERROR``, ``SHUTOFF`` ...
        task: What nova is doing with it (``OS-EXT-STS:task_state``), such as ``deleting``; empty for
            nothing.
        fault: Why it is in ``ERROR``.
        mark: Whose it is; empty for a server that is not ours.
    """

    id: str
    name: str
    status: str
    task: str = ""
    fault: str = ""
    mark: str = ""

    @property
    def is_going(self) -> bool:
        """Whether it is being deleted, or is."""
        return self.task == "deleting" or self.status in DELETED


@dataclass(frozen=True)
class ServerRequest:
    """A server to be made.

    Attributes:
        image: Name or ID; empty where it boots from a block device.
        flavor: Name or ID.
        port_ids: The ports that it is plugged into.
        key_name: Of the key pair whose public key goes onto it; empty for none.
        server_group_id: Empty for none.
        mark: Whose it is.
        more: Further keys of nova's ``server`` object, such as ``block_device_mapping_v2``.
    """

    name: str
    image: str
    flavor: str
    port_ids: tuple[str, ...]
    key_name: str
    server_group_id: str
    mark: str
    more: Mapping[str, Any] = field(default_factory=dict)


def servers_named(cloud: OpenStack, name: str) -> list[Server]:
    """Return the project's servers with exactly this name (nova itself takes the name for a pattern)."""
    answer = cloud.get(COMPUTE, "/servers/detail", f"looking for the server {name}", name=name)
    return [_server(found) for found in answer.get("servers", ()) if found["name"] == name]


def servers_marked(cloud: OpenStack, mark: str) -> list[Server]:
    """Return the project's servers that carry this mark."""
    found: list[Server] = []
    query: dict[str, str] = {}
    while True:
        page = cloud.get(COMPUTE, "/servers/detail", "listing the servers", **query).get("servers", [])
        found += [server for server in map(_server, page) if server.mark == mark]
        if not page or page[-1]["id"] == query.get("marker"):
            return found
        query = {"marker": page[-1]["id"]}


def find_server(cloud: OpenStack, server_id: str) -> Server | None:
    """Return a server, None when there is none with this ID."""
    answer = cloud.find(COMPUTE, f"/servers/{server_id}", f"looking at the server {server_id}")
    return None if answer is None else _server(answer["server"])


def create_server(cloud: OpenStack, request: ServerRequest) -> str:
    """Ask nova for a server and return its ID; it is built from then on."""
    server: dict[str, Any] = {
        **request.more,
        "name": request.name,
        "flavorRef": _flavor_id(cloud, request.flavor),
        "networks": [{"port": port} for port in request.port_ids],
        "metadata": {**request.more.get("metadata", {}), MARK_KEY: request.mark},
    }
    if request.image:
        server["imageRef"] = _image_id(cloud, request.image)
    if request.key_name:
        server["key_name"] = request.key_name
    body: dict[str, Any] = {"server": server}
    if request.server_group_id:
        body["os:scheduler_hints"] = {"group": request.server_group_id}
    answer = cloud.request("POST", COMPUTE, "/servers", f"making the server {request.name}", body=body)
    return str(answer["server"]["id"])


def delete_server(cloud: OpenStack, server_id: str) -> bool:
    """Delete a server; False when it was gone already."""
    return cloud.delete(COMPUTE, f"/servers/{server_id}", f"deleting the server {server_id}")


def reboot_server(cloud: OpenStack, server_id: str) -> bool:
    """Switch a server off and on again, whatever it is doing; False when it is gone."""
    path, what = f"/servers/{server_id}/action", f"rebooting the server {server_id}"
    try:
        cloud.request("POST", COMPUTE, path, what, body={"reboot": {"type": "HARD"}})
    except CloudRefused as error:
        if error.status_code != requests.codes.not_found:
            raise
        return False
    return True


def server_groups_named(cloud: OpenStack, name: str) -> list[str]:
    """Return the IDs of the project's server groups of this name."""
    answer = cloud.get(COMPUTE, "/os-server-groups", f"looking for the server group {name}")
    return [str(group["id"]) for group in answer.get("server_groups", ()) if group["name"] == name]


def create_server_group(cloud: OpenStack, name: str, policy: str) -> str:
    """Make a server group and return its ID; the soft policies came with microversion 2.15."""
    body = {"server_group": {"name": name, "policies": [policy]}}
    what = f"making the server group {name} ({policy})"
    headers = {"X-OpenStack-Nova-API-Version": "2.15"}
    answer = cloud.request("POST", COMPUTE, "/os-server-groups", what, body=body, headers=headers)
    return str(answer["server_group"]["id"])


def _server(shown: Mapping[str, Any]) -> Server:
    return Server(
        id=shown["id"],
        name=shown["name"],
        status=shown["status"],
        task=shown.get("OS-EXT-STS:task_state") or "",
        fault=(shown.get("fault") or {}).get("message", ""),
        mark=(shown.get("metadata") or {}).get(MARK_KEY, ""),
    )


def _flavor_id(cloud: OpenStack, name_or_id: str) -> str:
    what = f"looking for the flavor {name_or_id}"
    flavors = cloud.get(COMPUTE, "/flavors", what).get("flavors", ())
    return one_of(flavors, name_or_id, "flavor", "os_flavor")


def _image_id(cloud: OpenStack, name_or_id: str) -> str:
    what = f"looking for the image {name_or_id}"
    if _is_uuid(name_or_id) and cloud.find(IMAGE, f"/images/{name_or_id}", what) is not None:
        return name_or_id
    images = cloud.get(IMAGE, "/images", what, name=name_or_id).get("images", ())
    return one_of(images, name_or_id, "image", "os_image")


def one_of(candidates: Iterable[Mapping[str, Any]], name_or_id: str, kind: str, source: str) -> str:
    """Return the ID of the one that has this name or ID.

    Args:
        kind: ``flavor`` ..., for the message.
        source: The input that the name comes from.

    Raises:
        ActionRequired: There is none, or more than one.
    """
    ids = {entry["id"] for entry in candidates if name_or_id in (entry["id"], entry["name"])}
    if name_or_id in ids:
        return name_or_id
    if len(ids) != 1:
        how_many = f"{len(ids)} {kind}s are" if ids else f"no {kind} is"
        raise ActionRequired(
            f"{source}: {how_many} called {name_or_id!r} in this project. Give an ID that is there."
        )
    return str(ids.pop())


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
