"""Files of this machine, opened without waiting for what only looks like one."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


def open_file(path: str | Path) -> BufferedReader:
    """Open a file to be read; a pipe or a device in its place is not waited for.

    Raises:
        OSError: It cannot be opened, or is no file.
        ValueError: The path is none.
    """
    file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115 - the caller's
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a file")
    return file
