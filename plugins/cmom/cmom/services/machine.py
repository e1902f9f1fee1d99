"""What a machine is like, and how it is made so: facts are read, compared, and only then changed.

Commands are plain words without shell syntax (`small_file` apart); those that need root go through ``sudo
-n``. Whatever content is secret travels over standard input into a file that only root can read from its
first byte on.
"""

from __future__ import annotations

import hashlib
import logging
import posixpath
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from cmom.clients.ssh import SshClient
from cmom.commands import Command, Result, command
from cmom.errors import AccessRefused, ActionRequired, CommandFailed, MachineUnreachable
from cmom.models import Host, Package
from cmom.services.facts import (
    PACKAGE_FORMAT,
    STAT_FORMAT,
    FileFacts,
    FreeSpace,
    only_absent,
    parse_df,
    parse_package,
    parse_stat,
)
from cmom.services.small_file import ARRIVED_OTHERWISE, write_command
from cmom.services.waiting import Clock, SystemClock, wait_for

# Where our own notes lie on a machine; only root can read them.
STATE_DIRECTORY = "/var/lib/cmom"

# Below the SSH user's home: what is on its way to somewhere else. Only that user can read it.
STAGING_DIRECTORY = ".cmom"

# Never removed, whatever a caller asks for.
_NOT_OURS = frozenset(
    (
        "/",
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/etc/cloudify",
        "/home",
        "/lib",
        "/lib64",
        "/opt",
        "/proc",
        "/root",
    )
) | frozenset(("/run", "/sbin", "/srv", "/sys", "/usr", "/usr/bin", "/var", "/var/lib", "/var/log"))

# Where what a program says of an error has to be understood.
_IN_ENGLISH = ("env", "LC_ALL=C")

_HASHING_SECONDS = 900.0


