"""`cfy_manager brokers list|add|remove`, on a machine with a broker."""

from __future__ import annotations

from lab.manager.five import broker_run, names
from lab.manager.five.brokers import Broker
from lab.manager.five.configuration import QUEUE, Config
from lab.manager.five.console import Console
from lab.manager.five.prepared import check_prepared, check_supported
from lab.manager.host import Machine

_DEAD = (
    "Broker node status could not be determined. This may mean that the broker cluster has failed. Please "
    "try to recover enough cluster nodes to make a majority be online. If this is not possible, please "
    "contact support."
)


def list_brokers(machine: Machine, console: Console, config: Config) -> int:
    """Print the broker's cluster; returns the exit code."""
    broker = _listed(machine, console, config, "brokers_list")
    if broker is None:
        return 1
    rows: list[dict[str, object]] = [
        {"broker_name": name, "running": one.seen_running(broker), "alarms": ""}
        for name, one in sorted(broker.cluster.members.items())
    ]
    console.table(rows, ("broker_name", "running", "alarms"))
    return 0


def add(machine: Machine, console: Console, config: Config, join_node: str) -> int:
    """Let this machine's broker join the cluster of another; returns the exit code.

    Raises:
        BootstrapError: The other one refuses.
    """
    broker = _listed(machine, console, config, "brokers_add")
    if broker is None:
        return 1
    if len(broker.cluster.members) > 1:
        console.say(
            "MAIN",
            "ERROR",
            "This node is already in a rabbit cluster. The brokers-add command must be run on the node that "
            "is joining the rabbit cluster, not one of the existing members.",
        )
        return 1
    if names.resolve(machine, join_node.rpartition("@")[2]) is None:
        console.say(
            "MAIN",
            "ERROR",
            f'Could not get address for "{join_node}".\nNode must be resolvable by DNS or as a hosts entry.',
        )
        return 1
    broker_run.join(machine, console, broker, join_node)
    return 0


def remove(machine: Machine, console: Console, config: Config, remove_node: str) -> int:
    """Forget a broker that is gone; returns the exit code."""
    broker = _listed(machine, console, config, "brokers_remove")
    if broker is None:
        return 1
    name = broker_run.prefixed(remove_node)
    members = broker.cluster.members
    if name in members and members[name].seen_running(broker):
        console.say(
            "MAIN",
            "ERROR",
            "Broker nodes to be removed must be shut down. If you recently shut down the node, please wait "
            "up to one minute before re-running this command.",
        )
        return 1
    if name not in members:
        console.say(
            "MAIN",
            "ERROR",
            f"Broker node {name} not found in cluster. Valid nodes are: {', '.join(sorted(members))}",
        )
        return 1
    del members[name]
    console.say("MAIN", "INFO", f"Broker {name} removed from cluster.")
    return 0


def _listed(machine: Machine, console: Console, config: Config, command: str) -> Broker | None:
    """This machine's broker, when its own interface answers; otherwise the reason is said."""
    check_prepared(machine, config, command)
    check_supported(machine, command, [QUEUE])
    broker = machine.backing.broker
    host = (config.text("rabbitmq.nodename") or "localhost").rpartition("@")[2]
    asked = config.brokers.get(host, {}).get("default") or host
    if broker is not None and broker.running and broker.covered and asked == broker.address:
        return broker
    if broker is not None and broker.running and broker.covered:
        words = (
            f"Failed to list rabbit nodes. Error was: HTTPSConnectionPool(host='{asked}', port=15671): Max "
            "retries exceeded with url: /api/nodes (Caused by certificate verify failed: IP address "
            f"mismatch, certificate is not valid for '{asked}')"
        )
    else:
        words = broker_run.unlisted(broker) if broker is not None else "Failed to list rabbit nodes."
    console.say("RABBITMQ", "ERROR", words)
    console.say("MAIN", "ERROR", _DEAD)
    return None
