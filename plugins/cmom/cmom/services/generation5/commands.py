"""``cfy_manager brokers`` and ``dbs`` on a member: what changes the two clusters below the managers.

Each change is a transient unit, like an installation: a dropped connection or a restarted Tier 2 leaves it
running, and who comes next waits for its end and looks at the state anew.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cmom.commands import command
from cmom.errors import CommandFailed, TryAgainLater
from cmom.services.generation5.layout import Service
from cmom.services.installation import INSTALLER, INSTALLER_LOG
from cmom.services.machine import Machine
from cmom.services.unit_runs import Watching, follow
from cmom.services.units import TransientUnit

_UNIT = "cmom-membership"
_CHANGE_SECONDS = 600.0
_LIST_SECONDS = 120.0
_LAST_LINES = 15
# How installer, etcd and brokers say that too few members are alive; with time, or a heal, they are again.
_NO_MAJORITY = (
    "Etcd is not responding",
    "No DB leader found",
    "could not connect to a leader",
    "unable to perform an operation on node",
)


@dataclass(frozen=True)
class DatabaseNode:
    """A row of ``cfy_manager dbs list``.

    Attributes:
        state: ``leader``, ``sync_replica``, ``async_replica`` or ``dead``.
    """

    address: str
    state: str
    alive: bool


@dataclass(frozen=True)
class Outcome:
    """How a change ended, and what it said."""

    ok: bool
    said: str


class MemberCommands:
    """The commands on one member's machine.

    Args:
        machine: Where; the services in question are installed there.
        watching: How patiently.
    """

    def __init__(self, machine: Machine, watching: Watching | None = None) -> None:
        self.machine = machine
        self._watching = watching or Watching()

    def brokers(self) -> dict[str, bool]:
        """List the brokers of the cluster, without ``rabbit@``, and whether each runs.

        Raises:
            TryAgainLater: The broker here does not tell.
        """
        ok, text = self._list(Service.BROKER, "brokers")
        rows = _rows(text)
        if not ok or not rows:
            raise TryAgainLater(f"The brokers cannot be listed on {self.machine.name}: {_last_line(text)}")
        return {row[0].rpartition("@")[2]: row[1] == "True" for row in rows}

    def databases(self) -> tuple[DatabaseNode, ...]:
        """List the databases of the cluster, by etcd's own word.

        The exit code is the state of the cluster, and 1 is what an error gives, too: a table tells
        them apart.

        Raises:
            TryAgainLater: The database here does not tell: etcd has no majority, say.
        """
        _ok, text = self._list(Service.DATABASE, "dbs")
        rows = _rows(text)
        if not rows:
            raise TryAgainLater(f"The databases cannot be listed on {self.machine.name}: {_last_line(text)}")
        return tuple(DatabaseNode(row[0], row[1], row[2] == "True") for row in rows)

    def remove_broker(self, name: str) -> Outcome:
        """Take a broker that does not run out of the cluster."""
        return self._change(Service.BROKER, "brokers", "remove", "-r", name)

    def join_broker(self, name: str) -> Outcome:
        """Let the broker here join the cluster of another one."""
        return self._change(Service.BROKER, "brokers", "add", "-j", name)

    def remove_database(self, address: str, role: Service) -> Outcome:
        """Take a database out of the cluster (as a database), or off what a manager uses (as a manager)."""
        return self._change(role, "dbs", "remove", "-a", address)

    def add_database(self, address: str) -> Outcome:
        """Let the manager here use another database."""
        return self._change(Service.MANAGER, "dbs", "add", "-a", address)

    def set_database_master(self, address: str) -> Outcome:
        """Let another database lead."""
        return self._change(Service.DATABASE, "dbs", "set-master", "-a", address)

    def _list(self, service: Service, what: str) -> tuple[bool, str]:
        words = (INSTALLER, what, "list", *service.run.config_options)
        result = self.machine.run(command(*words, sudo=True, timeout_seconds=_LIST_SECONDS), check=False)
        return result.ok, f"{result.stdout}\n{result.stderr}"

    def _change(self, service: Service, *words: str) -> Outcome:
        unit = TransientUnit(self.machine, _UNIT)
        if unit.state().running:  # of a former run of ours; what it does is looked at afterwards
            follow(unit, _CHANGE_SECONDS, self._watching, INSTALLER_LOG)
        unit.clear()
        self.machine.log(f"cfy_manager {' '.join(words)}")
        unit.start("Change of the cluster", INSTALLER, *words, *service.run.config_options)
        state = follow(unit, _CHANGE_SECONDS, self._watching, INSTALLER_LOG)
        said = "\n".join(unit.last_lines(_LAST_LINES))
        unit.clear()
        return Outcome(state.succeeded, said)


def demand(outcome: Outcome, machine: Machine, doing: str, *fine: str) -> bool:
    """Tell whether a change was made; False when what was said means that there was nothing to change.

    Args:
        outcome: Of the change.
        machine: Where.
        doing: A phrase for messages.
        fine: Words of the refusals that are as good as success.

    Raises:
        TryAgainLater: It was refused because too few members are alive.
        CommandFailed: It was refused for another reason.
    """
    if outcome.ok:
        return True
    if any(words in outcome.said for words in fine):
        return False
    message = (
        f"{doing[:1].upper()}{doing[1:]} on {machine.name} failed. What it said last:\n{outcome.said}\n"
        f"The whole log is {INSTALLER_LOG} there"
    )
    if lacks_majority(outcome.said):
        raise TryAgainLater(message)
    raise CommandFailed(message, 1, outcome.said)


def lacks_majority(said: str) -> bool:
    """Tell whether a command failed because too few members are alive."""
    return any(words in said for words in _NO_MAJORITY)


def _rows(text: str) -> list[list[str]]:
    """Read a table of ``cfy_manager``: its rows, without the heading."""
    lines = [line.strip() for line in text.splitlines()]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("|") and not re.fullmatch(r"[|+\-= ]+", line)
    ]
    return rows[1:]


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
