"""A long command as a transient systemd unit: it goes on when nobody watches, and its end can be asked for.

Only what systemd 219 (CentOS 7) knows is used: no ``--wait``, no ``--collect``, no ``--pipe``. With
``--remain-after-exit`` a unit that ended well stays as *active (exited)*, one that failed as *failed*, both
until the machine reboots; then it is gone. A unit that is there in any state is not started again: it has to
be stopped, or its failure reset, before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cmom.commands import command
from cmom.errors import ActionRequired
from cmom.services.machine import Machine

_PROPERTIES = ("LoadState", "ActiveState", "SubState", "Result", "ExecMainCode", "ExecMainStatus")
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_CURSOR = "-- cursor: "


@dataclass(frozen=True)
class UnitState:
    """What ``systemctl show`` says of a unit."""

    load: str = "not-found"
    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    exit_status: int = 0

    @property
    def running(self) -> bool:
        """Whether its command has not ended."""
        return self.active in ("activating", "deactivating", "reloading") or (
            self.active == "active" and self.sub != "exited"
        )

    @property
    def succeeded(self) -> bool:
        """Whether its command ended with 0."""
        return self.active == "active" and self.sub == "exited"

    @property
    def failed(self) -> bool:
        """Whether its command ended badly."""
        return self.active == "failed"

    @property
    def gone(self) -> bool:
        """Whether the machine knows nothing of it: never started, or before the last boot."""
        return not (self.running or self.succeeded or self.failed)

    def __str__(self) -> str:
        if self.result == "exit-code":
            return f"exit code {self.exit_status}"
        return f"signal {self.exit_status}" if self.result in ("signal", "core-dump") else self.result


class TransientUnit:
    """One unit on one machine.

    Args:
        machine: Where.
        name: Without ``.service``.
    """

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine = machine
        self.name = name
        self._unit = f"{name}.service"
        # From where on the journal is new to us; who comes later sees the last lines first.
        self._since: tuple[str, ...] = ("-n", "5")

    def state(self) -> UnitState:
        """Look at it."""
        shown = self.machine.run(
            command("systemctl", "show", "-p", ",".join(_PROPERTIES), self._unit, sudo=True)
        )
        return parse_show(shown.stdout)

    def start(self, description: str, *parts: str) -> None:
        """Start a command as this unit, which must be `gone` (see `clear`); it prints to the journal."""
        cursor = self._end_of_journal()
        self._since = (f"--after-cursor={cursor}",) if cursor else ()
        self.machine.run(
            command(
                "systemd-run",
                f"--unit={self.name}",
                f"--description={description}",
                "--remain-after-exit",
                # systemd gives root's services no home, and some programs do not start without.
                "--setenv=HOME=/root",
                *parts,
                sudo=True,
            )
        )

    def clear(self) -> None:
        """Stop it if it runs, and forget how it ended."""
        if self.state().gone:
            return
        self.machine.run(command("systemctl", "stop", self._unit, sudo=True, timeout_seconds=150.0))
        if self.state().failed:
            self.machine.run(command("systemctl", "reset-failed", self._unit, sudo=True))
        if not self.state().gone:
            raise ActionRequired(
                f"The unit {self.name} on {self.machine.name} cannot be stopped; look at it there"
            )

    def new_lines(self) -> list[str]:
        """Return what it printed since the last call (since its last lines, at the first)."""
        lines, cursor = self._read(*self._since)
        if cursor:
            self._since = (f"--after-cursor={cursor}",)
        return lines

    def last_lines(self, count: int = 20) -> list[str]:
        """Return the end of what it printed."""
        return self._read("-n", str(count))[0]

    def _read(self, *choice: str) -> tuple[list[str], str]:
        shown = self.machine.run(
            command(
                "journalctl",
                "-q",
                "--no-pager",
                "-u",
                self._unit,
                "-o",
                "cat",
                "--show-cursor",
                *choice,
                sudo=True,
            )
        )
        return parse_journal(shown.stdout)

    def _end_of_journal(self) -> str:
        shown = self.machine.run(
            command("journalctl", "-q", "--no-pager", "-o", "cat", "--show-cursor", "-n", "1", sudo=True)
        )
        return parse_journal(shown.stdout)[1]


def parse_show(text: str) -> UnitState:
    """Read the output of ``systemctl show -p ...``."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return UnitState(
        load=values.get("LoadState", "not-found"),
        active=values.get("ActiveState", "inactive"),
        sub=values.get("SubState", "dead"),
        result=values.get("Result", "success"),
        exit_status=int(values.get("ExecMainStatus") or 0),
    )


def parse_journal(text: str) -> tuple[list[str], str]:
    """Read the output of ``journalctl -o cat --show-cursor``.

    Returns:
        The lines, without colours, empty ones and journalctl's own remarks; and the cursor, empty if none
        was shown.
    """
    lines, cursor = [], ""
    for raw in text.splitlines():
        line = _COLOURS.sub("", raw).rstrip()
        if line.startswith(_CURSOR):
            cursor = line[len(_CURSOR) :]
        elif line and not (line.startswith("-- ") and line.endswith(" --")):
            lines.append(line)
    return lines, cursor
