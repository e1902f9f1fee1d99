"""A lock that only one of several threads and processes of this machine holds.

The kernel lets go of it when its holder dies, however it dies, so nothing has to be cleaned up after a crash.
``flock`` belongs to the open file and so keeps threads apart, too; the POSIX locks of common lock libraries
belong to the process and do not.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cmom.errors import DeadlinePassed
from cmom.services.waiting import Clock, wait_for

_POLL_SECONDS = 0.2


def open_lock(path: Path) -> int:
    """Open the file that a lock stands for, without locking it; whoever closes it lets go of it.

    Raises:
        OSError: It cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def grab(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock of an open file if nobody else holds it (shared: if nobody holds it alone)."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path, *, alone: bool = False) -> bool:
    """Tell whether somebody holds a lock; it need not be there.

    Args:
        path: The file.
        alone: Whether only somebody who holds it alone counts.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not grab(descriptor, shared=alone)
    finally:
        os.close(descriptor)


@contextmanager
def file_lock(
    path: Path,
    what: str,
    *,
    wait_seconds: float,
    poll_seconds: float = _POLL_SECONDS,
    clock: Clock | None = None,
) -> Iterator[None]:
    """Hold the lock that a file stands for.

    Args:
        path: The file; made if it is not there, and never removed.
        what: What is done under the lock, for the message: ``changing the membership of the cluster``.
        wait_seconds: How long to wait for another holder.
        poll_seconds: Between two tries.
        clock: For tests.

    Raises:
        DeadlinePassed: Another held it all that time.
    """
    descriptor = open_lock(path)
    try:
        try:
            wait_for(
                lambda: grab(descriptor),
                f"{what} by another operation to end",
                wait_seconds=wait_seconds,
                interval_seconds=poll_seconds,
                clock=clock,
            )
        except DeadlinePassed as error:
            raise DeadlinePassed(f"{error} The lock is {path}.") from error
        yield
    finally:
        os.close(descriptor)
