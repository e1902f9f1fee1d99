"""Files of a machine that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path


def write(path: Path, content: bytes, mode: int) -> None:
    """Write a file aside and rename it; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    aside.write_bytes(content)
    aside.chmod(mode)
    aside.replace(path)
