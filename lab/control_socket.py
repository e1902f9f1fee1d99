"""The lab's control socket: a unix socket in its folder, JSON lines in both directions.

A request is `{"command": NAME, ...arguments}`, the answer `{"ok": true, "result": ...}` or
`{"ok": false, "error": SENTENCE}`. Who may open the folder's socket (mode 0600) controls the lab.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

NAME = "control.sock"
MAX_LINE_BYTES = 1 << 20


def bind(folder: Path) -> socket.socket:
    """A listening socket in the folder; one that is there already is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    (folder / NAME).unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        _in_folder(folder, listener.bind)
    finally:
        os.umask(before)
    listener.listen(16)
    return listener


def connect(folder: Path, timeout_seconds: float) -> socket.socket:
    """A connection to the lab in the folder.

    Raises:
        OSError: none answers there.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(timeout_seconds)
    try:
        _in_folder(folder, client.connect)
    except BaseException:
        client.close()
        raise
    return client


def _in_folder(folder: Path, use: Callable[[str], None]) -> None:
    # Socket paths end at 108 bytes, the folder's own path may be longer.
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        use(f"/proc/self/fd/{descriptor}/{NAME}")
    finally:
        os.close(descriptor)
