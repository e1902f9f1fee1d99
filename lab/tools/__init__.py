"""The commands of an emulated machine that are the lab's own.

Each is a coroutine that takes a ToolCall and returns the exit code; what it refuses, and with which
words, is what the real command on CentOS 7 does.
"""

from __future__ import annotations

import functools

from lab.tools.call import Tool


@functools.cache
def _tools() -> dict[str, Tool]:
    # Imported late: the modules know the machine, and the machine knows the server of its tools.
    from lab.tools import (
        cfy_manager,
        curl,
        host,
        journal,
        privileges,
        rpm,
        systemctl,
        systemd_run,
    )

    modules = (cfy_manager, curl, host, journal, privileges, rpm, systemctl, systemd_run)
    return {name: tool for module in modules for name, tool in module.TOOLS.items()}


def find_tool(name: str) -> Tool | None:
    """The command of this name."""
    return _tools().get(name)
