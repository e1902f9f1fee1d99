"""Snapshots of the whole manager."""

from __future__ import annotations

from dataclasses import dataclass

from lab.manager.stores.scoped import Resource, Scoped


@dataclass
class Snapshot(Resource):
    """One snapshot: `creating`, then `created` or `failed`; one that was sent here: `uploaded`."""

    status: str = "creating"
    error: str = ""
    execution_id: str | None = None

    @property
    def folder(self) -> str:
        """Where it lies below the manager's resources."""
        return f"snapshots/{self.id}"

    @property
    def file(self) -> str:
        """The archive below the manager's resources."""
        return f"{self.folder}/{self.id}.zip"


class Snapshots(Scoped[Snapshot]):
    """All snapshots."""

    def __init__(self) -> None:
        super().__init__("Snapshot")
