"""Who may read and write what on an emulated machine.

On the host every file of the lab belongs to the one user who runs it, so ownership cannot tell the
machine's root and its SSH user apart. Place and mode do instead: the user owns its home, /tmp and
/var/tmp; everything else is root's, and there the permission bits for others decide what the user
may read. The SFTP server, the interpreter and the covers of the namespaces all ask here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_SKIPPED = ("/proc", "/dev", "/usr", "/run/lab")
# Nothing in these is the machine's own and secret.


class Access:
    """The rules for one machine's disk.

    Args:
        disk: the host's path of the machine's root.
        home: the home directory of the SSH user, as the machine names it.
    """

    def __init__(self, disk: Path, home: str) -> None:
        self._disk = disk
        self.owned = (home, "/tmp", "/var/tmp")

    def may_write(self, inside: str) -> bool:
        """Whether the user may create, change or remove this path (with symlinks resolved)."""
        return any(PurePosixPath(inside).is_relative_to(place) for place in self.owned)

    def may_read(self, inside: str) -> bool:
        """Whether the user may read this path (with symlinks resolved)."""
        path = PurePosixPath(inside)
        if self.may_write(inside):
            return True
        for place in [*reversed(path.parents), path]:
            try:
                mode = os.lstat(self._disk / str(place).lstrip("/")).st_mode
            except OSError:
                return True
            if _closed(mode):
                return False
        return True

    def hidden(self) -> list[str]:
        """The outermost paths that only root may read."""
        return sorted(self._walk(self._disk, "/"))

    def _walk(self, folder: Path, inside: str) -> Iterator[str]:
        try:
            entries = list(os.scandir(folder))
        except OSError:
            return
        for entry in entries:
            path = f"{inside.rstrip('/')}/{entry.name}"
            if entry.is_symlink() or path in _SKIPPED or path in self.owned:
                continue
            if _closed(entry.stat(follow_symlinks=False).st_mode):
                yield path
            elif entry.is_dir(follow_symlinks=False):
                yield from self._walk(folder / entry.name, path)


def _closed(mode: int) -> bool:
    """Whether others are kept out: a file they cannot read, a directory they cannot enter."""
    if stat.S_ISDIR(mode):
        return not mode & stat.S_IXOTH
    return stat.S_ISREG(mode) and not mode & stat.S_IROTH
