"""The files of a manager, below `/opt/manager/resources` of its machine.

In the field syncthing carries them to the replicas; here a file is linked onto the disk of each
replica when it is written, and a replica that comes later gets what it lacks. So a new leader has
them, and a rebuilt machine has nothing until it has joined and replicated.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lab.manager.host import Machine

ROOT = "/opt/manager/resources"


class Files:
    """The files of one manager."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    @property
    def root(self) -> Path:
        """Where they lie on the host."""
        return self._machine.path(ROOT)

    def path(self, name: str) -> Path:
        """The host's path of a file, e.g. of `snapshots/ID/ID.zip`."""
        return self._machine.path(f"{ROOT}/{name}")

    @contextmanager
    def incoming(self) -> Iterator[tuple[BinaryIO, Path]]:
        """An open file for something that is being received; it is gone afterwards unless moved."""
        folder = self.root / ".incoming"
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder)
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as target:
                yield target, path
        finally:
            path.unlink(missing_ok=True)

    def adopt(self, path: Path, name: str) -> None:
        """Move a received file to its place."""
        target = self.path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
        target.chmod(0o640)

    def delete(self, name: str) -> None:
        """Delete a file, or a folder with what is in it; nothing happens when it is gone."""
        path = self.path(name)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def mirror(self, other: Files) -> None:
        """Make the other manager's files the same as these."""
        here, there = self._names(), other._names()
        for name in there - here:
            other.delete(name)
        for name in here - there:
            target = other.path(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(self.path(name), target)
            except OSError:
                shutil.copyfile(self.path(name), target)

    def _names(self) -> set[str]:
        root = self.root
        return {
            str(path.relative_to(root))
            for path in root.rglob("*")
            if path.is_file() and ".incoming" not in path.parts
        }
