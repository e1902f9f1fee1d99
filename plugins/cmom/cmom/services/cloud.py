"""Servers in a cloud: made once, found again after any crash, and gone when they are told to go.

The one rule: what carries our mark is ours, whether or not anybody recorded it. A server is found by
its name, taken over when the mark is ours and refused when it is not; and when a deployment goes,
whatever still carries its mark goes with it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cmom.clients import openstack_calls as calls
from cmom.clients.openstack import OpenStack
from cmom.errors import ActionRequired, TryAgainLater
from cmom.services.waiting import Clock, wait_for

Found = TypeVar("Found")

_MAX_LABEL = 63
_MAX_SUFFIX = 16
_MAX_MARK = 200


def server_name(deployment_id: str, instance_id: str) -> str:
    """Return the host name of a machine that got none from the user: unique, and valid as a label.

    Args:
        deployment_id: As Cloudify knows it; anything a host name cannot have becomes a dash.
        instance_id: Of the node instance that the name stands for; what follows its last underscore is
            random.
    """
    suffix = _label(instance_id.rpartition("_")[2])[-_MAX_SUFFIX:]
    return f"{_label(deployment_id)[: _MAX_LABEL - len(suffix) - 1].rstrip('-') or 'manager'}-{suffix}"


def installation_mark(deployment_id: str, instance_id: str) -> str:
    """Return the text by which everything that one installation makes in the cloud is known."""
    return f"cmom {deployment_id[:_MAX_MARK]} {instance_id}"


@dataclass(frozen=True)
class Patience:
    """How long the cloud is waited for.

    Attributes:
        build_seconds: From the request for a server until it runs.
        delete_seconds: From the request to delete it until it is gone.
        interval_seconds: Between two looks.
    """

    build_seconds: float = 1800.0
    delete_seconds: float = 600.0
    interval_seconds: float = 3.0


class ServerKeeper:
    """Makes, finds and removes servers.

    Args:
        cloud: Where.
        logger: Told what is done.
        patience: How long to wait.
        clock: For tests.
    """

    def __init__(
        self, cloud: OpenStack, logger: logging.Logger, patience: Patience, clock: Clock | None = None
    ) -> None:
        self._cloud = cloud
        self._logger = logger
        self._patience = patience
        self._clock = clock

    def ensure_server(
        self, request: calls.ServerRequest, record: Callable[[str], None], recorded: str = ""
    ) -> calls.Server:
        """Make a server, or take over the one of this name that is there already, and wait until it runs.

        Args:
            record: Called with the server's ID as soon as it is known, to be stored where a crash
                leaves it.
            recorded: The ID that a former try stored, if any.

        Raises:
            ActionRequired: The name is taken by a server that is not ours; the cloud refuses, or cannot
            build it.
            TryAgainLater: The cloud does not answer, or a former server of this name is still going.
        """
        server = calls.find_server(self._cloud, recorded) if recorded else None
        if server is None or server.is_going:
            server = self._find_ours(request)
        if server is not None and server.status == calls.ERROR:
            self._logger.info("The server %s could not be built (%s): made again", request.name, server.fault)
            self._delete(server.id)
            server = None
        if server is None:
            server_id = calls.create_server(self._cloud, request)
            self._logger.info("The server %s is made: %s", request.name, server_id)
        else:
            server_id = server.id
            self._logger.info("The server %s is there already and is ours: %s", request.name, server_id)
        record(server_id)
        return self._wait_until_active(server_id, request.name)

    def ensure_no_server(self, server_id: str, name: str, mark: str) -> bool:
        """Delete a server and wait until it is gone; one that is gone is no error.

        Args:
            server_id: As recorded; empty for a server that may have been made without being recorded.
            name: Its name, to find one that was not recorded.
            mark: Nothing without it is deleted by name.

        Returns:
            Whether there was anything to delete.
        """
        found = {server_id} if server_id else set()
        if name and mark:
            found |= {server.id for server in calls.servers_named(self._cloud, name) if server.mark == mark}
        there = [one for one in sorted(found) if self._delete(one)]
        return bool(there)

    def sweep(self, mark: str) -> int:
        """Delete every server that carries the mark: made by a try that did not live to record it.

        Returns:
            How many there were.
        """
        marked = calls.servers_marked(self._cloud, mark)
        return len([server for server in marked if self._delete(server.id)])

    def _find_ours(self, request: calls.ServerRequest) -> calls.Server | None:
        found = calls.servers_named(self._cloud, request.name)
        foreign = [server.id for server in found if server.mark != request.mark]
        if foreign:
            raise ActionRequired(
                f"A server named {request.name} exists already ({', '.join(foreign)}) and was not made by "
                "this deployment. Remove or rename it, or use another hostname in resource_pool."
            )
        ours = [server for server in found if server.mark == request.mark]
        if any(server.is_going for server in ours):
            raise TryAgainLater(f"The former server {request.name} is still being deleted.")
        if len(ours) > 1:
            ids = ", ".join(server.id for server in ours)
            raise ActionRequired(f"There is more than one server {request.name} of this deployment: {ids}.")
        return ours[0] if ours else None

    def _wait_until_active(self, server_id: str, name: str) -> calls.Server:
        def look() -> calls.Server | None:
            server = calls.find_server(self._cloud, server_id)
            if server is None:
                raise ActionRequired(
                    f"The server {name} ({server_id}) was deleted by somebody while it was built."
                )
            if server.status == calls.ERROR:
                raise ActionRequired(
                    f"The cloud could not build the server {name} ({server_id}): "
                    f"{server.fault or 'no reason given'}"
                )
            return server if server.status == calls.ACTIVE else None

        return self._wait(look, f"the server {name} ({server_id}) to be built", self._patience.build_seconds)

    def _delete(self, server_id: str) -> bool:
        there = calls.delete_server(self._cloud, server_id)
        if there:
            self._logger.info("Deleting the server %s", server_id)
            self._wait(
                lambda: calls.find_server(self._cloud, server_id) is None,
                f"the server {server_id} to be deleted",
                self._patience.delete_seconds,
            )
        return there

    def _wait(self, look: Callable[[], Found | None], what: str, seconds: float) -> Found:
        return wait_for(
            look,
            what,
            wait_seconds=seconds,
            interval_seconds=self._patience.interval_seconds,
            clock=self._clock,
        )


def _label(text: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")
