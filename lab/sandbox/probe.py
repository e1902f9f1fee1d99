"""Finding out whether this system lets a machine have namespaces: by making one.

Containers, hardened kernels and AppArmor forbid different steps of it, so nothing short of the real
thing tells.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from lab import provision
from lab.sandbox.base import Command
from lab.sandbox.namespace import START_SECONDS, NamespaceSandbox, NamespaceUnavailableError

_reasons: dict[int, str | None] = {}
# By device: a file system mounted noexec refuses what another one allows.


async def unavailable_reason(folder: Path) -> str | None:
    """Why namespaces do not work for machines below `folder`; None when they do. Tried once."""
    device = folder.stat().st_dev
    if device not in _reasons:
        _reasons[device] = await _try(folder)
    return _reasons[device]


async def _try(folder: Path) -> str | None:
    with tempfile.TemporaryDirectory(prefix="probe-", dir=folder) as scratch:
        disk = Path(scratch, "disk")
        identity = provision.Identity("probe", "probe", "centos", "127.0.0.1")
        provision.make_disk(disk, identity)
        sandbox = NamespaceSandbox(provision.plan(disk, identity, list))
        await sandbox.start()
        try:
            for privileged in (True, False):
                code = await _run_true(sandbox, privileged)
                if code != 0:
                    return f"a command in it ended with {code}"
        except (OSError, NamespaceUnavailableError, asyncio.TimeoutError) as error:
            return str(error) or type(error).__name__
        finally:
            await sandbox.stop()
            provision.remove_disk(disk)
    return None


async def _run_true(sandbox: NamespaceSandbox, privileged: bool) -> int:
    command = Command(("/bin/bash", "-c", "id -u"), "/", {"PATH": "/usr/bin:/bin"}, privileged)
    with open(os.devnull, "r+b", buffering=0) as null:
        job = await sandbox.spawn(command, (null.fileno(), null.fileno(), null.fileno()))
        return await asyncio.wait_for(job.wait(), START_SECONDS)
