"""Snapshots on a disk, made without any manager."""

from __future__ import annotations

import hashlib
import json
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cmom.services.snapshots.manifest import Manifest
from cmom.services.snapshots.store import SnapshotStore, StoredSnapshot

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)


def write_archive(path: Path, version: str = "4.6.0", content: bytes = b"content" * 1000) -> Path:
    """Write what has the form of a snapshot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", json.dumps({"snapshot_version": version}))
        archive.writestr("postgres/dump", content)
    return path


def manifest_of(path: Path, **changes: Any) -> Manifest:
    """Return the manifest that belongs to a file."""
    content = path.read_bytes()
    given: dict[str, Any] = {
        "id": path.stem,
        "deployment_id": "old",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "tier1_version": "4.6.0",
        "created_at": NOW,
        "verified_at": NOW,
        "sequence": 1,
    }
    return Manifest(**{**given, **changes})


def store_snapshot(store: SnapshotStore, name: str, sequence: int = 1, **changes: Any) -> StoredSnapshot:
    """Put a verified snapshot into a store."""
    store.prepare()
    part = write_archive(store.part_path(name))
    return store.adopt(manifest_of(part, id=name, sequence=sequence, **changes))


def flip(path: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
