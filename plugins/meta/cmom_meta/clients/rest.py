"""A Tier 2 that is a manager, through its REST service, in the tenant of the meta deployment.

What can be asked for many deployments in one request is asked so. The lists of IDs go into the URL, so
they are cut into pieces that fit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import requests
from cloudify_rest_client.client import CloudifyClient
from cloudify_rest_client.exceptions import CloudifyClientError

from cmom_meta.clients.labels import parse_rule
from cmom_meta.errors import ActionRequired, Busy, TryAgainLater
from cmom_meta.models import CLUSTER_TYPE, Cluster, Order, Outcome, Run, State

# nginx takes 8 KB for the first line of a request; a longest ID is 256 characters.
_URL_CHARACTERS = 3000
_PAGE = 1000
# A million of anything: a Tier 2 that lists more does not come to an end.
_MOST_PAGES = 1000
_ACTIVE = ("pending", "started", "queued", "scheduled", "cancelling", "force_cancelling", "kill_cancelling")
_STATES = {
    "terminated": Outcome.SUCCEEDED,
    "completed": Outcome.SUCCEEDED,
    "failed": Outcome.FAILED,
    "cancelled": Outcome.CANCELLED,
    "pending": Outcome.WAITING,
    "queued": Outcome.WAITING,
    "scheduled": Outcome.WAITING,
}
_EXISTING_RUNNING = "existing_running_execution_error"
_TOO_MANY, _SERVER_ERROR = 429, 500


class RestTier2:
    """The deployments of a manager.

    Args:
        client: The REST client; it must have timeouts.
    """

    def __init__(self, client: CloudifyClient) -> None:
        self._client = client
        self._nodes: dict[str, frozenset[str]] = {}

    @property
    def most_at_once(self) -> int | None:
        """See `Tier2.most_at_once`. What does not run at once waits in the manager's queue."""
        return None

    def existing(self, deployment_ids: Collection[str]) -> frozenset[str]:
        """See `Tier2.existing`."""
        found: set[str] = set()
        with _errors("listing the deployments"):
            for ids in in_pieces(deployment_ids):
                items = self._all(self._client.deployments.list, ["id"], id=ids)
                found.update(str(item["id"]) for item in items)
        return frozenset(found) & frozenset(deployment_ids)

    def clusters(self, deployment_ids: Collection[str]) -> Mapping[str, Cluster]:
        """See `Tier2.clusters`. A cluster of a type that was derived from ours is found, too."""
        found: dict[str, Cluster] = {}
        with _errors("reading the clusters' last status"):
            self._find_nodes(deployment_ids)
            known = [name for name in deployment_ids if self._nodes.get(name)]
            for ids in in_pieces(known):
                items = self._all(
                    self._client.node_instances.list,
                    ["id", "node_id", "deployment_id", "runtime_properties"],
                    deployment_id=ids,
                    node_id=sorted({node_id for name in ids for node_id in self._nodes[name]}),
                )
                for item in items:
                    name = str(item["deployment_id"])
                    if str(item["node_id"]) in self._nodes.get(name, ()):
                        found[name] = Cluster(name, dict(item.get("runtime_properties") or {}))
        return found

    def _find_nodes(self, deployment_ids: Collection[str]) -> None:
        """Find out which node of each deployment is its cluster; that never changes while we look."""
        for ids in in_pieces([name for name in deployment_ids if name not in self._nodes]):
            nodes = self._all(
                self._client.nodes.list, ["id", "deployment_id", "type_hierarchy"], deployment_id=ids
            )
            for name in ids:
                self._nodes[name] = frozenset(
                    str(node["id"])
                    for node in nodes
                    if node["deployment_id"] == name and CLUSTER_TYPE in (node.get("type_hierarchy") or ())
                )

    def labelled(self, rules: Sequence[str]) -> tuple[str, ...]:
        """See `Tier2.labelled`. Generation 5 of Tier 2 has labels."""
        parsed = [parse_rule(rule) for rule in rules]
        with _errors("listing the deployments with the labels of label_selector"):
            items = self._all(self._client.deployments.list, ["id"], filter_rules=parsed)
            return tuple(sorted(str(item["id"]) for item in items))

    def start(self, deployment_id: str, order: Order) -> Run:
        """See `Tier2.start`. That only one runs at a time on a deployment is Tier 2's own rule."""
        doing = f"starting {order.workflow_id} on deployment {deployment_id}"
        try:
            with _errors(doing):
                started = self._client.executions.start(
                    deployment_id,
                    order.workflow_id,
                    parameters=dict(order.parameters),
                    allow_custom_parameters=order.allow_custom_parameters,
                )
                return self._run(deployment_id, str(started["id"]))
        except Busy as busy:
            return self._join(deployment_id, order, busy)

    def states(self, runs: Iterable[Run]) -> Mapping[str, State]:
        """See `Tier2.states`. An execution that is gone has failed as far as anybody can tell."""
        wanted = {run.id for run in runs}
        found: dict[str, State] = {}
        with _errors("asking how the executions are"):
            for ids in in_pieces(wanted):
                items = self._all(self._client.executions.list, ["id", "status", "error"], id=ids)
                for item in items:
                    outcome = _STATES.get(str(item.get("status") or ""), Outcome.RUNNING)
                    found[str(item["id"])] = State(outcome, _last_line(item.get("error")))
        gone = State(Outcome.FAILED, "Its execution is no longer there.")
        return {one: found.get(one, gone) for one in wanted}

    def abandon(self, run: Run) -> None:
        """See `Tier2.abandon`. The execution goes on; who asks next finds it, and waits for it."""

    def close(self) -> None:
        """See `Tier2.close`. The client is whoever's who made it."""

    def _join(self, deployment_id: str, order: Order, busy: Busy) -> Run:
        """Tell which execution is in the way; one that looks for the same is as good as one of our own."""
        with _errors(f"asking what runs on deployment {deployment_id}"):
            running = self._all(
                self._client.executions.list,
                ["id", "workflow_id", "status"],
                deployment_id=[deployment_id],
                status=list(_ACTIVE),
            )
            found = [(str(item["workflow_id"]), str(item["id"])) for item in running]
        for workflow_id, execution_id in found:
            if order.only_looks and workflow_id == order.workflow_id:
                return self._run(deployment_id, execution_id)
        for workflow_id, execution_id in found:
            what = f"{workflow_id} runs on it (execution {execution_id})."
            raise Busy(what, workflow_id, execution_id) from busy
        raise busy

    @staticmethod
    def _run(deployment_id: str, execution_id: str) -> Run:
        return Run(deployment_id, execution_id, f"execution {execution_id}")

    @staticmethod
    def _all(ask: Callable[..., Any], fields: list[str], **filters: Any) -> list[Mapping[str, Any]]:
        """Read all pages of a list."""
        found: list[Mapping[str, Any]] = []
        for _ in range(_MOST_PAGES):
            page = list(ask(_include=fields, _size=_PAGE, _offset=len(found), **filters))
            found += page
            if len(page) < _PAGE:
                return found
        raise LookupError("it lists without end")


