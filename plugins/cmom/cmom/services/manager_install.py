"""The story of one machine: from the first SSH connection to an installed manager, and back again.

Each step can be called again after any interruption: it looks first, and does what is still missing. The
certificates and the configuration are made elsewhere and come in as plain text.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cmom.clients.ssh import SshClient
from cmom.models import INSTALL_PACKAGE, Host, Package, Secret, Version
from cmom.services.extras import DEFAULT_SCRIPT_TIMEOUT_SECONDS, Extras, ScriptOutcome
from cmom.services.installation import Installation, InstallerRun, Watching
from cmom.services.machine import STATE_DIRECTORY, Machine
from cmom.services.manager_config import CERTIFICATES_FOLDER
from cmom.services.package import InstallPackage, Transfer
from cmom.services.waiting import Clock

RemoteFiles = Mapping[str, tuple[str, int]]
"""Path on the machine -> content and permissions."""

Fits = Callable[[str, bytes], bool]
"""Tells of a path and the certificate that is there whether that will do."""


@dataclass(frozen=True)
class Patience:
    """How long the parts of an installation may take.

    Attributes:
        ssh_seconds: Until the machine lets us log in; a new one has to boot first.
        ssh_interval_seconds: Between two tries.
        key_grace_seconds: For how long a refused key counts as "not yet".
        script_timeout_seconds: For one script.
        removal_seconds: For ``cfy_manager remove``.
    """

    ssh_seconds: float = 900.0
    ssh_interval_seconds: float = 3.0
    key_grace_seconds: float = 0.0
    script_timeout_seconds: float = DEFAULT_SCRIPT_TIMEOUT_SECONDS
    removal_seconds: float = 1800.0
    watching: Watching = field(default_factory=Watching)
    transfer: Transfer = field(default_factory=Transfer)


class ManagerInstaller:
    """Installs a manager on one machine, and removes it.

    Args:
        host: The machine's names.
        ssh: How to reach it; the caller closes it.
        logger: For progress.
        clock: For tests.
        patience: How long everything may take.
    """

    def __init__(
        self,
        host: Host,
        ssh: SshClient,
        logger: logging.Logger,
        clock: Clock | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._patience = patience or Patience()
        self.machine = Machine(host, ssh, logger, clock)
        self._package = InstallPackage(self.machine, self._patience.transfer)

    def reach(self, on_host_key: Callable[[str], None]) -> None:
        """Wait for the machine, and have its host key recorded before anything else happens.

        Args:
            on_host_key: Called with the host key (``ssh-ed25519 AAAA...``), known before or not.
        """
        patience = self._patience
        host_key = self.machine.wait_for_ssh(
            patience.ssh_seconds, patience.ssh_interval_seconds, patience.key_grace_seconds
        )
        on_host_key(host_key)

    def prepare(self, rpm: str, package: Package, rpm_size_bytes: int | None = None) -> bool:
        """Have the install package on the machine.

        Args:
            rpm: A path on Tier 2, or a URL, which the machine fetches.
            package: What the RPM's header says.
            rpm_size_bytes: How big what the URL names is, where known.

        Returns:
            Whether anything was changed.
        """
        return self._package.ensure_installed(rpm, package, rpm_size_bytes)

    def installation(self, run: InstallerRun | None = None) -> Installation:
        """Return what one run of the installer puts onto the machine; without `run` that of generation 4."""
        return Installation(self.machine, self._patience.watching, run)

    def configure(
        self, config: Secret, certificates: RemoteFiles, fits: Fits, identity: Secret | None = None
    ) -> bool:
        """Have a manager with this configuration: certificates, ``config.yaml``, ``cfy_manager install``.

        A manager that is installed already is left alone, with its files; `ensure_installed` of
        `Installation` tells what happens when it has another configuration.

        Args:
            config: The text of ``config.yaml``.
            certificates: What it points at. What is on the machine already stays, if it fits.
            fits: Whether a certificate that is on the machine already will do.
            identity: The part of the configuration that must not be another one later; by default all of it.

        Returns:
            Whether anything was changed.
        """
        installation = self.installation()
        note = installation.note()
        changed = False
        if note is None or not note.finished:
            changed = self.ensure_certificates(certificates, fits)
        return installation.ensure_installed(config, identity) or changed

    def finish(self, files: Sequence[tuple[str, str]], scripts: Sequence[str]) -> tuple[ScriptOutcome, ...]:
        """Copy files, then run scripts.

        Args:
            files: Pairs of a path on Tier 2 and one on the machine.
            scripts: Paths on Tier 2.

        Returns:
            How each script ended.
        """
        extras = Extras(self.machine, self._patience.script_timeout_seconds)
        for source, destination in files:
            extras.ensure_file(source, destination)
        return extras.run_scripts(scripts)

    def installed_version(self) -> Version | None:
        """Return the version of the managers whose package the machine has; None when it has none."""
        package = self.machine.installed_package(INSTALL_PACKAGE)
        return None if package is None else package.version

    def remove(self, runs: Sequence[InstallerRun]) -> bool:
        """Take everything off the machine: the manager, its package, and our files.

        Files that the user asked for stay, and so do the manager's logs.

        Args:
            runs: What may have been installed, in the order in which it is removed.

        Returns:
            Whether there was anything.
        """
        removed = [self.installation(run).ensure_removed(self._patience.removal_seconds) for run in runs]
        self.machine.remove((CERTIFICATES_FOLDER, STATE_DIRECTORY))
        return self._package.ensure_removed() or any(removed)

    def ensure_certificates(self, files: RemoteFiles, fits: Fits) -> bool:
        """Write all of the files, or none when those that are there will do: pairs belong together.

        The old ones go first, and new keys come before new certificates: cut off anywhere, this leaves no
        certificate beside a key that is not its own.

        Returns:
            Whether anything was changed.
        """
        machine = self.machine
        if all(self._will_do(path, content, fits) for path, (content, _) in files.items()):
            return False
        machine.remove(files)
        machine.ensure_directory(CERTIFICATES_FOLDER, 0o700)
        for path in sorted(files, key=lambda path: _is_certificate(files[path][0])):
            content, mode = files[path]
            machine.write_file(path, str.__str__(content), mode)
        machine.log("certificates are in place")
        return True

    def _will_do(self, path: str, content: str, fits: Fits) -> bool:
        if not _is_certificate(content):
            return self.machine.find_file(path) is not None
        there = self.machine.read_file(path)
        return there is not None and (there == content or fits(path, there.encode()))


def _is_certificate(content: str) -> bool:
    return content.lstrip().startswith("-----BEGIN CERTIFICATE")
