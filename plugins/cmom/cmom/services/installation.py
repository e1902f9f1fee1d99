"""``cfy_manager install`` on a machine: started once, watched from outside, taken up again after anything.

It runs for up to an hour, as a transient systemd unit. A dropped connection or a restarted Tier 2 changes
nothing for it: who comes next finds the unit running, ended, or (after a reboot) gone, and the note that was
left on the machine says with which configuration it was started. What to do then is a decision without any
I/O, `decide`.
"""

from __future__ import annotations

import logging
import shlex
from dataclasses import dataclass

from cmom.commands import command
from cmom.errors import ActionRequired, CommandFailed
from cmom.models import Secret
from cmom.services.installation_state import Evidence, Note, Step, config_fingerprint, decide
from cmom.services.machine import STATE_DIRECTORY, Machine
from cmom.services.manager_config import CONFIG_PATH
from cmom.services.unit_runs import Watching, follow
from cmom.services.units import TransientUnit, UnitState

__all__ = [
    "INSTALLER",
    "INSTALLER_LOG",
    "INSTALL_UNIT",
    "NOTE_PATH",
    "Installation",
    "InstallerRun",
    "Watching",
]

INSTALLER = "/usr/bin/cfy_manager"
INSTALL_UNIT = "cmom-install"
REMOVE_UNIT = "cmom-remove"
NOTE_PATH = f"{STATE_DIRECTORY}/install.json"
INSTALLER_LOG = "/var/log/cloudify/manager/cfy_manager.log"

# The installer shows the administrator's password on its console ("Admin password: ...", in 4.3 "Manager
# password is ...", from 5.1 on "cfy profiles use ... -p ..." as well); the journal must not have it. With
# pipefail the exit code is still the installer's.
_MASKING = (r"s/\(Admin password:\|Manager password is\) .*/\1 ***/", r"s/^\(cfy profiles use\) .*/\1 ***/")

_LAST_LINES = 15


@dataclass(frozen=True)
class InstallerRun:
    """One run of the installer on a machine, and by what its traces there are known.

    The defaults are the one run that a manager of generation 4 takes.

    Attributes:
        what: What it installs, for the log.
        unit: The transient unit of the installation.
        removal_unit: That of the removal.
        note_path: Where what was started is noted.
        config_path: The configuration it reads.
        config_options: How it is told which configuration that is.
        removal_options: More words for ``cfy_manager remove``: 4.x does nothing without ``-f``, 6.3 and later
            know no such option.
        finished_files: The last thing that it makes; any of them will do. Those of 4.3 - 4.6, of 5.0.5, and
            from 5.1 on (INITIAL_INSTALL_FILE, later INITIAL_INSTALL_DIR in its constants.py). Where one is a
            directory, only its content counts.
    """

    what: str = "manager"
    unit: str = INSTALL_UNIT
    removal_unit: str = REMOVE_UNIT
    note_path: str = NOTE_PATH
    config_path: str = CONFIG_PATH
    config_options: tuple[str, ...] = ()
    removal_options: tuple[str, ...] = ("-f",)
    finished_files: tuple[str, ...] = (
        "/etc/cloudify/.install",
        "/etc/cloudify/.installed",
        "/etc/cloudify/.installed/manager_service",
    )

    @property
    def install_command(self) -> tuple[str, ...]:
        """What the unit of the installation runs."""
        install = shlex.join((INSTALLER, "install", *self.config_options))
        masking = " ".join(f"-e '{expression}'" for expression in _MASKING)
        return ("/bin/bash", "-o", "pipefail", "-c", f"{install} 2>&1 | sed -u {masking}")

    @property
    def removal_command(self) -> tuple[str, ...]:
        """What the unit of the removal runs."""
        return (INSTALLER, "remove", *self.removal_options, *self.config_options)

    @property
    def leftovers(self) -> tuple[str, ...]:
        """What is ours, or may be left.

        ``rpm -e`` keeps a changed config.yaml, with the password in it, under another name.
        """
        return (self.config_path, f"{self.config_path}.rpmsave", self.note_path, *self.finished_files)


