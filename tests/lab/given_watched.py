"""Clusters on the lab's machines that a monitor watches, and a local profile that knows them.

The profile's files are as ``cfy`` leaves them, but were not made by it; and what the monitor starts is a
small program in the place of ``cfy`` that notes how it was called. The scenarios have the real one.
"""

from __future__ import annotations

import fcntl
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cmom.services.deployed import CLUSTER_TYPE, MANAGER_TYPE
from lab.clock import RealClock
from lab.machine import Machine
from lab.testing import LabThread
from tests.lab.cluster5 import VERSION
from tests.lab.installed import install_cluster
from tests.lab.rest import shared_ca
from tests.unit.cmom.monitor.given_fleet import groups

PASSWORD = "canary-watched-password"
GENERATION4 = "4.6.0"
GENERATION5 = VERSION
INTERVAL = 0.2
# Small, but a busy machine is late by more than that only now and then; and then the silence does not count.
TIMES = {"suspect_seconds": 0.6, "failed_seconds": 1.5, "recover_seconds": 0.6, "grace_seconds": 0.2}
PATIENCE_SECONDS = 90.0

_CFY = """#!{python}
import fcntl, json, os, sys, time
words = sys.argv[1:]
workflow, deployment, path = words[2], words[words.index("-b") + 1], words[words.index("-p") + 1]
folder = os.path.join(os.environ["CFY_WORKDIR"], ".cloudify/profiles/local/deployments", deployment)
with open(path) as file:
    parameters = json.load(file)
call = {{"words": words, "parameters": parameters, "mode": oct(os.stat(path).st_mode & 0o777)}}
with open({calls!r}, "a") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    file.write(json.dumps(call) + "\\n")
lock = open(os.path.join(folder, "workdir", "heal.lock"), "w")
fcntl.flock(lock, fcntl.LOCK_EX)
executions = os.path.join(folder, "executions.json")
known = json.load(open(executions)) if os.path.exists(executions) else []
known.append({{
    "id": str(len(known)), "workflow_id": workflow, "status": "pending", "parameters": parameters,
    "created_at": {{"__datetime__": time.mktime(time.gmtime())}},
}})
with open(executions + ".new", "w") as file:
    json.dump(known, file)
os.rename(executions + ".new", executions)
deadline = time.time() + 120
while os.path.exists({hold!r}) and time.time() < deadline:
    time.sleep(0.05)
sys.exit(1 if os.path.exists({fail!r}) else 0)
"""


@dataclass
class Cluster:
    """One cluster on some of the machines."""

    name: str
    machines: Sequence[Machine]
    folder: Path

    def instance_of(self, machine: Machine) -> str:
        """The ID of a manager's node instance."""
        return f"manager_{machine.name}"

    def change(self, instance_id: str, **changes: Any) -> None:
        """Change a node instance."""
        path = self.folder / "node-instances" / f"{instance_id}.json"
        stored = json.loads(path.read_text())
        aside = path.with_suffix(".new")
        aside.write_text(json.dumps({**stored, **changes}))
        aside.rename(path)

    def remember_heal(self, instance_id: str, seconds_ago: float) -> None:
        """Write a heal into the list of executions."""
        parameters = {"node_instance_id": instance_id, "diagnose_value": "x"}
        entry = {"id": "old", "workflow_id": "heal_tier1_manager", "parameters": parameters}
        # The time in UTC as if it were local, as cfy writes it.
        created = {"__datetime__": time.mktime(time.gmtime(time.time() - seconds_ago))}
        (self.folder / "executions.json").write_text(json.dumps([{**entry, "created_at": created}]))


