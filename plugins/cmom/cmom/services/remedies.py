"""What may help a manager whose machine still lets us log in: its services restarted, itself rebooted."""

from __future__ import annotations

import logging
from contextlib import suppress

from cmom.clients.ssh import SshClient
from cmom.commands import command
from cmom.errors import DeadlinePassed, MachineUnreachable
from cmom.models import Host
from cmom.services.machine import Machine

_RESTART_SECONDS = 900.0
_REBOOT_SECONDS = 30.0


def restart_services(host: Host, ssh: SshClient, logger: logging.Logger) -> None:
    """Restart all services of the manager, as its own tool does.

    Raises:
        CommandFailed: It could not.
        MachineUnreachable: It does not let us log in.
    """
    machine = Machine(host, ssh, logger)
    machine.log("restarting the manager's services")
    machine.run(command("cfy_manager", "restart", sudo=True, timeout_seconds=_RESTART_SECONDS))


def reboot_machine(host: Host, ssh: SshClient, logger: logging.Logger) -> None:
    """Reboot a machine from within; the connection does not outlive it.

    Raises:
        CommandFailed: It could not.
        MachineUnreachable: It does not let us log in.
    """
    machine = Machine(host, ssh, logger)
    machine.log("rebooting")
    ssh.connect()
    with suppress(MachineUnreachable, DeadlinePassed):
        machine.run(command("systemctl", "reboot", sudo=True, timeout_seconds=_REBOOT_SECONDS))