class Installation:
    """What one run of the installer puts onto one machine: a manager, or one of its services.

    Args:
        machine: Where; the package must be installed there.
        watching: How patiently.
        run: Which run.
    """

    def __init__(
        self, machine: Machine, watching: Watching | None = None, run: InstallerRun | None = None
    ) -> None:
        self._machine = machine
        self._watching = watching or Watching()
        self._run = run or InstallerRun()
        self._unit = TransientUnit(machine, self._run.unit)

    def note(self) -> Note | None:
        """Return what was noted on the machine; None when nothing was ever started there."""
        path = self._run.note_path
        text = self._machine.read_file(path)
        return None if text is None else Note.parse(text, f"{path} on {self._machine.name}")

    def is_installed_with(self, config: Secret) -> bool:
        """Whether the installation ended well, with this configuration."""
        note = self.note()
        return note is not None and note.finished and note.fingerprint == config_fingerprint(config)

    def ensure_installed(self, config: Secret, identity: Secret | None = None) -> bool:
        """Have a manager with this configuration, started now or by whoever was here before.

        Whether a manager is there at all is asked of the installer's own marker, not of the REST service:
        that answers long before an installation is complete, also after a reboot in the middle of one.

        Args:
            config: The text of ``config.yaml``. It is written before the installer starts, and not after: the
                installer writes its own defaults into the file.
            identity: The part of it that must not be another one later; by default all of it.

        Returns:
            Whether anything was changed.

        Raises:
            ActionRequired: There is a manager with another configuration, or one that is not ours.
            CommandFailed: The installer failed, or took too long.
            TryAgainLater: The machine is out of reach; the installer may go on without us.
        """
        fingerprint, starts = config_fingerprint(identity or config), 0
        while True:
            evidence = self._evidence()
            step = decide(evidence, fingerprint, starts, self._watching.starts)
            if step is Step.NOTHING:
                self._machine.log(f"the {self._run.what} is installed already")
                return starts > 0
            if step is Step.ADOPT:
                self._write_note(Note(fingerprint, finished=True))
                self._machine.log(f"the {self._run.what} is installed")
                return True
            if step is Step.START:
                starts += 1
                self._start(config, fingerprint, again=evidence.note is not None)
            elif step is Step.FAIL:
                raise self._failure(evidence.unit, starts)
            elif step is not Step.WATCH:
                raise ActionRequired(self._refusal(step))
            self._watch()

    def ensure_removed(self, timeout_seconds: float = 1800.0) -> bool:
        """Remove the manager, its data and everything secret that was written for it.

        Returns:
            Whether there was anything to remove.
        """
        machine, run = self._machine, self._run
        self._unit.clear()
        remover = TransientUnit(machine, run.removal_unit)
        found = machine.find_files(INSTALLER, run.note_path, *run.finished_files)
        # An installer that was never started has nothing to remove, and might stumble over that.
        there = INSTALLER in found and len(found) > 1
        if there:
            if not remover.state().running:
                remover.clear()
                machine.log(f"removing the {run.what}")
                remover.start("Removal of Cloudify Manager", *run.removal_command)
            state = follow(remover, timeout_seconds, self._watching, INSTALLER_LOG)
            if not state.succeeded:
                raise self._failure(state, 1, remover)
        remover.clear()
        machine.remove(run.leftovers)
        return there or run.note_path in found

    def _evidence(self) -> Evidence:
        found = self._machine.find_files(*self._run.finished_files)
        complete = any(not facts.is_directory for facts in found.values())
        return Evidence(self._unit.state(), self.note(), complete)

    def _start(self, config: Secret, fingerprint: str, *, again: bool) -> None:
        machine = self._machine
        self._unit.clear()
        machine.ensure_directory(STATE_DIRECTORY, 0o700)
        # Before the configuration, and long before the unit: whoever finds one of them finds this as well.
        self._write_note(Note(fingerprint, finished=False))
        machine.ensure_file(self._run.config_path, config.reveal(), 0o600)
        self._protect_log()
        words = ("starting cfy_manager install", *self._run.config_options)
        machine.log(" ".join((*words, "again") if again else words))
        # A rerun needs no removal before: as long as it has not finished once, the installer makes its
        # database anew by itself (`_validate_config_values` of 4.6 sets clean_db).
        self._unit.start("Installation of Cloudify Manager", *self._run.install_command)

    def _protect_log(self) -> None:
        """Make the installer's log before it does, so that only root can read it: 4.3 logs the password."""
        if self._machine.find_file(INSTALLER_LOG) is None:
            self._machine.run(command("mkdir", "-p", "--", INSTALLER_LOG.rpartition("/")[0], sudo=True))
            self._machine.run(
                command("install", "-m", "0600", "-T", "--", "/dev/null", INSTALLER_LOG, sudo=True)
            )

    def _watch(self) -> None:
        state = follow(self._unit, self._watching.timeout_seconds, self._watching, INSTALLER_LOG)
        self._machine.log(f"cfy_manager install: {'gone' if state.gone else state}", logging.DEBUG)

    def _refusal(self, step: Step) -> str:
        removal = " ".join(("cfy_manager", "remove", *self._run.removal_options))
        return _REFUSALS[step].format(machine=self._machine.name, unit=self._run.unit, removal=removal)

    def _failure(self, state: UnitState, starts: int, unit: TransientUnit | None = None) -> CommandFailed:
        unit = unit or self._unit
        lines = "\n".join(unit.last_lines(_LAST_LINES))
        how = (
            f"was gone {starts} times in a row; does the machine reboot?"
            if state.gone
            else f"failed: {state}"
        )
        return CommandFailed(
            f"{unit.name} on {self._machine.name} {how}. Its last lines:\n{lines}\n"
            f"The whole log is {INSTALLER_LOG} there",
            state.exit_status,
            lines,
        )

    def _write_note(self, note: Note) -> None:
        self._machine.ensure_file(self._run.note_path, note.text(), 0o600)


_REFUSALS = {
    Step.REFUSE_FOREIGN: (
        "There is a Cloudify Manager on {machine} that was not installed from here. "
        "Remove it there ({removal}), rebuild the machine, or use another one"
    ),
    Step.REFUSE_OTHER: (
        "The manager on {machine} was installed with another configuration than the one asked for now. "
        "An installed manager is not changed: give the former inputs again, or uninstall it (or rebuild the "
        "machine) and install anew"
    ),
    Step.REFUSE_RUNNING: (
        "An installation with another configuration is running on {machine}. Wait for its end, or stop it "
        "there (systemctl stop {unit}), then try again"
    ),
}
