"""A backup by a process of its own, whose disk is too small: run as a program, told on standard input."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import resource
import sys
from pathlib import Path
from typing import Any

from cmom.errors import CmomError
from cmom.models import ManagerAccess, Secret, Version
from cmom.services.snapshots.backup import BackupSettings
from cmom.services.snapshots.creation import CreationTimes
from cmom.services.tier1 import connect
from cmom.services.waiting import SystemClock
from tests.lab.given_snapshots import Backups


def mount_tmpfs(folder: Path, size_bytes: int) -> None:
    """Mount a file system of a size; only this process sees it."""
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"size={size_bytes}".encode()
    if libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, options) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main(told: dict[str, Any]) -> dict[str, Any]:
    """Take a backup; return the error it ended with, and what lies in the folder."""
    folder = Path(told["folder"])
    if told.get("disk_bytes"):
        mount_tmpfs(folder, told["disk_bytes"])
    access = ManagerAccess("admin", Secret(told["password"]), told["ca_cert"], told["port"])
    settings = BackupSettings(spare_bytes=told["spare_bytes"], times=CreationTimes(poll_seconds=0.05))
    version = Version.parse("4.6.0")
    with connect([told["ip"]], access, version, logging.getLogger("small")) as tier1:
        backups = Backups(tier1, SystemClock(), folder, settings)
        backups.store.prepare()
        if told.get("file_bytes"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (told["file_bytes"], told["file_bytes"]))
        try:
            backups.take("mine")
        except CmomError as error:
            return {"kind": type(error).__name__, "error": str(error), "files": backups.files()}
    return {"kind": "", "error": "", "files": backups.files()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.load(sys.stdin))))
