"""A Tier 2 without a manager: the files of the local profile of ``cfy``, and ``cfy`` to start workflows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from cmom.clients.tier2 import Deployments, Instance, LocalDeployments, Node
from cmom.errors import ActionRequired, CmomError, TryAgainLater
from cmom.monitor.config import LocalTier2
from cmom.monitor.local_runs import LocalRuns
from cmom.monitor.tier2 import (
    DEFAULT_TENANT,
    ClusterKey,
    Deployment,
    Execution,
    Inventory,
    Order,
    Outcome,
    Running,
    Ticket,
)
from cmom.services.activity import deployment_folder, is_executing, is_healing
from cmom.services.deployed import CLUSTER_TYPE, MANAGER_TYPE

Content = TypeVar("Content")

_Signature = tuple[int, int, int]


class LocalProfile:
    """The deployments in a local profile.

    What did not change since the last time is not read again.

    Args:
        settings: Which profile.
    """

    def __init__(self, settings: LocalTier2) -> None:
        self._folder = settings.workdir / ".cloudify" / "profiles" / "local" / "deployments"
        self._deployments = LocalDeployments(self._folder)
        self._runs = LocalRuns(settings, self._folder)
        self._plans: dict[Path, tuple[_Signature, _Plan | None]] = {}
        self._instances: dict[Path, tuple[_Signature, Instance]] = {}

    def close(self) -> None:
        """Let go of the workflows that run; they go on."""
        self._runs.close()

    def read(self) -> Inventory:
        """See `Tier2.read`. A deployment that is just being made, or removed, is left out."""
        found, unread = [], {}
        for folder in self._folders():
            try:
                deployment = self._read(folder)
            except FileNotFoundError:
                continue
            except (CmomError, OSError) as error:
                if (folder / "deployment.json").exists():
                    unread[ClusterKey(DEFAULT_TENANT, folder.name)] = str(error)
                continue
            if deployment is not None:
                found.append(deployment)
        self._forget_removed()
        return Inventory(tuple(found), unread)

    def _folders(self) -> Iterator[Path]:
        try:
            yield from sorted(path for path in self._folder.iterdir() if (path / "deployment.json").exists())
        except FileNotFoundError:
            return  # nothing was ever installed
        except OSError as error:
            raise ActionRequired(
                f"{self._folder}, where Tier 2 keeps its deployments, cannot be read: {error.strerror}."
            ) from error

    def _read(self, folder: Path) -> Deployment | None:
        plan = self._plan(folder)
        if plan is None:
            return None
        wanted = {node.id for node in plan.nodes}
        instances = tuple(
            instance
            for path in sorted((folder / "node-instances").glob("*.json"))
            for instance in (self._instance(path),)
            if instance.node_id in wanted
        )
        key = ClusterKey(DEFAULT_TENANT, folder.name)
        return Deployment(key, plan.groups, plan.nodes, instances, plan.inputs)

    def _plan(self, folder: Path) -> _Plan | None:
        path = folder / "deployment.json"
        signature = _signature(path)
        known = self._plans.get(path)
        if known is None or known[0] != signature:
            content = self._deployments.read_file(path)
            with self._deployments.whole(path):
                known = (signature, _Plan.of(content))
            self._plans[path] = known
        return known[1]

    def _instance(self, path: Path) -> Instance:
        signature = _signature(path)
        known = self._instances.get(path)
        if known is None or known[0] != signature:
            known = (signature, self._deployments.read_instance(path))
            self._instances[path] = known
        return known[1]

    def _forget_removed(self) -> None:
        for cache in (self._plans, self._instances):
            for path in [path for path in cache if not path.exists()]:
                cache.pop(path, None)

    def deployments(self, tenant: str) -> Deployments:
        """See `Tier2.deployments`; there is one tenant."""
        return self._deployments

    def executions(self, key: ClusterKey) -> tuple[Execution, ...]:
        """See `Tier2.executions`. Their states cannot be trusted, but when they began can."""
        path = self._folder / key.deployment_id / "executions.json"
        if not path.exists():
            return ()
        try:
            listed = self._deployments.read_json(path)
        except TryAgainLater:
            # `cfy` itself takes a list that stays broken for an empty one, and writes a new one.
            return ()
        found = [
            _execution(item)
            for item in (listed if isinstance(listed, list) else ())
            if isinstance(item, Mapping)
        ]
        return tuple(reversed(found))

    def running(self, key: ClusterKey, workflow_id: str) -> Running:
        """See `Tier2.running`; locks tell."""
        folder = deployment_folder(self._folder, key.deployment_id)
        heal = "in another process" if is_healing(folder) or self._runs.is_starting(key) else ""
        return Running(heal, "in another process" if is_executing(folder) else "")

    def start(self, key: ClusterKey, order: Order) -> Ticket:
        """See `Tier2.start`."""
        return self._runs.start(key, order)

    def outcome(self, ticket: Ticket) -> Outcome | None:
        """See `Tier2.outcome`."""
        return self._runs.outcome(ticket)


class _Plan:
    """What is needed of a deployment's plan, which is many times larger."""

    def __init__(self, groups: Mapping[str, Any], inputs: Mapping[str, Any], nodes: tuple[Node, ...]) -> None:
        self.groups = groups
        self.inputs = inputs
        self.nodes = nodes

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> _Plan | None:
        """Take it out; None for a deployment without a cluster."""
        nodes = tuple(
            Node(
                str(node.get("id") or name),
                tuple(str(kind) for kind in node.get("type_hierarchy") or ()),
                dict(node.get("properties") or {}),
            )
            for name, node in (content.get("nodes") or {}).items()
        )
        wanted = tuple(node for node in nodes if {CLUSTER_TYPE, MANAGER_TYPE} & set(node.types))
        if not any(CLUSTER_TYPE in node.types for node in wanted):
            return None
        plan = content.get("plan") or {}
        inputs = {**(plan.get("inputs") or {}), **(content.get("inputs") or {})}
        return cls(dict(plan.get("groups") or {}), inputs, wanted)


def _signature(path: Path) -> _Signature:
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size, found.st_ino


def _execution(item: Mapping[str, Any]) -> Execution:
    created, parameters = item.get("created_at"), item.get("parameters")
    return Execution(
        str(item.get("id") or ""),
        str(item.get("workflow_id") or ""),
        parameters if isinstance(parameters, Mapping) else {},
        _moment(created.get("__datetime__") if isinstance(created, Mapping) else None),
    )


def _moment(seconds: object) -> datetime | None:
    if not isinstance(seconds, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(seconds).replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError, OSError):  # a time that no clock shows
        return None
