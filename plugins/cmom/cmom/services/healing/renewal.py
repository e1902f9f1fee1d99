"""A machine that exists already, brought back: by the user's own command, or replaced by a spare.

On OpenStack nothing of this is needed, for there the machine itself is deleted and made again.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from cmom.clients.masking import Masker
from cmom.errors import ActionRequired, DeadlinePassed, TryAgainLater
from cmom.services.locks import grab, open_lock
from cmom.services.waiting import Clock, wait_for

_LAST_LINES = 15
_MAX_LINE = 2000
_POLL_SECONDS = 1.0


class RebuildFailed(ActionRequired):
    """The user's rebuild_command ended with an error."""


def run_rebuild_command(
    words: Sequence[str],
    logger: logging.Logger,
    *,
    lock_path: Path,
    timeout_seconds: float,
    secrets: Sequence[str] = (),
    clock: Clock | None = None,
) -> None:
    """Run the command that brings one machine back to an empty state, and pass on what it prints.

    No shell takes part. The command inherits the lock, so when whoever started it is killed, the next one
    waits until it has ended, and two never work on one machine.

    Args:
        words: Program and arguments.
        logger: Gets its output, line by line.
        lock_path: A file for this machine.
        timeout_seconds: How long it may take; and how long one that still runs is waited for.
        secrets: What is masked in its output.
        clock: For tests.

    Raises:
        RebuildFailed: It ended with an error, took too long, or cannot be started.
        TryAgainLater: One that was started before still runs.
    """
    lock = open_lock(lock_path)
    try:
        try:
            wait_for(
                lambda: grab(lock),
                f"a former run of {words[0]} to end",
                wait_seconds=timeout_seconds,
                interval_seconds=_POLL_SECONDS,
                clock=clock,
            )
        except DeadlinePassed as error:
            raise TryAgainLater(str(error)) from error
        _run(words, logger, lock, timeout_seconds, Masker(secrets))
    finally:
        os.close(lock)


def _run(
    words: Sequence[str], logger: logging.Logger, lock: int, timeout_seconds: float, mask: Masker
) -> None:
    what = mask(" ".join(words))
    logger.info("Running the rebuild command: %s", what)
    try:
        process = subprocess.Popen(
            list(words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            # A process group of its own, so that what it has started can be ended with it.
            start_new_session=True,
        )
    except OSError as error:
        raise RebuildFailed(f"The rebuild command {what} cannot be started: {error.strerror}.") from error
    assert process.stdout is not None
    lines: list[str] = []
    reader = threading.Thread(
        target=_pass_on, args=(process.stdout, logger, lines, mask), name="rebuild output", daemon=True
    )
    reader.start()
    try:
        exit_code = process.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        raise RebuildFailed(
            f"The rebuild command {what} did not end within {timeout_seconds:.0f} s and was ended."
            f"{_shown(lines)}"
        ) from None
    finally:
        _end(process)
        reader.join(_POLL_SECONDS)
    if exit_code != 0:
        raise RebuildFailed(f"The rebuild command {what} ended with exit code {exit_code}.{_shown(lines)}")


def _pass_on(stream: IO[bytes], logger: logging.Logger, lines: list[str], mask: Masker) -> None:
    with stream, suppress(OSError, ValueError):
        for raw in iter(lambda: stream.readline(_MAX_LINE), b""):
            line = mask(raw.decode("utf-8", "replace").rstrip())
            logger.info("rebuild: %s", line)
            lines.append(line)
            del lines[:-_LAST_LINES]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it, and whatever it has started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _shown(lines: Sequence[str]) -> str:
    return f" Its last lines:\n{chr(10).join(lines)}" if lines else " It printed nothing."
