"""Brokers: RabbitMQ nodes and their clusters.

A broker begins as a cluster of its own and joins another one. Its cluster keeps the names of all
who joined until they are removed; a node that comes again with an old name and a new disk is not
the one that is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.manager.five.errors import ClusteringError, ProcessExecutionError
from lab.manager.host import Machine, Settings


@dataclass(eq=False)
class Broker:
    """A broker on the disk of one machine.

    Attributes:
        name: `rabbit@HOST`.
        address: Where its own configuration says that it listens; what its certificate must cover.
        members: `rabbitmq.cluster_members`: name -> network -> address.
        authority: The CA its certificate is from, in DER; empty for one it made itself.
        covered: Whether its certificate covers its address.
        running: False from the machine's death, or the service's stop, to the next start.
        off_since: When it stopped; None while it runs.
    """

    machine: Machine
    name: str
    address: str
    cookie: str = field(repr=False)
    username: str
    password: str = field(repr=False)
    members: dict[str, dict[str, str]]
    authority: bytes
    covered: bool = True
    running: bool = True
    off_since: float | None = None

    def __post_init__(self) -> None:
        self.cluster = BrokerCluster(self)

    @property
    def known(self) -> bool:
        """Whether its cluster still counts it in; one that was removed does not start any more."""
        return self.cluster.members.get(self.name) is self

    def power_off(self) -> None:
        """It stops."""
        if self.running:
            self.running, self.off_since = False, self.machine.clock.now()

    def power_on(self) -> None:
        """It starts again, unless its cluster has removed it meanwhile."""
        if self.known:
            self.running, self.off_since = True, None

    def seen_running(self, viewer: Broker) -> bool:
        """Whether another broker counts it as running: a death shows `broker_linger_seconds` later."""
        if self.running:
            return viewer is self or viewer.machine.reachable_by_peer(self.machine)
        lingers = Settings.of(self.machine).broker_linger_seconds
        return self.off_since is not None and self.machine.clock.now() - self.off_since < lingers


class BrokerCluster:
    """The members by name, also those that are gone and have not been removed."""

    def __init__(self, first: Broker) -> None:
        self.members: dict[str, Broker] = {first.name: first}


def find(machine: Machine, address: str) -> Broker | None:
    """The broker at an address, running or not; None when the machine cannot be reached."""
    if address in (machine.ip, machine.public_ip, machine.hostname, "localhost", "127.0.0.1"):
        return machine.backing.broker
    other = machine.find_peer(address)
    if other is None or not machine.reachable_by_peer(other):
        return None
    found: Broker | None = other.backing.broker
    return found


def join(broker: Broker, node: str, address: str | None) -> None:
    """`rabbitmqctl join_cluster NODE`.

    Args:
        node: `rabbit@HOST`.
        address: Of the host; None when it does not resolve.

    Raises:
        ProcessExecutionError: rabbitmqctl refuses.
        ClusteringError: The broker is there, but stopped.
    """
    target = None if address is None else find(broker.machine, address)
    if target is None or target.name != node:
        raise _refused(
            node,
            f"Error: unable to perform an operation on node '{node}'. Please see diagnostics information "
            "and suggestions below",
        )
    if not target.running:
        raise ClusteringError(
            f"Rabbit does not appear to be running on {node}. You may need to start rabbit on that node, or "
            "restart that node."
        )
    if target.cookie != broker.cookie:
        raise _refused(
            node,
            f"Error: unable to perform an operation on node '{node}'. * TCP connection succeeded but Erlang "
            "distribution failed * suggestion: check if the Erlang cookie is identical for all server nodes "
            "and CLI tools: Authentication failed (rejected by the remote node)",
        )
    cluster = target.cluster
    if broker.cluster is cluster:
        return
    if broker.name in cluster.members:
        raise _refused(
            node,
            f"Error:\n{{:inconsistent_cluster, \"Node '{node}' thinks it's clustered with node "
            f"'{broker.name}', but '{broker.name}' disagrees\"}}",
        )
    cluster.members[broker.name] = broker
    broker.cluster = cluster
    # What it had of its own is reset: users come from the cluster.
    broker.username, broker.password = target.username, target.password


def _refused(node: str, words: str) -> ProcessExecutionError:
    return ProcessExecutionError.of(["rabbitmqctl", "join_cluster", node], words)
