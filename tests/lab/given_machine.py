"""Machines of the lab as the services see them, and a clock that does not wait long."""

from __future__ import annotations

import logging
import time
from typing import Any

from cmom.clients.ssh import Deadlines, SshClient
from cmom.models import Host, SshAccess
from cmom.services.machine import Machine
from lab.testing import LabThread

CANARY = "canary-Zx9!pässwörd$"

# Long enough for a machine with busy cores, short enough where silence is what is tested.
PATIENT = Deadlines(connect_seconds=20.0, login_seconds=30.0, stall_seconds=30.0)
IMPATIENT = Deadlines(connect_seconds=1.0, login_seconds=1.5, stall_seconds=1.5)


class QuickClock:
    """A clock whose pauses are a hundred times shorter than asked for; the time it tells passes as asked."""

    def __init__(self) -> None:
        self._slept = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._slept

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 100)
        self._slept += seconds


def ssh_to(lab: LabThread, name: str = "m1", **options: Any) -> SshClient:
    """A client for a machine of the lab; the caller closes it."""
    machine = lab.machine(name)
    options = {"deadlines": PATIENT, "secrets": [CANARY], **options}
    access = SshAccess(machine.ssh_user, str(options.pop("key", lab.ssh_key)), machine.ssh_port)
    return SshClient(machine.public_ip, access, **options)


def machine_of(ssh: SshClient, lab: LabThread, name: str = "m1") -> Machine:
    """The service for a machine of the lab."""
    one = lab.machine(name)
    host = Host(one.ip, one.public_ip, one.hostname)
    return Machine(host, ssh, logging.getLogger("tests.machine"), QuickClock())