class Machine:
    """One machine, reached over SSH.

    Args:
        host: Its names; the hostname stands in front of every line of the log.
        ssh: The connection; made at its first use.
        logger: For progress.
        clock: For tests.
    """

    def __init__(
        self, host: Host, ssh: SshClient, logger: logging.Logger, clock: Clock | None = None
    ) -> None:
        self.host = host
        self.ssh = ssh
        self.clock = clock or SystemClock()
        self._logger = logger
        self._home = ""

    @property
    def name(self) -> str:
        """How it is called in messages: hostname and address."""
        address = self.ssh.address
        return f"{self.host.hostname} ({address})" if self.host.hostname else address

    def log(self, message: str, level: int = logging.INFO) -> None:
        """Say something about this machine, secrets masked."""
        self._logger.log(level, "%s: %s", self.host.hostname or self.ssh.address, self.ssh.mask(message))

    def run(self, wanted: Command, check: bool = True) -> Result:
        """Run a command, see `SshClient.run`; root needs no sudo."""
        if self.ssh.access.user == "root":
            wanted = replace(wanted, sudo=False)
        return self.ssh.run(wanted, check=check)

    def wait_for_ssh(
        self, wait_seconds: float, interval_seconds: float = 3.0, key_grace_seconds: float = 0.0
    ) -> str:
        """Wait until the machine lets us log in.

        Args:
            wait_seconds: The deadline.
            interval_seconds: The pause between two tries.
            key_grace_seconds: For how long a refused key counts as "not yet": a machine that is just being
                made may answer before it knows its keys.

        Returns:
            The host key that the machine showed.

        Raises:
            DeadlinePassed: It does not answer.
            AccessRefused: It does not accept our key.
            UnexpectedHostKey: It is not the machine we know.
        """
        began = self.clock.monotonic()

        def look() -> str:
            try:
                self.ssh.connect()
            except AccessRefused as error:
                if self.clock.monotonic() - began < key_grace_seconds:
                    raise MachineUnreachable(str(error)) from error
                raise
            assert self.ssh.host_key is not None
            return self.ssh.host_key

        def tell(elapsed: float, reason: str) -> None:
            self.log(f"waiting for SSH, {elapsed:.0f} of {wait_seconds:.0f} s: {reason}", logging.DEBUG)

        return wait_for(
            look,
            f"SSH of {self.name} to answer",
            wait_seconds=wait_seconds,
            interval_seconds=interval_seconds,
            clock=self.clock,
            on_wait=tell,
        )

    def hostname(self) -> str:
        """Return the machine's own name for itself."""
        return self.run(command("hostname")).stdout.strip()

    def home(self) -> str:
        """Return the home of the SSH user."""
        if not self._home:
            self._home = self.ssh.home()
        return self._home

    def installed_package(self, name: str) -> Package | None:
        """Return what the RPM database has under this name; None when it is not installed."""
        result = self.run(command("rpm", "-q", "--queryformat", PACKAGE_FORMAT, name), check=False)
        if result.ok:
            return parse_package(result.stdout)
        # "package X is not installed" goes to standard output, in any language; trouble to the other one.
        if name in result.stdout and not result.stderr.strip():
            return None
        raise _failed(f"The RPM database of {self.name} cannot be read", result)

    def package_in_file(self, path: str) -> Package:
        """Return what the header of an RPM on the machine says."""
        return parse_package(self.run(command("rpm", "-qp", "--queryformat", PACKAGE_FORMAT, path)).stdout)

    def find_file(self, path: str, *, sudo: bool = True) -> FileFacts | None:
        """Return what there is at a path; None when there is nothing."""
        return self.find_files(path, sudo=sudo).get(path)

    def find_files(self, *paths: str, sudo: bool = True) -> dict[str, FileFacts]:
        """Return what there is at each of some paths; what is not there is left out."""
        wanted = (*_IN_ENGLISH, "stat", "-L", "-c", STAT_FORMAT, "--", *paths)
        result = self.run(command(*wanted, sudo=sudo), check=False)
        if not result.ok and not only_absent(result.stderr):
            raise _failed(f"{' '.join(paths)} on {self.name} cannot be looked at", result)
        return dict(parse_stat(line) for line in result.stdout.splitlines())

    def sha256(self, path: str, *, sudo: bool = True) -> str:
        """Return the SHA-256 of a file, in hexadecimal digits."""
        result = self.run(command("sha256sum", "--", path, sudo=sudo, timeout_seconds=_HASHING_SECONDS))
        # A backslash stands in front where the name of the file had to be escaped.
        return result.stdout.split()[0].lstrip("\\")

    def read_file(self, path: str) -> str | None:
        """Return a small file that only root can read, secrets masked; None if there is none."""
        result = self.run(command(*_IN_ENGLISH, "cat", "--", path, sudo=True), check=False)
        if not result.ok:
            if only_absent(result.stderr):
                return None
            raise _failed(f"{path} on {self.name} cannot be read", result)
        return result.stdout

    def free_space(self, path: str) -> FreeSpace:
        """Return how much is free on the file system of an existing path."""
        return parse_df(self.run(command("df", "-P", "-k", "--", path)).stdout)

    def ensure_file(
        self, path: str, content: str, mode: int = 0o600, owner: str = "root", group: str = "root"
    ) -> bool:
        """Make a small file be there with this content, owner and mode.

        The content goes over standard input into a file beside it that only root can read, is checked there,
        and is renamed; the path never holds half of it. A connection that breaks leaves the old file or the
        new one.

        Returns:
            Whether anything was changed.
        """
        wanted = hashlib.sha256(content.encode()).hexdigest()
        facts = self.find_file(path)
        if facts is not None and facts.is_directory:
            raise ActionRequired(f"{path} on {self.name} is a directory; a file must go there")
        if (
            facts is not None
            and (facts.mode, facts.owner, facts.group) == (mode, owner, group)
            and facts.size_bytes == len(content.encode())
            and self.sha256(path) == wanted
        ):
            return False
        self.write_file(path, content, mode, owner, group)
        return True

    def write_file(
        self, path: str, content: str, mode: int = 0o600, owner: str = "root", group: str = "root"
    ) -> None:
        """Write a small file, whatever is there: as `ensure_file` does, without looking first."""
        result = self.run(write_command(path, content, mode, owner, group), check=False)
        if result.exit_code == ARRIVED_OTHERWISE:
            raise MachineUnreachable(f"What arrived as {path} on {self.name} is not what was sent")
        if not result.ok:
            raise _failed(f"{path} on {self.name} cannot be written", result)

    def ensure_copy(self, staged: str, path: str, mode: int) -> None:
        """Put a file that lies on the machine already in its place, owned by root."""
        folder, name = posixpath.split(path)
        aside = posixpath.join(folder, f".{name}.cmom-part")
        # A copy, not a move: a moved file keeps the SELinux label of the home directory that it came from.
        self.run(
            command("install", "-m", "0600", "-T", "--", staged, aside, sudo=True, timeout_seconds=900.0)
        )
        if mode != 0o600:
            self.run(command("chmod", f"{mode:04o}", "--", aside, sudo=True))
        self.run(command("mv", "-fT", "--", aside, path, sudo=True))

    def ensure_directory(
        self, path: str, mode: int = 0o755, owner: str = "root", group: str = "root", *, sudo: bool = True
    ) -> bool:
        """Make a directory be there; one that is there already keeps its owner and mode.

        Returns:
            Whether it was made.
        """
        facts = self.find_file(path, sudo=sudo)
        if facts is None:
            ownership = () if (owner, group) == ("root", "root") or not sudo else ("-o", owner, "-g", group)
            self.run(command("install", "-d", "-m", f"{mode:04o}", *ownership, "--", path, sudo=sudo))
            return True
        if not facts.is_directory:
            raise ActionRequired(f"{path} on {self.name} is not a directory; one must be there")
        return False

    def remove(self, paths: Iterable[str], *, sudo: bool = True) -> None:
        """Remove files and directories of ours; what is not there is removed already.

        Raises:
            ValueError: A path is not absolute, or one that no machine can live without.
        """
        wanted = tuple(paths)
        for path in wanted:
            parts = [part for part in path.split("/") if part not in ("", ".")]
            if not path.startswith("/") or "/" + "/".join(parts) in _NOT_OURS or ".." in parts:
                raise ValueError(f"{path!r} is not removed from any machine")
        if wanted:
            self.run(command("rm", "-rf", "--", *wanted, sudo=sudo, timeout_seconds=300.0))

    def staging(self, purpose: str) -> str:
        """Make an empty private directory below the user's home and return its path.

        It has a fixed name for each purpose, so that what a broken run left behind goes with the next one.
        """
        base = posixpath.join(self.home(), STAGING_DIRECTORY)
        self.ensure_directory(base, 0o700, sudo=False)
        path = posixpath.join(base, purpose)
        self.remove((path,), sudo=False)
        self.run(command("mkdir", "-m", "0700", "--", path))
        return path

    def discard(self, path: str) -> None:
        """Remove a staging directory, as far as the machine can be reached."""
        with suppress(MachineUnreachable):
            self.remove((path,), sudo=False)


def _failed(what: str, result: Result) -> CommandFailed:
    lines = result.last_lines()
    return CommandFailed(f"{what}:\n{lines}", result.exit_code, lines)
