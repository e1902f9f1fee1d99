"""The install RPM on a machine: brought there, checked, installed, and taken away again."""

from __future__ import annotations

import hashlib
import os
import posixpath
from dataclasses import dataclass

from cmom.clients.urls import is_url, shown_source
from cmom.commands import command
from cmom.errors import ActionRequired, CommandFailed, DeadlinePassed, MachineUnreachable, TryAgainLater
from cmom.models import INSTALL_PACKAGE, Package, Secret
from cmom.services.machine import STAGING_DIRECTORY, Machine
from cmom.services.progress import TransferProgress, readable_size

# What a machine needs besides the file itself, for everything else that happens meanwhile.
_MARGIN_BYTES = 100_000_000

_RPM_SECONDS = 1800.0
_READ_BYTES = 1 << 20

# curl's exit codes that time may mend: DNS, connect, partial file, time-out, empty reply, send, receive.
_CURL_MAY_RECOVER = frozenset((5, 6, 7, 18, 28, 52, 55, 56))


@dataclass(frozen=True)
class Transfer:
    """How patiently the RPM is brought.

    Attributes:
        attempts: How often a copy is begun again after the connection broke.
        pause_seconds: Before it is.
        timeout_seconds: For one attempt.
    """

    attempts: int = 4
    pause_seconds: float = 5.0
    timeout_seconds: float = 3600.0


