"""The calls to nova, and to glance for images, one function each, over the session of `clients.openstack`.

What is ours is known by its *mark*: a text that is unique to one installation of one deployment.
Servers carry it in their metadata, ports and floating IPs in their description (`openstack_network`), a
server group as its name.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cmom.clients.openstack import COMPUTE, IMAGE, NETWORK, OpenStack
from cmom.clients.openstack_errors import (
    CloudUnexpected,
    entries,
    first_up,
    identifier,
    path_to,
    reading,
    short,
    text,
)
from cmom.errors import ActionRequired

MARK_KEY = "cmom"
_MOST_PAGES = 1000
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
    listed = _servers(cloud, f"looking for the server {name}", {"name": name})
    return [server for server in listed if server.name == name]


def servers_marked(cloud: OpenStack, mark: str) -> list[Server]:
    """Return the project's servers that carry this mark."""
    return [server for server in _servers(cloud, "listing the servers", {}) if server.mark == mark]


def find_server(cloud: OpenStack, server_id: str) -> Server | None:
    """Return a server, None when there is none with this ID."""
    what = f"looking at the server {server_id}"
    answer = cloud.find(COMPUTE, path_to("servers", server_id), what)
    with reading(what):
        return None if answer is None else _server(answer["server"])


def create_server(cloud: OpenStack, request: ServerRequest) -> str:
    """Ask nova for a server and return its ID; it is built from then on."""
    metadata = request.more.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        raise ActionRequired(f"metadata of the server {request.name}: must be a mapping")
    server: dict[str, Any] = {
        **request.more,
        "name": request.name,
        "flavorRef": _flavor_id(cloud, request.flavor),
        "networks": [{"port": port} for port in request.port_ids],
        "metadata": {**metadata, MARK_KEY: request.mark},
    }
    if request.image:
        server["imageRef"] = _image_id(cloud, request.image)
    if request.key_name:
        server["key_name"] = request.key_name
    body: dict[str, Any] = {"server": server}
    if request.server_group_id:
        body["os:scheduler_hints"] = {"group": request.server_group_id}
    what = f"making the server {request.name}"
    answer = cloud.request("POST", COMPUTE, "/servers", what, body=body)
    with reading(what):
        return identifier(answer["server"]["id"])


def delete_server(cloud: OpenStack, server_id: str) -> bool:
    """Delete a server; False when it was gone already."""
    return cloud.delete(COMPUTE, path_to("servers", server_id), f"deleting the server {server_id}")


def reboot_server(cloud: OpenStack, server_id: str) -> bool:
    """Switch a server off and on again, whatever it is doing; False when it is gone."""
    path, what = path_to("servers", server_id, "action"), f"rebooting the server {server_id}"
    return cloud.act(COMPUTE, path, what, body={"reboot": {"type": "HARD"}})


def server_groups_named(cloud: OpenStack, name: str) -> list[str]:
    """Return the IDs of the project's server groups of this name."""
    what = f"looking for the server group {name}"
    answer = cloud.get(COMPUTE, "/os-server-groups", what)
    with reading(what):
        groups = entries(answer["server_groups"])
        return [identifier(group["id"]) for group in groups if group["name"] == name]


def create_server_group(cloud: OpenStack, name: str, policy: str) -> str:
    """Make a server group and return its ID; the soft policies came with microversion 2.15."""
    body = {"server_group": {"name": name, "policies": [policy]}}
    what = f"making the server group {name} ({policy})"
    headers = {"X-OpenStack-Nova-API-Version": "2.15"}
    answer = cloud.request("POST", COMPUTE, "/os-server-groups", what, body=body, headers=headers)
    with reading(what):
        return identifier(answer["server_group"]["id"])


def pages(
    cloud: OpenStack, service: str, path: str, key: str, what: str, filters: Mapping[str, str]
) -> Iterator[list[Mapping[str, Any]]]:
    """Yield what a service lists, page by page, until one is empty or the last one again.

    neutron says with each page whether another one follows.

    Raises:
        CloudUnexpected: It is no list, or one that does not end.
    """
    query = dict(filters)
    for _ in range(_MOST_PAGES):
        answer = cloud.get(service, path, what, **query)
        with reading(what):
            page = entries(answer[key])
            last = identifier(page[-1]["id"]) if page else ""
            ended = service == NETWORK and not any(
                link.get("rel") == "next" for link in answer.get(f"{key}_links") or ()
            )
        if not page or last == query.get("marker"):
            return
        yield page
        if ended:
            return
        query["marker"] = last
    raise CloudUnexpected(f"{first_up(what)}: the list does not end, after {_MOST_PAGES} pages.")


def _servers(cloud: OpenStack, what: str, filters: Mapping[str, str]) -> Iterator[Server]:
    for page in pages(cloud, COMPUTE, "/servers/detail", "servers", what, filters):
        with reading(what):
            found = [_server(shown) for shown in page]
        yield from found


def _server(shown: Mapping[str, Any]) -> Server:
    return Server(
        id=identifier(shown["id"]),
        name=text(shown["name"]),
        status=text(shown["status"]),
        task=text(shown.get("OS-EXT-STS:task_state"), default=""),
        fault=short(text((shown.get("fault") or {}).get("message"), default="")),
        mark=text((shown.get("metadata") or {}).get(MARK_KEY), default=""),
    )


def _flavor_id(cloud: OpenStack, name_or_id: str) -> str:
    what = f"looking for the flavor {name_or_id}"
    answer = cloud.get(COMPUTE, "/flavors", what)
    with reading(what):
        return one_of(entries(answer["flavors"]), name_or_id, "flavor", "os_flavor")


def _image_id(cloud: OpenStack, name_or_id: str) -> str:
    what = f"looking for the image {name_or_id}"
    if is_uuid(name_or_id) and cloud.find(IMAGE, path_to("images", name_or_id), what) is not None:
        return name_or_id
    answer = cloud.get(IMAGE, "/images", what, name=name_or_id)
    with reading(what):
        return one_of(entries(answer["images"]), name_or_id, "image", "os_image")


def one_of(candidates: Iterable[Mapping[str, Any]], name_or_id: str, kind: str, source: str) -> str:
    """Return the ID of the one that has this name or ID.

    Args:
        kind: ``flavor`` ..., for the message.
        source: The input that the name comes from.

    Raises:
        ActionRequired: There is none, or more than one.
    """
    ids = {identifier(entry["id"]) for entry in candidates if name_or_id in (entry["id"], entry["name"])}
    if name_or_id in ids:
        return name_or_id
    if len(ids) != 1:
        how_many = f"{len(ids)} {kind}s are" if ids else f"no {kind} is"
        raise ActionRequired(
            f"{source}: {how_many} called {name_or_id!r} in this project. Give an ID that is there."
        )
    return ids.pop()


def is_uuid(name_or_id: str) -> bool:
    """Tell whether something can be an ID of glance or neutron; anything else is a name."""
    try:
        uuid.UUID(name_or_id)
    except ValueError:
        return False
    return True
