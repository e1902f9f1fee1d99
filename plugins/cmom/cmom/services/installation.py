"""``cfy_manager install`` on a machine: started once, watched from outside, taken up again after anything.

It runs for up to an hour, as a transient systemd unit. A dropped connection or a restarted Tier 2 changes
nothing for it: who comes next finds the unit running, ended, or (after a reboot) gone, and the note that was
left on the machine says with which configuration it was started. What to do then is a decision without any
I/O, `decide`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from cmom.commands import command
from cmom.errors import ActionRequired, CommandFailed, DeadlinePassed, MachineUnreachable, TryAgainLater
from cmom.models import Secret
from cmom.services.installation_state import Evidence, Note, Step, config_fingerprint, decide
from cmom.services.machine import STATE_DIRECTORY, Machine
from cmom.services.manager_config import CONFIG_PATH
from cmom.services.units import TransientUnit, UnitState
from cmom.services.waiting import wait_for

INSTALLER = "/usr/bin/cfy_manager"
INSTALL_UNIT = "cmom-install"
REMOVE_UNIT = "cmom-remove"
NOTE_PATH = f"{STATE_DIRECTORY}/install.json"
INSTALLER_LOG = "/var/log/cloudify/manager/cfy_manager.log"

# The last thing that the installer makes: in 4.3 - 4.6, in 5.0.5, and from 5.1 on (INITIAL_INSTALL_FILE,
# later INITIAL_INSTALL_DIR in its constants.py). Where the second is a directory, only its content counts.
_FINISHED_FILES = (
    "/etc/cloudify/.install",
    "/etc/cloudify/.installed",
    "/etc/cloudify/.installed/manager_service",
)

# ``rpm -e`` keeps a changed config.yaml, with the password in it, under this name.
_SAVED_CONFIG_PATH = f"{CONFIG_PATH}.rpmsave"

# The installer shows the administrator's password on its console ("Admin password: ...", in 4.3 "Manager
# password is ..."); the journal must not have it. With pipefail the exit code is still the installer's.
_MASKING = r"s/\(Admin password:\|Manager password is\) .*/\1 ***/"
_INSTALL = (
    "/bin/bash",
    "-o",
    "pipefail",
    "-c",
    f"{INSTALLER} install 2>&1 | sed -u -e '{_MASKING}'",
)
_REMOVE = (INSTALLER, "remove", "-f")

_LINES_AT_ONCE = 100
_LAST_LINES = 15


@dataclass(frozen=True)
class Watching:
    """How an installation is watched.

    Attributes:
        timeout_seconds: How long it may take.
        interval_seconds: How often it is looked at.
        contact_seconds: For how long the machine may be out of reach meanwhile.
        starts: How often it is started in one call: again after an earlier call's failure, or after a reboot.
    """

    timeout_seconds: float = 3600.0
    interval_seconds: float = 5.0
    contact_seconds: float = 300.0
    starts: int = 2


@dataclass(frozen=True)
class _Outcome:
    """How a watch ended: with the unit's end, or with the loss of the machine."""

    state: UnitState | None = None
    lost: str = ""


