"""A Tier 2 without a manager: the local profile of ``cfy``, its files, and ``cfy`` itself to run workflows.

Nothing locks the files, and they are written in place: what is half-written is read again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cmom_meta.clients.local_runs import LocalRuns
from cmom_meta.errors import ActionRequired, TryAgainLater
from cmom_meta.models import CLUSTER_TYPE, Cluster, Order, Run, State

_READS = 40
_PAUSE_SECONDS = 0.05


class LocalTier2:
    """The deployments of the local profile.

    Args:
        deployments: The folder where they lie.
        runs: Where the files of what is run go, and which ``cfy`` runs it.
        sleep: For tests.
    """

    def __init__(
        self, deployments: Path, runs: LocalRuns, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._deployments = deployments
        self._runs = runs
        self._sleep = sleep

    @property
    def most_at_once(self) -> int | None:
        """See `Tier2.most_at_once`. Each is a process that needs a processor to itself."""
        return max(2, os.cpu_count() or 2)

    def existing(self, deployment_ids: Collection[str]) -> frozenset[str]:
        """See `Tier2.existing`."""
        return frozenset(name for name in deployment_ids if self._is_there(name))

    def clusters(self, deployment_ids: Collection[str]) -> Mapping[str, Cluster]:
        """See `Tier2.clusters`."""
        found = {name: self._whole(name) for name in deployment_ids if self._is_there(name)}
        return {name: cluster for name, cluster in found.items() if cluster is not None}

    def _whole(self, name: str) -> Cluster | None:
        """Read a cluster. One that was damaged costs the others nothing: whoever asks it hears why."""
        try:
            return self._cluster(name)
        except (TryAgainLater, LookupError, TypeError, AttributeError, ValueError, RecursionError):
            return Cluster(name, {})

    def labelled(self, rules: Sequence[str]) -> tuple[str, ...]:
        """See `Tier2.labelled`."""
        raise ActionRequired(
            "label_selector is set, but the local profile of cfy knows no labels: attach the deployments "
            "with add_deployment."
        )

    def start(self, deployment_id: str, order: Order) -> Run:
        """See `Tier2.start`."""
        return self._runs.start(self._deployments / deployment_id / "workdir", deployment_id, order)

    def states(self, runs: Iterable[Run]) -> Mapping[str, State]:
        """See `Tier2.states`."""
        return {run.id: self._runs.state(run.id) for run in runs}

    def abandon(self, run: Run) -> None:
        """See `Tier2.abandon`. Its process is ended: nobody would take up what it finds."""
        self._runs.end(run.id)

    def close(self) -> None:
        """See `Tier2.close`."""
        self._runs.close()

    def _is_there(self, name: str) -> bool:
        inside = name not in ("", ".", "..") and "/" not in name
        try:
            return inside and (self._deployments / name / "deployment.json").is_file()
        except (OSError, ValueError):  # too long for a name, or not even text
            return False

    def _cluster(self, name: str) -> Cluster | None:
        folder = self._deployments / name
        nodes = self._read(folder / "deployment.json").get("nodes") or {}
        ours = {
            str(node.get("id") or key)
            for key, node in nodes.items()
            if CLUSTER_TYPE in (node.get("type_hierarchy") or ())
        }
        if not ours:
            return None
        for path in sorted((folder / "node-instances").glob("*.json")):
            instance = self._read(path)
            if str(instance.get("node_id")) in ours:
                return Cluster(name, dict(instance.get("runtime_properties") or {}))
        return None

    def _read(self, path: Path) -> dict[str, Any]:
        for _ in range(_READS):
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except OSError as error:
                raise ActionRequired(f"{path} cannot be read: {error.strerror}.") from error
            except (ValueError, RecursionError):
                self._sleep(_PAUSE_SECONDS)
                continue
            if isinstance(content, dict):
                return content
            break
        raise TryAgainLater(
            f"{path}, where Tier 2 keeps its state, is not whole. If nothing runs that could be writing it, "
            "the deployment was damaged when a process was killed."
        )
