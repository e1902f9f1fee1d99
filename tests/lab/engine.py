"""Cloudify's own engine inside the test: quicker than a ``cfy`` process, and its storage is in memory."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from cloudify.workflows import local, tasks
from dsl_parser.import_resolver.default_import_resolver import DefaultImportResolver
from dsl_parser.parser import parse_from_path

from lab.local_profile import LocalProfile

THREADS = 8


_plans: dict[tuple[str, str, str], bytes] = {}


def parsed(path: Path, resolver: DefaultImportResolver) -> Any:
    """Parse a blueprint of a staged profile; one of the same content is not parsed a second time.

    That is most of the time a run takes, and a plan holds nothing of the folder that it was parsed in.
    """
    digest = hashlib.sha256()
    for file in sorted(path.parent.rglob("*.yaml")):
        digest.update(f"{file.relative_to(path.parent)}\0".encode() + file.read_bytes() + b"\0")
    key = path.name, digest.hexdigest(), json.dumps(resolver.rules)
    if key not in _plans:
        # The parser looks for imports in the working folder before it looks beside the blueprint.
        with working_in(path.parent):
            _plans[key] = pickle.dumps(parse_from_path(str(path), resolver=resolver))
    return pickle.loads(_plans[key])


class _Storage(local.InMemoryStorage):  # type: ignore[misc]
    """Remembers parsed blueprints from one test to the next."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def get_workdir(self, deployment_id: str) -> str:
        folder = self._folder / deployment_id
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def create_blueprint(
        self, name: str, blueprint_path: str, provider_context: Any = None, resolver: Any = None, **_: Any
    ) -> None:
        path = Path(blueprint_path)
        blueprint = {
            "id": name,
            "plan": parsed(path, resolver),
            "resources": str(path.parent),
            "blueprint_filename": path.name,
            "blueprint_path": blueprint_path,
            "provider_context": provider_context or {},
        }
        self.store_blueprint(name, blueprint)


class Engine:
    """One deployment of one blueprint of a staged profile.

    Args:
        profile: The profile.
        blueprint: Its file.
        inputs: Of the deployment.
        longest_pause_seconds: Operations ask for a pause before their next try; no pause is longer than this.
    """

    def __init__(
        self,
        profile: LocalProfile,
        blueprint: str,
        inputs: dict[str, Any],
        longest_pause_seconds: float = float("inf"),
    ) -> None:
        self._longest_pause_seconds = longest_pause_seconds
        self._environment = local.init_env(
            str(profile.blueprint_folder / blueprint),
            name="cluster",
            inputs=inputs,
            storage=_Storage(profile.folder / "work"),
            resolver=resolver(profile),
        )

    def run(self, workflow: str, task_retries: int = 20, **parameters: Any) -> None:
        """Run a workflow; raises what the engine raises when it fails."""
        with shorter_pauses(self._longest_pause_seconds):
            self._environment.execute(
                workflow,
                parameters=parameters or None,
                task_retries=task_retries,
                task_retry_interval=0,
                task_thread_pool_size=THREADS,
                allow_custom_parameters=True,
            )

    def instances(self, node_id: str) -> list[dict[str, Any]]:
        """Return the instances of a node."""
        found: list[dict[str, Any]] = self._environment.storage.get_node_instances(node_id)
        return found

    def forget(self, instance_id: str, state: str) -> None:
        """Leave an instance as an operation that was killed leaves it: nothing recorded."""
        self._environment.storage.update_node_instance(
            instance_id, version=0, runtime_properties={}, state=state, force=True
        )

    def properties(self, node_id: str) -> list[dict[str, Any]]:
        """Return the runtime properties of a node's instances."""
        return [instance["runtime_properties"] for instance in self.instances(node_id)]


@contextmanager
def shorter_pauses(seconds: float) -> Iterator[None]:
    """Let the engine wait no longer than so many seconds before it tries an operation again."""
    duplicate = tasks.WorkflowTask.duplicate_for_retry

    def sooner(task: Any, execute_after: float) -> Any:
        return duplicate(task, min(execute_after, time.time() + seconds))

    with mock.patch.object(tasks.WorkflowTask, "duplicate_for_retry", sooner):
        yield


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Make a folder the working folder for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def resolver(profile: LocalProfile) -> DefaultImportResolver:
    """Return the resolver that ``cfy`` would use in this profile."""
    config = yaml.safe_load((profile.folder / "state" / ".cloudify" / "config.yaml").read_text())
    return DefaultImportResolver(rules=config["import_resolver"]["parameters"]["rules"])
