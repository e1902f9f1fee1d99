"""What Tier 2 knows of its deployments, read and never changed: through its REST service, or from the local
profile.

Whoever asks does not know which of the two it got.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cloudify_rest_client.client import CloudifyClient

from cmom.clients.local_files import open_file
from cmom.clients.rest_errors import NOT_FOUND, Conversation, reading, rest_errors
from cmom.errors import ActionRequired, ManagerRefused, TryAgainLater

_READS = 40
_PAUSE_SECONDS = 0.05
_LONGEST_NAME = 256
_MOST_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Node:
    """A node of a deployment.

    Attributes:
        types: Its type and all that it is derived from.
        properties: As they are in force, functions evaluated; secrets may be among them.
    """

    id: str
    types: tuple[str, ...]
    properties: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Instance:
    """An instance of a node, with what its operations have left on it."""

    id: str
    node_id: str
    state: str
    runtime_properties: Mapping[str, Any] = field(repr=False)


class Deployments(Protocol):
    """The deployments of a Tier 2."""

    def list_nodes(self, deployment_id: str) -> tuple[Node, ...]:
        """List a deployment's nodes.

        Raises:
            ActionRequired: There is no such deployment, or it cannot be read.
            TryAgainLater: Tier 2 does not answer.
        """

    def list_instances(self, deployment_id: str) -> tuple[Instance, ...]:
        """List a deployment's node instances; raises the same."""


class RestDeployments:
    """The deployments of a manager.

    Args:
        client: The REST client of Tier 2, in the tenant where the deployments are.
    """

    def __init__(self, client: CloudifyClient) -> None:
        self._client = client

    def list_nodes(self, deployment_id: str) -> tuple[Node, ...]:
        """See `Deployments.list_nodes`."""
        found = self._ask(
            deployment_id,
            lambda: self._client.nodes.list(
                deployment_id=deployment_id, evaluate_functions=True, _get_all_results=True
            ),
        )
        if not found:
            raise _no_deployment(deployment_id)
        with reading(f"reading the nodes of deployment {deployment_id}", "of Tier 2"):
            return tuple(_node(item, item["id"]) for item in found)

    def list_instances(self, deployment_id: str) -> tuple[Instance, ...]:
        """See `Deployments.list_nodes`."""
        found = self._ask(
            deployment_id,
            lambda: self._client.node_instances.list(deployment_id=deployment_id, _get_all_results=True),
        )
        with reading(f"reading the node instances of deployment {deployment_id}", "of Tier 2"):
            return tuple(_instance(item) for item in found)

    def _ask(self, deployment_id: str, question: Callable[[], Any]) -> list[Mapping[str, Any]]:
        doing = f"reading deployment {deployment_id}"
        try:
            with rest_errors(Conversation(doing, "of Tier 2", "of this execution", "its own CA")):
                return list(question())
        except ManagerRefused as error:
            if error.error_code == NOT_FOUND:
                raise _no_deployment(deployment_id) from error
            raise


class LocalDeployments:
    """The deployments of the local profile of ``cfy``, as its files.

    Nothing locks them, and they are written in place: what is half-written is read again.

    Args:
        folder: Where they lie; by default that of this user's, or of ``CFY_WORKDIR``.
        sleep: For tests.
    """

    def __init__(self, folder: Path | None = None, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._folder = folder or local_profile_folder()
        self._sleep = sleep

    def list_nodes(self, deployment_id: str) -> tuple[Node, ...]:
        """See `Deployments.list_nodes`."""
        plan = self.read_file(self._deployment(deployment_id) / "deployment.json")
        with self.whole(self._deployment(deployment_id) / "deployment.json"):
            return tuple(_node(node, name) for name, node in (plan.get("nodes") or {}).items())

    def list_instances(self, deployment_id: str) -> tuple[Instance, ...]:
        """See `Deployments.list_nodes`."""
        folder = self._deployment(deployment_id) / "node-instances"
        return tuple(self.read_instance(path) for path in sorted(folder.glob("*.json")))

    def read_instance(self, path: Path) -> Instance:
        """Read the file of one node instance; raises what `read_file` raises."""
        content = self.read_file(path)
        with self.whole(path):
            return _instance(content)

    @staticmethod
    @contextmanager
    def whole(path: Path) -> Iterator[None]:
        """Take apart inside what a file holds; one of another shape is not whole.

        Raises:
            TryAgainLater: It is of another shape.
        """
        try:
            yield
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
            raise _not_whole(path) from error

    def _deployment(self, deployment_id: str) -> Path:
        folder = self._folder / deployment_id
        try:
            there = folder.is_dir()
        except (OSError, ValueError):  # too long for a name, or not even text
            there = False
        if "/" in deployment_id or deployment_id in ("", ".", "..") or not there:
            raise _no_deployment(deployment_id[:_LONGEST_NAME])
        return folder

    def read_file(self, path: Path) -> dict[str, Any]:
        """Read a file that holds a mapping, and that somebody may just be writing.

        Raises:
            ActionRequired: It cannot be read.
            TryAgainLater: It stays half-written.
        """
        content = self.read_json(path)
        if isinstance(content, dict):
            return content
        raise _not_whole(path)

    def read_json(self, path: Path) -> Any:
        """Read a file that somebody may just be writing; raises the same."""
        for _ in range(_READS):
            try:
                with open_file(path) as file:
                    content = file.read(_MOST_BYTES + 1)
                if len(content) > _MOST_BYTES:
                    raise OSError(errno.EFBIG, "it is far larger than any plan")
                return json.loads(content.decode("utf-8"))
            except OSError as error:
                raise ActionRequired(
                    f"{path}, where Tier 2 keeps its state, cannot be read: {error.strerror}."
                ) from error
            except (ValueError, RecursionError):
                self._sleep(_PAUSE_SECONDS)
        raise _not_whole(path)


def local_profile_folder() -> Path:
    """Return where the local profile keeps its deployments (`cloudify_cli.env`)."""
    base = os.environ.get("CFY_WORKDIR") or os.path.expanduser("~")
    return Path(base) / ".cloudify" / "profiles" / "local" / "deployments"


def _node(item: Mapping[str, Any], name: object) -> Node:
    return Node(
        str(item.get("id") or name),
        tuple(str(kind) for kind in item.get("type_hierarchy") or ()),
        dict(item.get("properties") or {}),
    )


def _instance(item: Mapping[str, Any]) -> Instance:
    return Instance(
        id=str(item["id"]),
        node_id=str(item.get("node_id") or ""),
        state=str(item.get("state") or "uninitialized"),
        runtime_properties=dict(item.get("runtime_properties") or {}),
    )


def _no_deployment(deployment_id: str) -> ActionRequired:
    return ActionRequired(f"Tier 2 has no deployment {deployment_id}.")


def _not_whole(path: Path) -> TryAgainLater:
    return TryAgainLater(
        f"{path}, where Tier 2 keeps its state, is not whole. If nothing runs that could be writing it, the "
        "deployment was damaged when a process was killed."
    )
