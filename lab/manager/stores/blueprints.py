"""Blueprints, and the states they go through where uploads are asynchronous."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.manager.dsl import Plan
from lab.manager.stores.scoped import Resource, Scoped

REPLACEABLE_STATES = ("invalid", "failed_parsing", "failed_uploading", "failed_extracting")
"""Generation 5: an upload over a blueprint in one of these is allowed."""


@dataclass
class Blueprint(Resource):
    """One blueprint.

    Attributes:
        state: Generation 5: `uploading`, `extracting`, `parsing`, then `uploaded`, `invalid` or
            `failed_parsing`; generation 4 has no states, there it is always `uploaded`.
        archive_kind: Of the archive it came as, e.g. `tar.gz`.
        upload_execution_id: Generation 5: the execution that parsed it.
    """

    main_file_name: str = "blueprint.yaml"
    plan: Plan = field(default_factory=Plan)
    state: str = "uploaded"
    error: str | None = None
    archive_kind: str = "tar.gz"
    upload_execution_id: str | None = None

    @property
    def settled(self) -> bool:
        """Whether its state is the last one."""
        return self.state == "uploaded" or self.state in REPLACEABLE_STATES

    @property
    def archive_file(self) -> str:
        """The archive below the manager's resources."""
        return f"uploaded-blueprints/{self.tenant}/{self.id}/{self.id}.{self.archive_kind}"

    @property
    def folder(self) -> str:
        """Where its archive lies below the manager's resources."""
        return f"uploaded-blueprints/{self.tenant}/{self.id}"


class Blueprints(Scoped[Blueprint]):
    """All blueprints."""

    def __init__(self) -> None:
        super().__init__("Blueprint")
