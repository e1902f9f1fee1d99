"""What the figures were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path


def describe() -> str:
    """Return processor, cores, memory, kernel and the versions that matter, in one line."""
    model = re.search(
        r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE
    )
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    curl = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=False).stdout.split()
    parts = [
        f"{len(os.sched_getaffinity(0))} cores of {model[1].strip() if model else platform.machine()}",
        f"{memory_bytes / 2**30:.0f} GiB of memory",
        # Its number alone: what a distribution or a cloud adds to it names them, not the kernel.
        f"{platform.system()} {platform.release().partition('-')[0]}",
        f"Python {platform.python_version()}",
        f"cfy {importlib.metadata.version('cloudify')}",
    ]
    if len(curl) > 1:
        parts.append(f"curl {curl[1]}")
    return ", ".join(parts)
