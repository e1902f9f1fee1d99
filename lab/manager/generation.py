"""What differs between the versions of a manager, as values.

Everything that only depends on the version is decided by these; what is another implementation
(the routes that exist, the shape of the status, the upload of a blueprint) lies in
`generation4` and `generation5`; `urls` chooses between them.
"""

from __future__ import annotations

from dataclasses import dataclass


def parse_version(version: str) -> tuple[int, int, int]:
    """`4.6.0` or `4.6` -> (4, 6, 0)."""
    numbers = [int(part) for part in version.split("-")[0].split(".")[:3] if part.isdigit()]
    numbers += [0] * (3 - len(numbers))
    return numbers[0], numbers[1], numbers[2]


@dataclass(frozen=True)
class Traits:
    """What a version can do and how it does it.

    Attributes:
        generation: 4 (a leader and replicas) or 5 (all active).
        unit_ids: services in the status name their unit.
        page_size: how many entries a page has at most; None for without limit.
        execution_times: executions carry `started_at`, `ended_at` and `status_display`.
        queue, dry_run, kill, schedule: what executions know; what they do not know they ignore,
            only `kill` is refused.
        deletes_deployments_first: a deployment is gone before its deletion's execution ends.
        installs_plugins_first: a plugin upload answers after its installation.
        leaves_pending_restore: a restore that is refused because something runs stays behind as
            a `pending` execution.
        blueprint_states: blueprints are uploaded asynchronously and have a `state` (5.2).
        blueprint_form: parameters of an upload are read from its form (7.0), not from the query.
        environments_first: a deployment's creation answers when its environment is there, and a
            restore does not have to say whether environments are to be made anew (6.0).
        node_failures: nodes of the cluster's status say what is wrong with them (6.4).
        requests_per_second, request_burst: nginx's limit per client address; None without (before 7.0.1).
    """

    generation: int
    unit_ids: bool
    page_size: int | None
    execution_times: bool
    queue: bool
    dry_run: bool
    kill: bool
    schedule: bool
    deletes_deployments_first: bool
    installs_plugins_first: bool
    leaves_pending_restore: bool
    blueprint_states: bool
    blueprint_form: bool
    environments_first: bool
    node_failures: bool
    requests_per_second: float | None
    request_burst: int


def traits_of(version: str) -> Traits:
    """The traits of a version, e.g. of `4.6.0`."""
    number = parse_version(version)
    modern = number >= (5, 0, 0)
    return Traits(
        generation=5 if modern else 4,
        unit_ids=number >= (4, 4, 0),
        page_size=1000 if number >= (4, 4, 0) else None,
        execution_times=number >= (4, 4, 0),
        queue=number >= (4, 5, 0),
        dry_run=number >= (4, 4, 0),
        kill=number >= (4, 4, 0),
        schedule=number >= (4, 5, 5),
        deletes_deployments_first=number < (4, 6, 0),
        installs_plugins_first=number < (4, 6, 0),
        leaves_pending_restore=modern,
        blueprint_states=number >= (5, 2, 0),
        blueprint_form=number >= (7, 0, 0),
        environments_first=number >= (6, 0, 0),
        node_failures=number >= (6, 4, 0),
        requests_per_second=10.0 if number >= (7, 0, 1) else None,
        request_burst=30,
    )
