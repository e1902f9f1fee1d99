"""What the user wants on a machine after its manager is installed: files, then scripts.

A script runs as the SSH user, with bash, in a private directory of that user; one that needs root says
``sudo`` itself, as patch scripts written for managers do. It runs once: its outcome is noted on the machine,
so an installation that is taken up again does not repeat it. Only a script whose end nobody saw, because the
connection broke, runs again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import posixpath
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from cmom.commands import command
from cmom.errors import ActionRequired
from cmom.services.machine import STATE_DIRECTORY, Machine
from cmom.services.package import sha256_of
from cmom.services.progress import TransferProgress

DEFAULT_SCRIPT_TIMEOUT_SECONDS = 1800.0

_NOTES = f"{STATE_DIRECTORY}/scripts"
_TAIL_LINES = 30
_WORTH_PROGRESS_BYTES = 10_000_000

# ``timeout`` ends with this when it had to end the script; after that it waits a little before it kills.
_TIMED_OUT = 124
_KILL_AFTER_SECONDS = 10


@dataclass(frozen=True)
class ScriptOutcome:
    """How a script ended.

    Attributes:
        path: On Tier 2.
        exit_code: 124 when it was ended because its time was over.
        output_tail: The last lines of its output, secrets masked.
        seconds: How long it took.
    """

    path: str
    exit_code: int
    output_tail: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether it ended with 0."""
        return self.exit_code == 0


class Extras:
    """Files and scripts on one machine.

    Args:
        machine: Where.
        script_timeout_seconds: How long one script may take.
    """

    def __init__(
        self, machine: Machine, script_timeout_seconds: float = DEFAULT_SCRIPT_TIMEOUT_SECONDS
    ) -> None:
        self._machine = machine
        self._timeout = script_timeout_seconds

    def ensure_file(self, source: str, destination: str) -> bool:
        """Copy a file of Tier 2 to the machine, with its permissions, and with the directories above it.

        It belongs to the SSH user where that user may write, otherwise to root.

        Args:
            source: On Tier 2.
            destination: On the machine; below the user's home when it is not absolute. A directory, or a path
                that ends with a slash, receives the file under its own name.

        Returns:
            Whether anything was changed.

        Raises:
            ActionRequired: The source cannot be read, or the destination cannot be written.
        """
        machine = self._machine
        mode, size, digest = _examine(source)
        path = self._resolve(source, destination)
        there = machine.find_file(path)
        if (
            there is not None
            and (there.mode, there.size_bytes) == (mode, size)
            and machine.sha256(path) == digest
        ):
            return False
        folder = posixpath.dirname(path)
        ours = self._ensure_folder(folder) and (there is None or there.owner == machine.ssh.access.user)
        progress = None
        if size >= _WORTH_PROGRESS_BYTES:
            label = f"{posixpath.basename(path)} to {machine.ssh.address}"
            progress = TransferProgress(label, machine.log, machine.clock)
        if ours:
            machine.ssh.put(source, path, mode=mode, progress=progress)
        else:
            staging = machine.staging("files")
            try:
                staged = posixpath.join(staging, "file")
                machine.ssh.put(source, staged, mode=0o600, progress=progress)
                machine.ensure_copy(staged, path, mode)
            finally:
                machine.discard(staging)
        if machine.sha256(path) != digest:
            raise ActionRequired(
                f"{path} on {machine.name} is not what {source} is; was it changed meanwhile?"
            )
        machine.log(f"{source} is copied to {path}")
        return True

    def run_scripts(self, paths: Sequence[str]) -> tuple[ScriptOutcome, ...]:
        """Run scripts of Tier 2, one after the other; one that fails is a warning, and the next one runs.

        Returns:
            How each of them ended, now or in an earlier run.

        Raises:
            ActionRequired: One cannot be read.
            TryAgainLater: The connection broke.
        """
        outcomes = []
        for position, path in enumerate(paths):
            outcome = self._find_outcome(path, position) or self._run(path, position)
            if outcome.ok:
                self._machine.log(f"script {path} ended well after {outcome.seconds:.0f} s")
            else:
                self._machine.log(
                    f"script {path} failed with exit code {outcome.exit_code} "
                    f"after {outcome.seconds:.0f} s:\n{outcome.output_tail}",
                    logging.WARNING,
                )
            outcomes.append(outcome)
        return tuple(outcomes)

    def _run(self, path: str, position: int) -> ScriptOutcome:
        machine = self._machine
        staging = machine.staging("scripts")
        try:
            script = posixpath.join(staging, posixpath.basename(path) or "script")
            machine.ssh.put(path, script, mode=0o700)
            machine.log(f"running script {path}")
            began = machine.clock.monotonic()
            result = machine.run(
                command(
                    *("timeout", "-k", str(_KILL_AFTER_SECONDS), f"{self._timeout:g}", "bash", script),
                    timeout_seconds=self._timeout + 60.0,
                ),
                check=False,
            )
            seconds = machine.clock.monotonic() - began
        finally:
            machine.discard(staging)
        tail = result.last_lines(_TAIL_LINES)
        if result.exit_code == _TIMED_OUT:
            tail += f"\n[ended by us: it took more than {self._timeout:g} s]"
        outcome = ScriptOutcome(path, result.exit_code, tail, round(seconds, 1))
        machine.ensure_directory(STATE_DIRECTORY, 0o700)
        machine.ensure_file(self._note_path(path, position), json.dumps(vars(outcome)) + "\n")
        return outcome

    def _find_outcome(self, path: str, position: int) -> ScriptOutcome | None:
        text = self._machine.read_file(self._note_path(path, position))
        if text is None:
            return None
        try:
            return ScriptOutcome(**json.loads(text))
        except (ValueError, TypeError):
            return None

    def _note_path(self, path: str, position: int) -> str:
        """Where the outcome is noted: another content, or another place in the list, is another script."""
        digest = _examine(path)[2]
        return f"{_NOTES}/{position:02d}-{hashlib.sha256(f'{path}|{digest}'.encode()).hexdigest()[:16]}.json"

    def _resolve(self, source: str, destination: str) -> str:
        machine = self._machine
        path = posixpath.join(machine.home(), destination.removeprefix("~/"))
        facts = machine.find_file(path)
        if path.endswith("/") or (facts is not None and facts.is_directory):
            path = posixpath.join(path, os.path.basename(source))
        return posixpath.normpath(path)

    def _ensure_folder(self, folder: str) -> bool:
        """Make a directory with all above it; return whether the SSH user may write there."""
        machine = self._machine
        if machine.find_file(folder) is None:
            made = machine.run(command("mkdir", "-p", "--", folder), check=False)
            if not made.ok:
                machine.run(command("mkdir", "-p", "--", folder, sudo=True))
        return machine.run(command("test", "-w", folder), check=False).ok


def _examine(source: str) -> tuple[int, int, str]:
    """Return the permissions, the size and the SHA-256 of a file of Tier 2."""
    try:
        facts = os.stat(source)
        if not stat.S_ISREG(facts.st_mode):
            raise ActionRequired(f"{source} is not a file")
        digest = sha256_of(source)
    except OSError as error:
        raise ActionRequired(f"{source} cannot be read: {error.strerror}") from None
    return stat.S_IMODE(facts.st_mode) & 0o777, facts.st_size, digest
