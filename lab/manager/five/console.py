"""The words of a run: in colour on standard output, errors plain on standard error too, all in the log."""

from __future__ import annotations

import time
from collections.abc import Callable

from lab.manager.host import Machine

LOG_FILE = "/var/log/cloudify/manager/cfy_manager.log"
_COLOURS = {"DEBUG": 34, "INFO": 37, "NOTICE": 32, "WARNING": 33, "ERROR": 31}

Out = Callable[[str], None]


class Console:
    """Where one run of `cfy_manager` speaks.

    Args:
        machine: Whose log file.
        out: Receives each line of standard output.
        err: Receives each line of standard error.
        verbose: Whether DEBUG is shown, too.
    """

    def __init__(self, machine: Machine, out: Out, err: Out, *, verbose: bool = False) -> None:
        self._out, self._err, self._verbose = out, err, verbose
        self._file = machine.path(LOG_FILE)

    def say(self, component: str, level: str, message: str) -> None:
        """One line at a level."""
        moment = time.strftime("%Y-%m-%d %H:%M:%S") + ",000"
        name, colour = f"[{component.upper()}]", _COLOURS[level]
        if level != "DEBUG" or self._verbose:
            self._out(
                f"{moment} - \033[1;34m{name}\033[0m - \033[1;{colour}m{level}\033[0m - "
                f"\033[0;{colour}m{message}\033[0m"
            )
        if level == "ERROR":
            self._err(message)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as log:
            log.write(f"{moment} - {name} - {level} - {message}\n")

    def plain(self, line: str) -> None:
        """A line that is printed and not logged."""
        self._out(line)

    def fail(self, error: Exception) -> int:
        """Say what an exception that ends the run says; returns the exit code."""
        name, words = type(error).__name__, str(error)
        self.say("MAIN", "ERROR", f"{name}: {words}" if words else name)
        return 1

    def table(self, rows: list[dict[str, object]], columns: tuple[str, ...]) -> None:
        """A table with borders, each cell in the middle of its column."""
        texts = [[_cell(row[column]) for column in columns] for row in rows]
        widths = [
            max(len(text) for text in (column, *(row[number] for row in texts))) + 2
            for number, column in enumerate(columns)
        ]
        border = "+" + "".join("-" * width + "+" for width in widths)
        self._out(border)
        self._out(_line(list(columns), widths))
        self._out(border)
        for row in texts:
            self._out(_line(row, widths))
        self._out(border)


def _cell(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _line(cells: list[str], widths: list[int]) -> str:
    return "|" + "".join(cell.center(width) + "|" for cell, width in zip(cells, widths, strict=True))
