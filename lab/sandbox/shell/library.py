"""All programs of the interpreter, by name."""

from __future__ import annotations

from lab.sandbox.shell import commands_files, commands_system, commands_text
from lab.sandbox.shell.context import ShellCommand

COMMANDS: dict[str, ShellCommand] = {
    **commands_files.COMMANDS,
    **commands_text.COMMANDS,
    **commands_system.COMMANDS,
}
