"""SFTP on an emulated machine: the SSH user's rights on the machine's disk."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh

from lab.provision import USER_ID

if TYPE_CHECKING:
    from lab.machine import Machine
    from lab.ssh_server import Session

_WRITE_FLAGS = asyncssh.FXF_WRITE | asyncssh.FXF_APPEND | asyncssh.FXF_CREAT | asyncssh.FXF_TRUNC


class MachineSftp(asyncssh.SFTPServer):
    """One SFTP session. Paths are the machine's; a relative one starts in the user's home.

    Args:
        channel: the SSH channel.
        machine: whose disk.
        session: the connection, for faults that cut it.
    """

    def __init__(self, channel: asyncssh.SSHServerChannel[Any], machine: Machine, session: Session) -> None:
        super().__init__(channel)
        self._machine = machine
        self._session = session
        self._cuts: dict[int, int] = {}

    def _place(self, path: bytes, *, follow: bool = True) -> tuple[str, Path]:
        text = os.fsdecode(path)
        if not text.startswith("/"):
            text = f"{self._machine.identity.home}/{text}"
        place = self._machine.disk_map.place(text, follow_last=follow)
        return place.inside, place.host

    def _readable(self, path: bytes, *, follow: bool = True) -> bytes:
        inside, host = self._place(path, follow=follow)
        if not self._machine.access.may_read(inside):
            raise _denied(path)
        return os.fsencode(host)

    def _statable(self, path: bytes, *, follow: bool = True) -> bytes:
        # What is in a closed directory cannot be seen; the closed thing itself can.
        inside, host = self._place(path, follow=follow)
        parent = inside.rpartition("/")[0] or "/"
        if not self._machine.access.may_read(parent):
            raise _denied(path)
        return os.fsencode(host)

    def _writable(self, path: bytes, *, follow: bool = True) -> bytes:
        inside, host = self._place(path, follow=follow)
        if inside in self._machine.access.owned and not follow:
            raise _denied(path)
        if not self._machine.access.may_write(inside):
            # Said before a missing folder is, unless nothing can be seen there anyway.
            if not host.exists() and not host.parent.exists():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            raise _denied(path)
        return os.fsencode(host)

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        target = self._writable(path) if pflags & _WRITE_FLAGS else self._readable(path)
        fault = self._machine.faults.match({"ssh-cut"}, f"sftp {os.fsdecode(path)}", needs_path=True)
        host = os.fsdecode(target)
        if os.path.isdir(host):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        file = super().open(target, pflags, attrs)
        if fault is not None:
            self._cuts[id(file)] = fault.after_bytes
        return file

    def write(self, file_obj: Any, offset: int, data: bytes) -> int:
        left = self._cuts.get(id(file_obj))
        file_obj.seek(offset)
        if left is None:
            return int(file_obj.write(data))
        written = int(file_obj.write(data[:left])) if left else 0
        self._cuts[id(file_obj)] = left - written
        if written >= left:
            self._session.cut()
        return len(data)

    def close(self, file_obj: Any) -> None:
        self._cuts.pop(id(file_obj), None)
        file_obj.close()

    def stat(self, path: bytes) -> asyncssh.SFTPAttrs:
        return self._attributes(path, os.stat(self._statable(path)))

    def lstat(self, path: bytes) -> asyncssh.SFTPAttrs:
        return self._attributes(path, os.lstat(self._statable(path, follow=False)), follow=False)

    def _attributes(self, path: bytes, seen: os.stat_result, *, follow: bool = True) -> asyncssh.SFTPAttrs:
        inside, _ = self._place(path, follow=follow)
        attributes = asyncssh.SFTPAttrs.from_local(seen)
        owned = self._machine.access.may_write(inside)
        attributes.uid = attributes.gid = USER_ID if owned else 0
        return attributes

    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        super().setstat(self._writable(path), _without_owner(attrs))

    def lsetstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        super().lsetstat(self._writable(path, follow=False), _without_owner(attrs))

    def fsetstat(self, file_obj: Any, attrs: asyncssh.SFTPAttrs) -> None:
        super().fsetstat(file_obj, _without_owner(attrs))

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        host = self._readable(path)
        for name in (b".", b"..", *sorted(os.listdir(host))):
            inside = os.path.join(path, name)
            seen = os.lstat(os.path.join(host, name))
            yield asyncssh.SFTPName(name, attrs=self._attributes(inside, seen, follow=False))

    def remove(self, path: bytes) -> None:
        os.remove(self._writable(path, follow=False))

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        super().mkdir(self._writable(path, follow=False), attrs)

    def rmdir(self, path: bytes) -> None:
        os.rmdir(self._writable(path, follow=False))

    def realpath(self, path: bytes) -> bytes:
        return os.fsencode(self._place(path)[0])

    def readlink(self, path: bytes) -> bytes:
        return os.readlink(self._readable(path, follow=False))

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        os.symlink(oldpath, self._writable(newpath, follow=False))

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        os.link(self._readable(oldpath), self._writable(newpath, follow=False))

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        source = self._writable(oldpath, follow=False)
        target = self._writable(newpath, follow=False)
        if os.path.lexists(target):
            raise asyncssh.SFTPFailure("Failure")
        os.rename(source, target)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        os.replace(self._writable(oldpath, follow=False), self._writable(newpath, follow=False))

    def statvfs(self, path: bytes) -> os.statvfs_result:
        return os.statvfs(self._statable(path))


def _denied(path: bytes) -> PermissionError:
    return PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def _without_owner(attrs: asyncssh.SFTPAttrs) -> asyncssh.SFTPAttrs:
    # Clients that copy attributes send ids which mean nothing here, nor change anything there.
    attrs.uid = attrs.gid = None
    attrs.owner = attrs.group = None
    return attrs