class InstallPackage:
    """The package cloudify-manager-install on one machine.

    Args:
        machine: Where.
        transfer: How patiently the RPM is brought.
    """

    def __init__(self, machine: Machine, transfer: Transfer | None = None) -> None:
        self._machine = machine
        self._transfer = transfer or Transfer()

    def ensure_installed(self, source: str, package: Package, size_bytes: int | None = None) -> bool:
        """Install the RPM, unless it is installed already.

        Args:
            source: A path on Tier 2, or a URL, which the machine then fetches itself.
            package: What the RPM's header says.
            size_bytes: How big what the URL names is, where that is known.

        Returns:
            Whether anything was changed.

        Raises:
            ActionRequired: Another version is installed, there is too little disk, or the URL cannot be had.
            TryAgainLater: The connection broke, again and again.
        """
        machine = self._machine
        there = machine.installed_package(package.name)
        if there is not None:
            if there == package:
                machine.log(f"{describe(package)} is installed already")
                # Who installed it may have lost the connection before it could tidy up.
                machine.discard(self._folder_path())
                return False
            raise ActionRequired(
                f"{describe(there)} is installed on {machine.name}, and {describe(package)} should be. "
                f"Use the RPM of {there.version}, or first uninstall the manager there or rebuild the machine"
            )
        path = self._bring(source, package, size_bytes)
        self._install(path, package)
        # Two gigabytes that nobody needs any more.
        machine.discard(posixpath.dirname(path))
        return True

    def ensure_removed(self, name: str = INSTALL_PACKAGE) -> bool:
        """Remove the package, and whatever of it is still on its way.

        Returns:
            Whether anything was changed.
        """
        machine = self._machine
        machine.remove((posixpath.join(machine.home(), STAGING_DIRECTORY),), sudo=False)
        if machine.installed_package(name) is None:
            return False
        machine.run(command("rpm", "-e", name, sudo=True, timeout_seconds=_RPM_SECONDS))
        machine.log(f"{name} is removed")
        return True

    def _install(self, path: str, package: Package) -> None:
        machine = self._machine
        machine.log(f"installing {describe(package)}")
        # Plain rpm, not yum: the RPM names no dependencies (its spec switches their generation off, and it
        # carries the RPMs it needs), so there is nothing to resolve, and the machine needs no repository.
        try:
            machine.run(command("rpm", "-U", path, sudo=True, timeout_seconds=_RPM_SECONDS))
        except CommandFailed as error:
            # An earlier run of ours whose connection broke may be at it still.
            if ".rpm.lock" in error.output:
                raise TryAgainLater(f"Another rpm is at work on {machine.name}: {error.output}") from error
            raise
        there = machine.installed_package(package.name)
        if there != package:
            raise ActionRequired(
                f"After installing {path} on {machine.name} there is "
                f"{describe(there) if there else 'nothing'} instead of {describe(package)}"
            )

    def _bring(self, source: str, package: Package, size_bytes: int | None) -> str:
        """Have the RPM on the machine, try after try; return its path there."""
        machine, transfer = self._machine, self._transfer
        for attempt in range(1, transfer.attempts + 1):
            try:
                folder = self._folder()
                path = posixpath.join(folder, f"{describe(package)}.rpm".replace("/", "_"))
                if is_url(source):
                    self._fetch(source, path, package, size_bytes)
                else:
                    self._upload(source, path)
                return path
            except (MachineUnreachable, DeadlinePassed) as error:
                if attempt == transfer.attempts:
                    raise TryAgainLater(
                        f"The RPM could not be brought to {machine.name} in {attempt} attempts. "
                        f"The last one: {error}"
                    ) from error
                machine.log(f"attempt {attempt} of {transfer.attempts} to bring the RPM failed: {error}")
                machine.clock.sleep(transfer.pause_seconds)
        raise AssertionError("there is at least one attempt")

    def _folder(self) -> str:
        machine = self._machine
        folder = self._folder_path()
        for path in (posixpath.dirname(folder), folder):
            machine.ensure_directory(path, 0o700, sudo=False)
        return folder

    def _folder_path(self) -> str:
        return posixpath.join(self._machine.home(), STAGING_DIRECTORY, "rpm")

    def _upload(self, source: str, path: str) -> None:
        machine = self._machine
        try:
            size = os.stat(source).st_size
        except OSError as error:
            raise ActionRequired(f"The RPM {source} cannot be read: {error.strerror}") from None
        there = machine.find_file(path, sudo=False)
        if (
            there is not None
            and there.size_bytes == size
            and machine.sha256(path, sudo=False) == sha256_of(source)
        ):
            machine.log("the RPM is there already")
            return
        self._check_space(posixpath.dirname(path), size)
        label = f"RPM to {machine.ssh.address}"
        progress = TransferProgress(label, machine.log, machine.clock)
        sent = machine.ssh.put(
            source, path, mode=0o600, progress=progress, timeout_seconds=self._transfer.timeout_seconds
        )
        if machine.sha256(path, sudo=False) != sent:
            machine.remove((path,), sudo=False)
            raise MachineUnreachable(
                f"The RPM arrived on {machine.name} with another checksum than it was sent with"
            )

    def _fetch(self, url: str, path: str, package: Package, size_bytes: int | None) -> None:
        machine, shown = self._machine, shown_source(url)
        folder = posixpath.dirname(path)
        if machine.find_file(path, sudo=False) is not None:
            # Renamed only after it was complete and checked.
            machine.log("the RPM is there already")
            return
        self._check_space(folder, size_bytes or 0)
        aside = posixpath.join(machine.staging("fetch"), posixpath.basename(path))
        machine.log(f"fetching {shown}")
        seconds = self._transfer.timeout_seconds
        result = machine.run(
            command(
                *("curl", "-K", "-", "-f", "-sS", "-L", "--retry", "3", "--connect-timeout", "30"),
                # Brackets and braces in a URL are no patterns; no redirect leads to a file or a mail server.
                *("--globoff", "--proto-redir", "=http,https"),
                *("--max-time", f"{seconds:.0f}", "-o", aside),
                # The URL may carry a password or a signature, so it is not an argument.
                stdin=Secret(curl_config(url)),
                timeout_seconds=seconds + 60.0,
            ),
            check=False,
        )
        if not result.ok:
            message = (
                f"{machine.name} could not fetch {shown}: curl ended with exit code {result.exit_code}: "
                f"{_hide(result.last_lines(3), url)}"
            )
            if result.exit_code in _CURL_MAY_RECOVER:
                raise MachineUnreachable(message)
            raise CommandFailed(message, result.exit_code, _hide(result.last_lines(), url))
        fetched = machine.package_in_file(aside)
        if fetched != package:
            raise ActionRequired(
                f"{shown} gave {describe(fetched)} to {machine.name} instead of {describe(package)}"
            )
        machine.run(command("mv", "-fT", "--", aside, path))

    def _check_space(self, folder: str, size: int) -> None:
        """Refuse when the file, or what it unpacks to, does not fit; the RPM hardly compresses anything."""
        home, root = self._machine.free_space(folder), self._machine.free_space("/")
        needed = {home: size + _MARGIN_BYTES, root: size + _MARGIN_BYTES}
        if home.device == root.device:
            needed = {root: 2 * size + _MARGIN_BYTES}
        for space, needs in needed.items():
            if space.free_bytes < needs:
                raise ActionRequired(
                    f"{self._machine.name} has {readable_size(space.free_bytes)} free on {space.mount}; "
                    f"{readable_size(needs)} are needed for the RPM. Make room, or use a bigger disk"
                )


def describe(package: Package) -> str:
    """Return a package's full name: ``cloudify-manager-install-4.6.0-ga.x86_64``."""
    return f"{package.name}-{package.version}-{package.release}.{package.arch}"


def curl_config(url: str) -> str:
    """Return a URL as a line of curl's configuration.

    Raises:
        ActionRequired: It contains a line break or a NUL byte, which no URL has.
    """
    if any(character in url for character in "\r\n\0"):
        raise ActionRequired(f"{shown_source(url)!r} is not a URL")
    escaped = url.replace("\\", "\\\\").replace('"', '\\"')
    return f'url = "{escaped}"\n'


def _hide(text: str, url: str) -> str:
    return text.replace(url, shown_source(url))


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file of Tier 2, in hexadecimal digits, whatever its size."""
    digest = hashlib.sha256()
    with open(path, "rb") as source:
        while piece := source.read(_READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()
