"""What may help a manager whose machine still lets us log in: its services restarted, itself rebooted."""

from __future__ import annotations

from contextlib import suppress

from cmom.commands import command
from cmom.errors import DeadlinePassed, MachineUnreachable
from cmom.services.generations.interface import Generation
from cmom.services.machine import Machine

_RESTART_SECONDS = 900.0
_REBOOT_SECONDS = 30.0


def restart_services(machine: Machine, generation: Generation) -> None:
    """Restart the manager's services, as its own tool does.

    Raises:
        CommandFailed: It could not.
        MachineUnreachable: It does not let us log in.
    """
    machine.log("restarting the manager's services")
    for words in generation.restarting(machine):
        machine.run(command("cfy_manager", *words, sudo=True, timeout_seconds=_RESTART_SECONDS))


def reboot_machine(machine: Machine) -> None:
    """Reboot a machine from within; the connection does not outlive it.

    Raises:
        CommandFailed: It could not.
        MachineUnreachable: It does not let us log in.
    """
    machine.log("rebooting")
    machine.ssh.connect()
    with suppress(MachineUnreachable, DeadlinePassed):
        machine.run(command("systemctl", "reboot", sudo=True, timeout_seconds=_REBOOT_SECONDS))
