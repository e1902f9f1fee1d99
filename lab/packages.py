"""The RPM database of a machine: which packages are installed, kept on the machine's disk."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

MANAGER_PACKAGE = "cloudify-manager-install"


@dataclass(frozen=True)
class Package:
    """One installed package.

    Attributes:
        name: `cloudify-manager-install`.
        version: `4.6.0`.
        release: `ga`.
        arch: `x86_64`.
        summary: one line.
        size_bytes: of the installed files.
    """

    name: str
    version: str
    release: str
    arch: str
    summary: str = ""
    size_bytes: int = 0

    @property
    def nevra(self) -> str:
        """`name-version-release.arch`, as `rpm -q` prints it."""
        return f"{self.name}-{self.version}-{self.release}.{self.arch}"


class RpmDatabase:
    """What `rpm -q` knows. A rebuilt machine has a new disk and with it an empty database."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def get(self, name: str) -> Package | None:
        """The installed package of this name (or name-version, name-version-release[.arch])."""
        for package in self.all():
            short = f"{package.name}-{package.version}"
            spellings = (package.name, short, f"{short}-{package.release}", package.nevra)
            if name in spellings:
                return package
        return None

    def all(self) -> tuple[Package, ...]:
        """Every installed package, oldest first."""
        try:
            entries = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ()
        return tuple(Package(**entry) for entry in entries)

    def add(self, package: Package) -> None:
        """Install or replace."""
        kept = [entry for entry in self.all() if entry.name != package.name]
        self._write([*kept, package])

    def remove(self, name: str) -> None:
        """Forget a package; nothing happens when it is not there."""
        self._write([entry for entry in self.all() if entry.name != name])

    def _write(self, packages: list[Package]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        aside = self._file.with_suffix(".new")
        aside.write_text(json.dumps([asdict(package) for package in packages]), encoding="utf-8")
        os.replace(aside, self._file)
