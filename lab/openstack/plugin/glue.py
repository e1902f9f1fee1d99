"""What every operation of the stand-in plugin goes through, in the order in which the real one does it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cloudify import constants
from cloudify import ctx as current_context
from cloudify.decorators import operation
from cloudify.exceptions import NonRecoverableError

from lab.openstack.plugin.rest import Connection, SdkError

CREATE = "cloudify.interfaces.lifecycle.create"
STOP = "cloudify.interfaces.lifecycle.stop"
DELETE = "cloudify.interfaces.lifecycle.delete"
UNLINK = "cloudify.interfaces.relationship_lifecycle.unlink"
EXTERNAL = "use_external_resource"


@dataclass
class Resource:
    """What an operation works on.

    Attributes:
        kind: ``port``, ``server`` ...; also the runtime property ``type``.
        config: resource_config of the node, overlaid by the operation's input, ``kwargs`` merged in.
        id: From the runtime properties or the configuration; empty when there is none yet.
    """

    kind: str
    cloud: Connection
    config: dict[str, Any]
    name: str
    id: str

    def find(self) -> dict[str, Any]:
        """Look it up."""
        return self.cloud.find(self.kind, self.id or self.name)


def resource_operation(kind: str) -> Callable[[Callable[..., None]], Callable[..., Any]]:
    """Make an operation of a function that takes the context and the resource of this kind."""

    def decorate(function: Callable[..., None]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(**inputs: Any) -> None:
            inputs.pop("ctx", None)
            _run(kind, function, inputs)

        run.__dict__.pop("__wrapped__", None)
        decorated: Callable[..., Any] = operation(run, resumable=True)
        return decorated

    return decorate


def _run(kind: str, function: Callable[..., None], inputs: dict[str, Any]) -> None:
    ctx = current_context
    subject = _subject(ctx)
    properties = subject.instance.runtime_properties
    name = ctx.operation.name
    if "heal" in ctx.workflow_id and "create" in name:
        properties.clear()
    resource = _prepare(ctx, subject, kind, inputs)
    try:
        if subject.node.properties.get(EXTERNAL) and _use_external(ctx, subject, resource, name):
            return
        if name in (STOP, DELETE, UNLINK) and not properties.get("id"):
            ctx.logger.info("Instance is already uninitialized.")
            return
        function(ctx, resource, **inputs)
    except SdkError as error:
        raise NonRecoverableError(f"Failure while trying to run operation:{name}: {error}") from error
    _remember(properties, resource, name)


def _subject(ctx: Any) -> Any:
    """The node that the operation belongs to: of a relationship, the one whose plugin runs it."""
    if ctx.type != constants.RELATIONSHIP_INSTANCE:
        return ctx
    mine = ctx._context["node_id"]
    return ctx.source if ctx.source.instance.id == mine else ctx.target


def _prepare(ctx: Any, subject: Any, kind: str, inputs: dict[str, Any]) -> Resource:
    node = subject.node.properties
    client = {**node["client_config"], **(inputs.pop("client_config", None) or {})}
    client.update(client.pop("kwargs", None) or {})
    domains = {f"{whose}_domain" for whose in ("user", "project") if _has_domain(client, whose)}
    if "v3" in client["auth_url"] and len(domains) != 2:
        # So the real plugin masks its own message.
        raise AttributeError("'InvalidDomainException' object has no attribute 'message'")
    config = {**(node.get("resource_config") or {}), **(inputs.pop("resource_config", None) or {})}
    config.update(config.pop("kwargs", None) or {})
    if "name" in config and not config["name"]:
        instance_id = subject.instance.id.replace("_", "-")
        config["name"] = f"{kind}-{ctx.deployment.id}-{instance_id}"
    known = subject.instance.runtime_properties.get("id") or config.get("id") or ""
    config.pop("id", None)
    return Resource(kind, Connection(client), config, config.get("name") or "", known)


def _has_domain(client: dict[str, Any], whose: str) -> bool:
    return f"{whose}_domain_name" in client or f"{whose}_domain_id" in client


def _use_external(ctx: Any, subject: Any, resource: Resource, name: str) -> bool:
    """Whether a resource that exists already leaves nothing to do."""
    try:
        found = resource.find()
    except SdkError as error:
        raise NonRecoverableError(f"Failure while trying to request Openstack API: {error}") from error
    if ctx.type == constants.RELATIONSHIP_INSTANCE:
        other = ctx.target if subject is ctx.source else ctx.source
        return bool(other.node.properties.get(EXTERNAL))
    if name == CREATE:
        if resource.kind == "server":
            raise NonRecoverableError(
                f"Several ports/networks already connected to external server {found['id']}"
            )
        # A key pair is known by its name.
        resource.id = found["name"] if resource.kind == "key_pair" else found["id"]
        resource.name = found.get("name") or resource.name
        subject.instance.runtime_properties["id"] = resource.id
    _remember(subject.instance.runtime_properties, resource, name)
    return True


def _remember(properties: Any, resource: Resource, name: str) -> None:
    if name == CREATE:
        properties["type"] = resource.kind
        properties["name"] = resource.name
    elif name == DELETE:
        for key in list(properties):
            del properties[key]


def related_ids(ctx: Any, kind: str) -> list[str]:
    """The IDs of the things of a kind that the node is related to, by whatever relationship."""
    return [
        relationship.target.instance.runtime_properties["id"]
        for relationship in ctx.instance.relationships
        if relationship.target.instance.runtime_properties.get("type") == kind
    ]
