"""Following a transient unit to its end: what it prints is passed on, a lost machine is borne."""

from __future__ import annotations

from dataclasses import dataclass

from cmom.errors import CommandFailed, DeadlinePassed, MachineUnreachable, TryAgainLater
from cmom.services.units import TransientUnit, UnitState
from cmom.services.waiting import wait_for

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


def follow(unit: TransientUnit, timeout_seconds: float, watching: Watching, log_path: str = "") -> UnitState:
    """Wait for the end of a unit, passing on what it prints; bear a machine out of reach for a while.

    Args:
        unit: Which.
        timeout_seconds: How long it may take; then it is stopped.
        watching: How patiently it is watched.
        log_path: Where on the machine more can be read; for messages.

    Raises:
        CommandFailed: It took too long.
        MachineUnreachable: The machine was lost for longer than `Watching.contact_seconds`.
    """
    machine, clock = unit.machine, unit.machine.clock
    last_contact = clock.monotonic()

    def look() -> _Outcome | None:
        nonlocal last_contact
        try:
            state = unit.state()
            _pass_on(unit, unit.new_lines())
        except TryAgainLater as error:
            if clock.monotonic() - last_contact < watching.contact_seconds:
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
            interval_seconds=watching.interval_seconds,
            clock=clock,
        )
    except DeadlinePassed:
        unit.clear()
        lines = "\n".join(unit.last_lines(_LAST_LINES))
        more = f"\nThe whole log is {log_path} there" if log_path else ""
        raise CommandFailed(
            f"{unit.name} on {machine.name} did not end within {timeout_seconds:.0f} s and was stopped. "
            f"Its last lines:\n{lines}{more}",
            -1,
            lines,
        ) from None
    if outcome.state is None:
        raise MachineUnreachable(outcome.lost)
    return outcome.state


def _pass_on(unit: TransientUnit, lines: list[str]) -> None:
    if len(lines) > _LINES_AT_ONCE:
        unit.machine.log(f"[{len(lines) - _LINES_AT_ONCE} lines are left out]")
    for line in lines[-_LINES_AT_ONCE:]:
        unit.machine.log(line)
