"""The files of a machine as one caller may use them."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from lab.disk import Disk, Place
from lab.sandbox.access import Access

_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


class Files:
    """The disk with the rights of root or of the user.

    Args:
        disk: the machine's.
        access: its rules.
        privileged: whether root looks.
        cwd: what relative paths count from.
    """

    def __init__(self, disk: Disk, access: Access, privileged: bool, cwd: str) -> None:
        self._disk = disk
        self._access = access
        self.privileged = privileged
        self.cwd = cwd

    def place(self, path: str, *, follow: bool = True) -> Place:
        """Where a path leads; rights are not looked at."""
        if not path:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        absolute = path if path.startswith("/") else f"{self.cwd}/{path}"
        place = self._disk.place(absolute, follow_last=follow)
        if place.inside in _DEVICES:
            return Place(place.inside, Path(place.inside))
        return place

    def readable(self, path: str, *, follow: bool = True) -> Path:
        """The host's path of what may be read.

        Raises:
            PermissionError: not by this caller.
        """
        place = self.place(path, follow=follow)
        if not self.privileged and not self._access.may_read(place.inside):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return place.host

    def statable(self, path: str, *, follow: bool = True) -> Path:
        """The host's path of what may be looked at: what is in a closed directory may not."""
        place = self.place(path, follow=follow)
        parent = place.inside.rpartition("/")[0] or "/"
        if not self.privileged and not self._access.may_read(parent):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return place.host

    def writable(self, path: str, *, follow: bool = True) -> Path:
        """The host's path of what may be created, changed or removed.

        Raises:
            PermissionError: not by this caller.
        """
        place = self.place(path, follow=follow)
        allowed = self.privileged or self._access.may_write(place.inside)
        if place.inside in _DEVICES or allowed:
            return place.host
        if not place.host.exists() and not place.host.parent.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    def may_write(self, path: str) -> bool:
        """Whether an existing path may be written; root may."""
        place = self.place(path)
        if self.privileged:
            return True
        mode = place.host.stat().st_mode
        return self._access.may_write(place.inside) and bool(mode & stat.S_IWUSR)

    def owner(self, path: str) -> str:
        """Who owns a path: the user its own places, root the rest."""
        place = self.place(path)
        return "user" if self._access.may_write(place.inside) else "root"
