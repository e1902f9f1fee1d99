"""The simulated Tier 2 in a process of its own, so that its time and memory are not counted as ours."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from multiprocessing.connection import Connection

from benchmarks.fleet.tier2 import Deployment, ServedTier2, SimulatedTier2, status_of

LAST_KNOWN_AGE = timedelta(hours=3)
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Setting:
    """One measurement.

    Attributes:
        at_once: How many executions Tier 2 runs at the same time; None for any number.
        answer_seconds: How long ``get_status`` of a living cluster takes.
        black_hole_seconds: That of a dead one; None for ever.
        deployment_timeout: The workflow's parameter of that name; so are the others.
    """

    size: int
    at_once: int | None
    answer_seconds: float
    black_hole_seconds: float | None
    max_parallel: int
    deployment_timeout: float
    timeout: float


def deployments(setting: Setting) -> list[Deployment]:
    """Make the fleet: every tenth is black-holed, each with a last known status."""
    before = datetime.now(timezone.utc) - LAST_KNOWN_AGE
    return [
        Deployment(
            f"cluster-{number:04}",
            setting.black_hole_seconds if number % 10 == 0 else setting.answer_seconds,
            properties={"status": status_of("ready", before)},
        )
        for number in range(setting.size)
    ]


def serve(setting: Setting, pipe: Connection) -> None:
    """Be the simulated Tier 2, until the other end of the pipe is closed."""
    with ServedTier2(SimulatedTier2(deployments(setting), at_once=setting.at_once)) as served:
        pipe.send(served.port)
        try:
            pipe.recv()
        except EOFError:
            return


@contextmanager
def simulated(setting: Setting) -> Iterator[int]:
    """Run the simulated Tier 2 in a process of its own; yields its port."""
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=serve, args=(setting, its), daemon=True)
    process.start()
    its.close()
    try:
        if not ours.poll(_START_SECONDS):
            raise TimeoutError("The simulated Tier 2 does not start.")
        yield int(ours.recv())
    finally:
        ours.close()
        process.join(10)
        if process.is_alive():
            process.kill()
