"""A fleet that is simulated: a Tier 2 in memory, and one process whose greeting answers for all machines."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cmom.clients.tier2 import Deployments, Instance, Node
from cmom.monitor.tier2 import (
    ClusterKey,
    Deployment,
    Execution,
    Inventory,
    Order,
    Outcome,
    Running,
    StartRefused,
    Ticket,
)
from cmom.services.deployed import CLUSTER_TYPE, MANAGER_TYPE

GREETING = b"SSH-2.0-OpenSSH_7.4\r\n"
CLUSTER_OF = 3
_GROUPS = {
    "heal_group": {
        "members": ["manager"],
        "policies": {
            "host_failure_policy": {
                "type": "cloudify.policies.types.host_failure",
                "properties": {"interval_between_workflows": 600},
                "triggers": {
                    "heal_trigger": {
                        "type": "cloudify.policies.triggers.execute_workflow",
                        "parameters": {
                            "workflow": "heal_tier1_manager",
                            "workflow_parameters": {
                                "node_instance_id": {"get_property": ["SELF", "node_id"]},
                                "diagnose_value": {"get_property": ["SELF", "diagnose"]},
                            },
                        },
                    }
                },
            }
        },
    }
}


class MemoryTier2:
    """A Tier 2 that has clusters of three, every member on a loopback address of its own.

    Args:
        members: How many members in all.
        ssh_port: Where the greeting is.
        interval_seconds: Between two heartbeats.
    """

    def __init__(self, members: int, ssh_port: int, interval_seconds: float) -> None:
        self._members = members
        self._ssh_port = ssh_port
        self._interval_seconds = interval_seconds

    def read(self) -> Inventory:
        """Make everything anew, as a reading over REST does."""
        starts = range(0, self._members, CLUSTER_OF)
        return Inventory(tuple(self._deployment(start) for start in starts))

    def _deployment(self, start: int) -> Deployment:
        numbers = range(start, min(start + CLUSTER_OF, self._members))
        settings = {"heartbeat_interval": self._interval_seconds, "rest_port": 443}
        return Deployment(
            ClusterKey("default_tenant", f"tier1-{start // CLUSTER_OF:05}"),
            _GROUPS,
            (
                Node("cloudify_cluster", ("cloudify.nodes.Root", CLUSTER_TYPE), settings),
                Node("manager", ("cloudify.nodes.Root", MANAGER_TYPE), {"ssh_port": self._ssh_port}),
            ),
            (
                Instance(f"cluster_{start}", "cloudify_cluster", "started", {}),
                *(Instance(f"manager_{one:06x}", "manager", "started", _host(one)) for one in numbers),
            ),
        )

    def deployments(self, tenant: str) -> Deployments:
        """Nobody is suspect, so nobody asks."""
        raise NotImplementedError

    def executions(self, key: ClusterKey) -> tuple[Execution, ...]:
        """Nothing was ever run."""
        return ()

    def running(self, key: ClusterKey, workflow_id: str) -> Running:
        """Nothing runs."""
        return Running()

    def start(self, key: ClusterKey, order: Order) -> Ticket:
        """Refuse."""
        raise StartRefused("benchmark", "Nothing is started in a benchmark.")

    def outcome(self, ticket: Ticket) -> Outcome | None:
        """Nothing was started."""
        return None

    def close(self) -> None:
        """There is nothing to close."""


def _host(number: int) -> dict[str, Any]:
    ip = f"127.{100 + number // 65024}.{number // 254 % 256}.{1 + number % 254}"
    return {"ip": ip, "public_ip": ip, "hostname": f"m{number}"}


@contextmanager
def greeter() -> Iterator[int]:
    """Run the process that greets on all loopback addresses; gives its port."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.monitor.fleet"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def greet() -> None:
    """Greet whoever comes, and close: as little work as possible, for it is not what is measured."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen(4096)
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            connection.send(GREETING)
            connection.close()


if __name__ == "__main__":
    greet()
