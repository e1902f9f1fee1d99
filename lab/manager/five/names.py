"""Names as a machine resolves them: addresses themselves, and its own /etc/hosts."""

from __future__ import annotations

from lab.manager.five import certs
from lab.manager.host import Machine

HOSTS = "/etc/hosts"


def resolve(machine: Machine, name: str) -> str | None:
    """The address of a name; None when the machine does not know it."""
    if certs.is_address(name):
        return name
    if name in (machine.hostname, "localhost"):
        return machine.ip
    hosts = machine.path(HOSTS)
    for line in hosts.read_text(encoding="utf-8").splitlines() if hosts.is_file() else ():
        words = line.partition("#")[0].split()
        if name in words[1:]:
            return words[0]
    return None
