"""What all demos stand on: one folder with the lab and Tier 2's state, the real ``cfy``, what they say.

Everything lies in one folder, ``.demo``; `make demo-down` stops the lab and removes it.
"""

from __future__ import annotations

import fcntl
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from lab.children import ChildFailed, end_remembered, remember, watch
from lab.core import LabError
from lab.local_profile import PROJECT, LocalProfile
from lab.provision import remove_disk
from lab.subnets import first_subnet

FOLDER = PROJECT / ".demo"
CFY_PID_FILE = FOLDER / "cfy.pid"
# Of what `make demo-heal` starts, and of what that starts in turn.
MONITOR_PID_FILE = FOLDER / "monitor.pid"
HEAL_PID_FILE = FOLDER / "heal.pid"
LAB_TIMEOUT_SECONDS = 120.0
LAB_GRACE_SECONDS = 10.0
INSTALL_TIMEOUT_SECONDS = 900.0
WORKFLOW_TIMEOUT_SECONDS = 120.0


class DemoFailed(Exception):  # noqa: N818 - ends the demo; its text says what went wrong and what to do
    """A step did not end as it has to."""


def say(text: str = "") -> None:
    """Print at once, also into a pipe, so that the order with ``cfy``'s own output is kept."""
    print(text, flush=True)


def step(text: str) -> None:
    """Announce what comes next."""
    say(f"\n==> {text}")


@contextmanager
def only_one() -> Iterator[None]:
    """Let one demo of this checkout run at a time.

    The lock is on this file, so that nothing is left behind, and the system frees it whatever happens.

    Raises:
        DemoFailed: Another one runs.
    """
    with open(__file__, encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFailed(
                "Another `make demo` or `make demo-down` of this checkout runs; wait for it."
            ) from None
        yield


def start_lab(machines: int, *arguments: str) -> None:
    """Run ``python -m lab up`` on addresses that no other lab uses.

    Raises:
        DemoFailed: All are taken, or it did not start.
    """
    try:
        subnet, lock = first_subnet(machines)
    except LabError as error:
        raise DemoFailed(f"There is no place for the lab: {error}. `make demo-down` ends one.") from None
    with lock:  # until the lab itself is seen there
        run_lab("up", "--machines", str(machines), "--subnet", subnet, *arguments)


def run_lab(*arguments: str, timeout_seconds: float = LAB_TIMEOUT_SECONDS) -> None:
    """Run ``python -m lab ARGUMENTS`` on the demo's lab."""
    words = [sys.executable, "-m", "lab", *arguments, "--folder", str(FOLDER / "lab")]
    process = subprocess.Popen(words, cwd=PROJECT, stdin=subprocess.DEVNULL, start_new_session=True)
    watch(
        process, f"`{shlex.join(['python', *words[1:]])}`", timeout_seconds, grace_seconds=LAB_GRACE_SECONDS
    )


def run_cfy(
    profile: LocalProfile, *arguments: str, timeout_seconds: float = WORKFLOW_TIMEOUT_SECONDS
) -> None:
    """Run ``cfy ARGUMENTS`` and show its output as it comes."""
    line = shlex.join(["cfy", *arguments])
    say(f"$ {line}")
    process = profile.start(*arguments)
    remember(process, CFY_PID_FILE)
    watch(process, f"`{line}`", timeout_seconds)


class Program:
    """A process that runs beside a demo, and what it says.

    Args:
        process: It; its output is a pipe.
        name: What it is called before each line.
    """

    def __init__(self, process: subprocess.Popen[bytes], name: str) -> None:
        self.process = process
        self._name = name
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with suppress(ValueError):
            for line in self.process.stdout:
                self._lines.put(line.decode("utf-8", "replace").rstrip())
        self._lines.put("")

    def lines(self, seconds: float) -> Iterator[str]:
        """Yield what it says, as it says it, and show it.

        Raises:
            DemoFailed: It ended, or the time is over.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise DemoFailed(f"It took longer than {seconds:.0f} s.") from None
            if not line:
                raise DemoFailed(f"The {self._name} has ended.")
            say(f"  {self._name}: {line}")
            yield line

    def wait_for(self, words: str, seconds: float) -> str:
        """Return the first line with some words in it."""
        return next(line for line in self.lines(seconds) if words in line)


def take_down() -> None:
    """Stop the lab and remove all that the demo wrote; fine when there is nothing."""
    # Of a demo that was killed by force and could not do it any more.
    for path in (CFY_PID_FILE, MONITOR_PID_FILE, HEAL_PID_FILE):
        end_remembered(path)
    if (FOLDER / "lab").exists():
        run_lab("down")
    remove_disk(FOLDER)


def write_environment(profile: LocalProfile) -> None:
    """Write the file to source for going on by hand: ``cfy`` on the path, with the demo's state."""
    own = profile.environment()
    lines = [f"export {name}={shlex.quote(own[name])}" for name in ("CFY_WORKDIR", "PYTHONWARNINGS")]
    lines.append(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"')
    (FOLDER / "env").write_text("\n".join(lines) + "\n", encoding="utf-8")


def interrupt(_signal: int, _frame: object) -> NoReturn:
    """Treat a polite kill like Ctrl-C."""
    raise KeyboardInterrupt


def perform(show: Callable[[], object], command: str) -> int:
    """Show a demo, and return the exit code.

    Args:
        show: Does it; where it fails, what was made is left as it is, to be looked at.
        command: What is typed to see it again.
    """
    signal.signal(signal.SIGTERM, interrupt)
    try:
        with only_one():
            try:
                show()
            except KeyboardInterrupt:
                say("\nInterrupted; taking the demo down.")
                take_down()
                return 130
    except KeyboardInterrupt:
        say("\nInterrupted. `make demo-down` removes what is still there.")
        return 130
    except (DemoFailed, ChildFailed) as failure:
        say(f"\nThe demo failed. {failure}")
        say(f"`{command}` begins again; `make demo-down` removes what is there.")
        return 1
    return 0