class Installation:
    """The manager on one machine.

    Args:
        machine: Where; the package must be installed there.
        watching: How patiently.
    """

    def __init__(self, machine: Machine, watching: Watching | None = None) -> None:
        self._machine = machine
        self._watching = watching or Watching()
        self._unit = TransientUnit(machine, INSTALL_UNIT)
        self._said = ""

    def note(self) -> Note | None:
        """Return what was noted on the machine; None when nothing was ever started there."""
        text = self._machine.read_file(NOTE_PATH)
        return None if text is None else Note.parse(text, f"{NOTE_PATH} on {self._machine.name}")

    def is_installed_with(self, config: Secret) -> bool:
        """Whether the installation ended well, with this configuration."""
        note = self.note()
        return note is not None and note.finished and note.fingerprint == config_fingerprint(config)

    def ensure_installed(self, config: Secret) -> bool:
        """Have a manager with this configuration, started now or by whoever was here before.

        Whether a manager is there at all is asked of the installer's own marker, not of the REST service:
        that answers long before an installation is complete, also after a reboot in the middle of one.

        Args:
            config: The text of ``config.yaml``. It is written before the installer starts, and not after: the
                installer writes its own defaults into the file.

        Returns:
            Whether anything was changed.

        Raises:
            ActionRequired: There is a manager with another configuration, or one that is not ours.
            CommandFailed: The installer failed, or took too long.
            TryAgainLater: The machine is out of reach; the installer may go on without us.
        """
        fingerprint, starts = config_fingerprint(config), 0
        while True:
            evidence = self._evidence()
            step = decide(evidence, fingerprint, starts, self._watching.starts)
            if step is Step.NOTHING:
                self._machine.log("the manager is installed already")
                return starts > 0
            if step is Step.ADOPT:
                self._write_note(Note(fingerprint, finished=True))
                self._machine.log("the manager is installed")
                return True
            if step is Step.START:
                starts += 1
                self._start(config, fingerprint, again=evidence.note is not None)
            elif step is Step.FAIL:
                raise self._failure(evidence.unit, starts)
            elif step is not Step.WATCH:
                raise ActionRequired(_REFUSALS[step].format(machine=self._machine.name))
            self._watch()

    def ensure_removed(self, timeout_seconds: float = 1800.0) -> bool:
        """Remove the manager, its data and everything secret that was written for it.

        Returns:
            Whether there was anything to remove.
        """
        machine = self._machine
        self._unit.clear()
        remover = TransientUnit(machine, REMOVE_UNIT)
        found = machine.find_files(INSTALLER, NOTE_PATH, *_FINISHED_FILES)
        # An installer that was never started has nothing to remove, and might stumble over that.
        there = INSTALLER in found and len(found) > 1
        if there:
            if not remover.state().running:
                remover.clear()
                machine.log("removing the manager")
                remover.start("Removal of Cloudify Manager", *_REMOVE)
            state = self._follow(remover, timeout_seconds)
            if not state.succeeded:
                raise self._failure(state, 1, remover)
        remover.clear()
        machine.remove((CONFIG_PATH, _SAVED_CONFIG_PATH, STATE_DIRECTORY, *_FINISHED_FILES[:2]))
        return there or NOTE_PATH in found

    def _evidence(self) -> Evidence:
        found = self._machine.find_files(*_FINISHED_FILES)
        complete = any(not facts.is_directory for facts in found.values())
        return Evidence(self._unit.state(), self.note(), complete)

    def _start(self, config: Secret, fingerprint: str, *, again: bool) -> None:
        machine = self._machine
        self._unit.clear()
        machine.ensure_directory(STATE_DIRECTORY, 0o700)
        # Before the configuration, and long before the unit: whoever finds one of them finds this as well.
        self._write_note(Note(fingerprint, finished=False))
        machine.ensure_file(CONFIG_PATH, config.reveal(), 0o600)
        self._protect_log()
        machine.log("starting cfy_manager install" + (" again" if again else ""))
        # A rerun needs no removal before: as long as it has not finished once, the installer makes its
        # database anew by itself (`_validate_config_values` of 4.6 sets clean_db).
        self._unit.start("Installation of Cloudify Manager", *_INSTALL)

    def _protect_log(self) -> None:
        """Make the installer's log before it does, so that only root can read it: 4.3 logs the password."""
        if self._machine.find_file(INSTALLER_LOG) is None:
            self._machine.run(command("mkdir", "-p", "--", INSTALLER_LOG.rpartition("/")[0], sudo=True))
            self._machine.run(
                command("install", "-m", "0600", "-T", "--", "/dev/null", INSTALLER_LOG, sudo=True)
            )

    def _watch(self) -> None:
        state = self._follow(self._unit, self._watching.timeout_seconds)
        self._machine.log(f"cfy_manager install: {'gone' if state.gone else state}", logging.DEBUG)

    def _follow(self, unit: TransientUnit, timeout_seconds: float) -> UnitState:
        """Wait for the end of a unit, passing on what it prints; bear a machine out of reach for a while."""
        machine, clock = self._machine, self._machine.clock
        last_contact = clock.monotonic()

        def look() -> _Outcome | None:
            nonlocal last_contact
            try:
                state = unit.state()
                self._pass_on(unit.new_lines())
            except TryAgainLater as error:
                if clock.monotonic() - last_contact < self._watching.contact_seconds:
                    raise
                return _Outcome(
                    lost=f"{machine.name} was lost in the middle of {unit.name}, "
                    f"{clock.monotonic() - last_contact:.0f} s ago: {error}"
                )
            last_contact = clock.monotonic()
            return None if state.running else _Outcome(state)

        try:
            outcome = wait_for(
                look,
                f"{unit.name} on {machine.name} to end",
                wait_seconds=timeout_seconds,
                interval_seconds=self._watching.interval_seconds,
                clock=clock,
            )
        except DeadlinePassed:
            unit.clear()
            lines = "\n".join(unit.last_lines(_LAST_LINES))
            raise CommandFailed(
                f"{unit.name} on {machine.name} did not end within {timeout_seconds:.0f} s and was stopped. "
                f"Its last lines:\n{lines}\nThe whole log is {INSTALLER_LOG} there",
                -1,
                lines,
            ) from None
        if outcome.state is None:
            raise MachineUnreachable(outcome.lost)
        return outcome.state

    def _pass_on(self, lines: list[str]) -> None:
        if len(lines) > _LINES_AT_ONCE:
            self._machine.log(f"[{len(lines) - _LINES_AT_ONCE} lines are left out]")
        for line in lines[-_LINES_AT_ONCE:]:
            self._machine.log(line)

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
        self._machine.ensure_file(NOTE_PATH, note.text(), 0o600)


_REFUSALS = {
    Step.REFUSE_FOREIGN: (
        "There is a Cloudify Manager on {machine} that was not installed from here. "
        "Remove it there (cfy_manager remove -f), rebuild the machine, or use another one"
    ),
    Step.REFUSE_OTHER: (
        "The manager on {machine} was installed with another configuration than the one asked for now. "
        "An installed manager is not changed: give the former inputs again, or uninstall it (or rebuild the "
        "machine) and install anew"
    ),
    Step.REFUSE_RUNNING: (
        "An installation with another configuration is running on {machine}. Wait for its end, or stop it "
        f"there (systemctl stop {INSTALL_UNIT}), then try again"
    ),
}
