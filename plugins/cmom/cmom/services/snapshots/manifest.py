"""What is written beside each snapshot on Tier 2: what it is, and by what it is recognised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from cmom.errors import ActionRequired

FORMAT = 1
MAX_BYTES = 1024 * 1024
_TIME = "%Y-%m-%dT%H:%M:%SZ"
# More than any file has bytes, or any deployment snapshots.
_MOST = 2**62


class BadManifest(ActionRequired):
    """A file in the place of a manifest is none."""


@dataclass(frozen=True)
class Manifest:
    """A snapshot, as it was when it came whole to Tier 2.

    Attributes:
        id: Of the snapshot, also the name of its file.
        deployment_id: On Tier 2, of the cluster that it was taken from.
        tenant: Of that deployment; empty in the local profile, which has none.
        sha256: Of the archive, in hexadecimal.
        bytes: The archive's length.
        tier1_version: Of the managers it was taken from.
        created_at: When, UTC.
        parameters: The words in ``backup_params``.
        sequence: Grows from one snapshot of a deployment to the next, whatever the clock does.
        tier1_snapshot_id: What it was called on Tier 1.
        contents: How much of each kind the managers held, of `cmom.clients.snapshots.CONTENTS`, at least.
        verified_at: When its bytes were last found to be right.
        rotten: Why they are not any more; empty when nobody has found that.
    """

    id: str
    deployment_id: str
    sha256: str
    bytes: int
    tier1_version: str
    created_at: datetime
    parameters: tuple[str, ...] = ()
    sequence: int = 0
    tier1_snapshot_id: str = ""
    tenant: str = ""
    contents: Mapping[str, int] = field(default_factory=dict)
    verified_at: datetime | None = None
    rotten: str = ""

    def found_good(self, when: datetime) -> Manifest:
        """Return it with the remark that its snapshot was found to be whole."""
        return replace(self, verified_at=when, rotten="")

    def found_rotten(self, reason: str) -> Manifest:
        """Return it with the remark that its snapshot is not what it was."""
        return replace(self, rotten=reason)

    def as_text(self) -> str:
        """Return what is written to the file."""
        fields = asdict(self)
        fields["created_at"] = format_time(self.created_at)
        fields["verified_at"] = None if self.verified_at is None else format_time(self.verified_at)
        fields["parameters"] = list(self.parameters)
        fields["contents"] = dict(self.contents)
        return json.dumps({"format": FORMAT, **fields}, indent=2, sort_keys=True) + "\n"

    @classmethod
    def parse(cls, text: str) -> Manifest:
        """Read what `as_text` wrote.

        Raises:
            BadManifest: It is not that.
        """
        try:
            fields = json.loads(text)
            return cls._read(fields)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
            raise BadManifest("it is not the manifest of a snapshot") from error

    @classmethod
    def _read(cls, fields: dict[str, Any]) -> Manifest:
        if fields["format"] != FORMAT:
            raise ValueError("written by another version")
        size, sha256 = fields["bytes"], str(fields["sha256"])
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < _MOST:
            raise ValueError("no length")
        if len(bytes.fromhex(sha256)) != 32:
            raise ValueError("no hash")
        sequence = int(fields.get("sequence") or 0)
        if not 0 <= sequence < _MOST:
            raise ValueError("no number that another could follow")
        verified_at = fields.get("verified_at")
        return cls(
            id=str(fields["id"]),
            deployment_id=str(fields["deployment_id"]),
            sha256=sha256.lower(),
            bytes=size,
            tier1_version=str(fields["tier1_version"]),
            created_at=parse_time(fields["created_at"]),
            parameters=tuple(str(word) for word in fields.get("parameters") or ()),
            sequence=sequence,
            tier1_snapshot_id=str(fields.get("tier1_snapshot_id") or ""),
            tenant=str(fields.get("tenant") or ""),
            contents={str(kind): int(count) for kind, count in (fields.get("contents") or {}).items()},
            verified_at=parse_time(verified_at) if verified_at else None,
            rotten=str(fields.get("rotten") or ""),
        )


def format_time(moment: datetime) -> str:
    """Return a moment as text, in UTC."""
    return moment.astimezone(timezone.utc).strftime(_TIME)


def parse_time(text: str) -> datetime:
    """Read what `format_time` wrote.

    Raises:
        ValueError: It is something else.
    """
    return datetime.strptime(text, _TIME).replace(tzinfo=timezone.utc)