def in_pieces(ids: Collection[str]) -> Iterator[list[str]]:
    """Yield all IDs in lists that fit into a URL each."""
    piece: list[str] = []
    length = 0
    for one in sorted(ids):
        needed = len(one) + len("&deployment_id=")
        if piece and length + needed > _URL_CHARACTERS:
            yield piece
            piece, length = [], 0
        piece.append(one)
        length += needed
    if piece:
        yield piece


@contextmanager
def _errors(doing: str) -> Iterator[None]:
    """Say in our words what went wrong with Tier 2."""
    try:
        yield
    except CloudifyClientError as error:
        said = f"{doing[0].upper()}{doing[1:]}: Tier 2 answered {_last_line(error)}"
        if error.error_code == _EXISTING_RUNNING:
            raise Busy(said) from error
        if error.status_code == _TOO_MANY or (error.status_code or 0) >= _SERVER_ERROR:
            raise TryAgainLater(said) from error
        raise ActionRequired(said) from error
    except (requests.RequestException, ValueError) as error:
        raise TryAgainLater(
            f"{doing[0].upper()}{doing[1:]}: Tier 2 does not answer ({type(error).__name__})."
        ) from error
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise TryAgainLater(
            f"{doing[0].upper()}{doing[1:]}: Tier 2 sent an answer of an unexpected shape "
            f"({type(error).__name__})."
        ) from error


def _last_line(error: object) -> str:
    """Return the last line of an error, which is the message of a traceback, at a length that can be read."""
    lines = [line.strip() for line in str(error or "").splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""
