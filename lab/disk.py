"""The disk of an emulated machine: paths on the machine become paths on the host, and stay inside.

Symbolic links on the machine mean the machine's paths. Following them as the host would lead out of
the disk, so they are resolved here, component by component.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

_MAX_LINKS = 40


@dataclass(frozen=True)
class Place:
    """A resolved path.

    Attributes:
        inside: as the machine names it, absolute, free of links and dots.
        host: where it lies on the host.
    """

    inside: str
    host: Path


class Disk:
    """The root directory of one machine.

    Args:
        root: its place on the host.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def place(self, path: str, *, follow_last: bool = True) -> Place:
        """Resolve a path of the machine.

        Args:
            path: absolute on the machine; a relative one counts from its root.
            follow_last: whether a link in the last component is followed.

        Raises:
            OSError: ELOOP for too many links; EINVAL for a NUL character.
        """
        if "\0" in path:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
        pending = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        resolved: list[str] = []
        links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                # As in a real root directory: above it is itself.
                del resolved[-1:]
                continue
            host = self.root.joinpath(*resolved, part)
            if (pending or follow_last) and host.is_symlink():
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                target = os.readlink(host)
                if target.startswith("/"):
                    resolved.clear()
                pending += [step for step in reversed(target.split("/")) if step not in ("", ".")]
                continue
            resolved.append(part)
        return Place("/" + "/".join(resolved), self.root.joinpath(*resolved))