class Watched:
    """Machines with clusters on them, and the profile that knows these.

    Args:
        folder: For all of it.
        sizes: How many members each cluster has.
        versions: Of the managers of each; the last one counts for all that follow.
        settings: More properties of the clusters' nodes.
        policy: Other properties of the policy.
    """

    def __init__(
        self,
        folder: Path,
        sizes: Sequence[int] = (3,),
        policy: Any = None,
        versions: Sequence[str] = (GENERATION4,),
        **settings: Any,
    ) -> None:
        self.lab = LabThread(folder / "lab", machines=sum(sizes), clock=RealClock(), sandbox="interpreter")
        self.workdir = folder / "tier2"
        self.deployments = self.workdir / ".cloudify" / "profiles" / "local" / "deployments"
        self._calls, self._hold, self._fail = (folder / name for name in ("calls", "hold", "fail"))
        self._sizes, self._policy, self._settings = sizes, policy or {}, settings
        self._versions = [*versions, *versions[-1:] * len(sizes)][: len(sizes)]
        self._folder = folder
        self.clusters: list[Cluster] = []

    def __enter__(self) -> Watched:
        self.lab.__enter__()
        try:
            self._set_up()
        except BaseException:
            self.lab.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        self.finish_heals()
        self.lab.__exit__(None, None, None)

    def _set_up(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.cfy = self._folder / "cfy"
        names = {"calls": str(self._calls), "hold": str(self._hold), "fail": str(self._fail)}
        self.cfy.write_text(_CFY.format(python=sys.executable, **names))
        self.cfy.chmod(0o755)
        machines = list(self.lab.machines)
        for number, (size, version) in enumerate(zip(self._sizes, self._versions, strict=True)):
            own, machines = machines[:size], machines[size:]
            install_cluster(self.lab, own, version, PASSWORD)
            self.clusters.append(self._write_profile(f"cluster{number}", own, version))

    def _write_profile(self, name: str, machines: Sequence[Machine], version: str) -> Cluster:
        folder = self.deployments / name
        (folder / "node-instances").mkdir(parents=True)
        (folder / "workdir").mkdir()
        access = {
            "ca_cert": str(shared_ca()[0]),
            "rest_port": machines[0].rest_port,
            "manager_admin_username": "admin",
            "manager_admin_password": PASSWORD,
        }
        nodes = {
            "cloudify_cluster": (CLUSTER_TYPE, {**access, "heartbeat_interval": INTERVAL, **self._settings}),
            "manager": (MANAGER_TYPE, {**access, "ssh_port": machines[0].ssh_port}),
            "host": ("cloudify.nodes.cmom.ExistingHost", {}),
        }
        content = {
            "id": name,
            "inputs": {},
            "plan": {"groups": groups(**self._policy), "inputs": {}},
            "nodes": {
                node: {"id": node, "type_hierarchy": ["cloudify.nodes.Root", kind], "properties": properties}
                for node, (kind, properties) in nodes.items()
            },
        }
        (folder / "deployment.json").write_text(json.dumps(content))
        cluster = Cluster(name, machines, folder)
        self._write_instance(folder, "cloudify_cluster_1", "cloudify_cluster", {})
        for machine in machines:
            known = {"ip": machine.ip, "public_ip": machine.public_ip, "hostname": machine.hostname}
            self._write_instance(
                folder, cluster.instance_of(machine), "manager", {**known, "manager_version": version}
            )
        return cluster

    @staticmethod
    def _write_instance(folder: Path, name: str, node_id: str, properties: dict[str, Any]) -> None:
        stored = {"id": name, "node_id": node_id, "state": "started", "runtime_properties": properties}
        (folder / "node-instances" / f"{name}.json").write_text(json.dumps(stored))

    def config(self, **changes: Any) -> dict[str, Any]:
        """The configuration of a monitor of this profile; sections replace each other's keys."""
        given: dict[str, dict[str, Any]] = {
            "tier2": {
                "kind": "local",
                "workdir": str(self.workdir),
                "cfy": str(self.cfy),
                "refresh_seconds": 0.3,
            },
            "heartbeat": {"timeout_seconds": 0.5, "rest_interval_seconds": 0.5},
            "verdict": dict(TIMES),
            "web": {"port": 0},
        }
        for section, content in changes.items():
            given[section] = {**given.get(section, {}), **content}
        return given

    def write_config(self, **changes: Any) -> Path:
        """The same as a file."""
        path = self._folder / "monitor.yaml"
        path.write_text(yaml.safe_dump(self.config(**changes)))
        return path

    def hold_heals(self) -> None:
        """Let heals go on until they are told to finish."""
        self._hold.touch()

    def finish_heals(self, *, badly: bool = False) -> None:
        """Let them end."""
        if badly:
            self._fail.touch()
        self._hold.unlink(missing_ok=True)

    @property
    def heals(self) -> list[dict[str, Any]]:
        """How the program in the place of ``cfy`` was called, each time."""
        with suppress(FileNotFoundError), self._calls.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return [json.loads(line) for line in file]
        return []


def eventually(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true in {seconds:.0f} s"
        time.sleep(0.05)
    return found
