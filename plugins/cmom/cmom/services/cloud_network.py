"""Ports, floating IPs and server groups: made once, found again after any crash, gone when told to go.

The rule is that of `services.cloud`: what carries our mark is ours, whether or not anybody recorded it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from cmom.clients import openstack_calls as calls
from cmom.clients import openstack_network as network
from cmom.clients.openstack import COMPUTE, NETWORK, OpenStack
from cmom.clients.openstack_errors import CloudConflict, path_to
from cmom.clients.openstack_network import FloatingIp, Port, PortRequest
from cmom.errors import ActionRequired

_PLACES = {
    "port": (NETWORK, "ports"),
    "floating IP": (NETWORK, "floatingips"),
    "server group": (COMPUTE, "os-server-groups"),
}


class NetworkKeeper:
    """Makes, finds and removes what servers are plugged into.

    Args:
        cloud: Where.
        logger: Told what is done.
    """

    def __init__(self, cloud: OpenStack, logger: logging.Logger) -> None:
        self._cloud = cloud
        self._logger = logger

    def ensure_port(self, request: PortRequest, recorded: str = "") -> Port:
        """Make a port, or take over the one that a former try left.

        Args:
            recorded: The ID that a former try stored, if any.

        Raises:
            ActionRequired: The address is somebody else's, or neutron refuses for another reason.
        """
        there = network.find_port(self._cloud, recorded) if recorded else None
        there = there or self._find_port(request)
        if there is not None:
            self._logger.info("The port %s is there already and is ours: %s", request.name, there.id)
            return there
        try:
            port = network.create_port(self._cloud, request)
        except CloudConflict as error:
            # A former try of ours may have come late; nothing else here passes by itself.
            late = self._find_port(request)
            if late is not None:
                return late
            raise ActionRequired(f"{error}{self._holder(request)}") from None
        self._logger.info("The port %s is made: %s, %s", request.name, port.id, ", ".join(port.addresses))
        return port

    def ensure_no_port(self, recorded: str, name: str, mark: str) -> bool:
        """Delete a port, recorded or not; one that is gone already is as good.

        Returns:
            Whether there was anything to delete.
        """
        found = {recorded} if recorded else set()
        if name and mark:
            found |= {port.id for port in network.ports_named(self._cloud, name, mark)}
        return self._delete("port", found)

    def ensure_floating_ip(
        self, network_name_or_id: str, name: str, mark: str, recorded: str = ""
    ) -> FloatingIp:
        """Make a floating IP, or take over the one that a former try left.

        Args:
            network_name_or_id: The external network, input ``os_floating_network``.
            name: Of the machine that it is for.
        """
        description = floating_ip_mark(mark, name)
        there = network.find_floating_ip(self._cloud, recorded) if recorded else None
        there = there or next(iter(network.floating_ips_described(self._cloud, description)), None)
        if there is not None:
            self._logger.info("The floating IP %s is there already and is ours: %s", there.address, there.id)
            return there
        network_id = network.network_id(self._cloud, network_name_or_id, "os_floating_network")
        made = network.create_floating_ip(self._cloud, network_id, description)
        self._logger.info("The floating IP %s is made: %s", made.address, made.id)
        return made

    def ensure_no_floating_ip(self, recorded: str, name: str, mark: str) -> bool:
        """Delete a floating IP, recorded or not; see `ensure_no_port`."""
        found = {recorded} if recorded else set()
        if name and mark:
            description = floating_ip_mark(mark, name)
            found |= {one.id for one in network.floating_ips_described(self._cloud, description)}
        return self._delete("floating IP", found)

    def ensure_server_group(self, mark: str, policy: str, recorded: str = "") -> str:
        """Make the installation's server group, or take over the one that is there; returns its ID."""
        there = calls.server_groups_named(self._cloud, mark)
        if there:
            group_id = recorded if recorded in there else there[0]
            self._logger.info("The server group is there already and is ours: %s", group_id)
            return group_id
        group_id = calls.create_server_group(self._cloud, mark, policy)
        self._logger.info("The server group is made: %s, %s", group_id, policy)
        return group_id

    def ensure_no_server_group(self, recorded: str, mark: str) -> bool:
        """Delete the installation's server group, recorded or not; see `ensure_no_port`."""
        found = {recorded} if recorded else set()
        if mark:
            found |= set(calls.server_groups_named(self._cloud, mark))
        return self._delete("server group", found)

    def sweep(self, mark: str) -> int:
        """Delete every floating IP, port and server group of an installation.

        Returns:
            How many there were.
        """
        what = f"looking for what is left of {mark}"
        # The floating IPs are described one by one, so all of the project's are looked through.
        floating = [
            one.id
            for one in network.floating_ips(self._cloud, what)
            if f"{one.description} ".startswith(f"{mark} ")
        ]
        ports = [port.id for port in network.ports_marked(self._cloud, mark)]
        groups = calls.server_groups_named(self._cloud, mark)
        count = 0
        for kind, ids in (("floating IP", floating), ("port", ports), ("server group", groups)):
            for thing_id in ids:
                if self._delete(kind, [thing_id]):
                    self._logger.info("The %s %s was made and never recorded: deleted", kind, thing_id)
                    count += 1
        return count

    def _find_port(self, request: PortRequest) -> Port | None:
        """Find the port of this name, mark and address."""
        ports = network.ports_named(self._cloud, request.name, request.mark)
        fitting = (
            port
            for port in ports
            if port.network_id == request.network_id
            and (not request.address or request.address in port.addresses)
        )
        return next(fitting, None)

    def _holder(self, request: PortRequest) -> str:
        """Tell whose the address is, where that can be seen."""
        if not request.address:
            return ""
        for port in network.ports_at(self._cloud, request.network_id, request.address):
            whose = f" ({port.device})" if port.device else ""
            return f" It is the address of the port {port.name or 'without a name'}, {port.id}{whose}."
        return ""

    def _delete(self, kind: str, ids: Iterable[str]) -> bool:
        service, place = _PLACES[kind]
        there = [
            one
            for one in sorted(ids)
            if self._cloud.delete(service, path_to(place, one), f"deleting the {kind} {one}")
        ]
        return bool(there)


def floating_ip_mark(mark: str, name: str) -> str:
    """Return the description of the floating IP of one machine."""
    return f"{mark} {name}"
