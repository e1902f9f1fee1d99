"""What runs on a deployment in the local profile: told by locks, for its list of executions cannot tell.

There executions of a killed process stay ``pending`` for ever, and nothing keeps two of them apart. So each
process that executes a workflow holds a lock until it ends, however it ends: a heal one that only one process
can hold, every other execution a shared one. Each side sets its own first and looks for the other's then, so
never both go on.

On a manager Tier 2 itself keeps executions apart and lists them; these locks take no part there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cmom.errors import DeadlinePassed, TryAgainLater
from cmom.services.locks import file_lock, grab, is_locked, open_lock

_HEAL, _OTHERS = "heal.lock", "executions.lock"
# Whoever just looks holds a lock for a moment.
_LOOK_SECONDS = 2.0
_held: dict[Path, _Held] = {}
_holding = threading.Lock()


def deployment_folder(deployments: Path, deployment_id: str) -> Path:
    """Return where the locks of a deployment lie: the working folder that Cloudify gives it.

    Args:
        deployments: Where the local profile keeps its deployments (`clients.tier2.local_profile_folder`).
        deployment_id: Which deployment.
    """
    return deployments / deployment_id / "workdir"


def folder_of_plugin(workdir: Path) -> Path:
    """Return the same from the working folder that an operation gets, which is the plugin's below it."""
    return workdir.parent.parent


class AnotherHeal(TryAgainLater):
    """A heal of the deployment runs."""


@dataclass(frozen=True)
class _Held:
    execution_id: str
    descriptor: int


@contextmanager
def healing(folder: Path) -> Iterator[None]:
    """Be the one heal of a deployment.

    Args:
        folder: See `deployment_folder`.

    Raises:
        AnotherHeal: There is one.
    """
    lock = file_lock(folder / _HEAL, "a heal of this deployment", wait_seconds=_LOOK_SECONDS)
    try:
        lock.__enter__()
    except DeadlinePassed as error:
        raise AnotherHeal(f"Another process heals this deployment: it holds {folder / _HEAL}.") from error
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def is_healing(folder: Path) -> bool:
    """Tell whether a heal of the deployment runs, in this process or another."""
    return is_locked(folder / _HEAL, alone=True)


def is_executing(folder: Path) -> bool:
    """Tell whether an execution other than a heal runs in another process."""
    return is_locked(folder / _OTHERS)


def hold(folder: Path, execution_id: str) -> None:
    """Note that this process executes a workflow that is no heal, until it ends or executes another one.

    Raises:
        AnotherHeal: A heal runs.
    """
    path = folder / _OTHERS
    with _holding:
        held = _held.get(path)
        if held is not None and held.execution_id == execution_id:
            return
        _release(path)
        descriptor = open_lock(path)
        # Somebody who just looks may hold it; he goes on in a moment.
        for _ in range(int(_LOOK_SECONDS * 100)):
            if grab(descriptor, shared=True):
                break
            threading.Event().wait(0.01)
        _held[path] = _Held(execution_id, descriptor)
        if is_healing(folder):
            _release(path)
            raise AnotherHeal(
                "A heal of this deployment runs. Wait for its end; get_status tells how far it is."
            )


def release(folder: Path) -> None:
    """Let go of what `hold` took."""
    with _holding:
        _release(folder / _OTHERS)


def _release(path: Path) -> None:
    held = _held.pop(path, None)
    if held is not None:
        os.close(held.descriptor)
