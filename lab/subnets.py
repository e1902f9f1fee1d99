"""Loopback addresses for a lab that no other lab of this machine uses, whichever process it runs in."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Sequence

from lab.core import FIRST_HOST, LabConfig, LabError
from lab.network import AddressTakenError, check_free

_TRIES = 100


def any_subnet(ports: Sequence[int], machines: int) -> tuple[str, socket.socket]:
    """Return the first three numbers of addresses that nobody uses, and what holds them until it is closed.

    Args:
        ports: Which must be free at each address.
        machines: How many addresses there have to be.

    Raises:
        LabError: None was found.
    """
    chooser = random.Random(os.urandom(8))
    for _ in range(_TRIES):
        subnet = f"127.{chooser.randint(2, 254)}.{chooser.randint(1, 254)}"
        lock = _reserve(subnet, ports, machines)
        if lock is not None:
            return subnet, lock
    raise LabError(f"no free subnet of 127.0.0.0/8 for {machines} machines on ports {ports}")


def first_subnet(machines: int) -> tuple[str, socket.socket]:
    """Return the same, near the lab's usual addresses, such as ``127.77.1``; on its usual ports.

    Raises:
        LabError: All are taken.
    """
    defaults = LabConfig()
    start = defaults.subnet.rpartition(".")[0]
    for number in range(1, 255):
        subnet = f"{start}.{number}"
        lock = _reserve(subnet, (defaults.ssh_port, defaults.rest_port), machines)
        if lock is not None:
            return subnet, lock
    raise LabError(f"all addresses of {start}.* are taken by other labs")


def _reserve(subnet: str, ports: Sequence[int], machines: int) -> socket.socket | None:
    """Return the lock of a subnet, or None when somebody has it or listens there.

    It is an abstract socket: held across processes, and gone with the process. Whoever looks while another
    lab has chosen its addresses, and does not listen there yet, sees the lock.
    """
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        lock.bind(f"\0lab-subnet-{subnet}")
    except OSError:
        lock.close()
        return None
    addresses = [f"{subnet}.{FIRST_HOST + machine}" for machine in range(max(1, machines))]
    try:
        for port in ports:
            check_free(addresses, port)
    except AddressTakenError:
        lock.close()
        return None
    return lock
