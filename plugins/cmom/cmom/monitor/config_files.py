"""The files that a configuration stands in: bounded, plain YAML, and secret where a secret is in them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cmom.clients.local_files import open_file
from cmom.errors import ActionRequired
from cmom.services.validation.plain import Unreadable, load_yaml

_MAX_BYTES = 1024 * 1024


def read_mapping(
    path: Path, what: str, check: Callable[[os.stat_result], str] = lambda _: ""
) -> Mapping[str, Any]:
    """Read a YAML file that holds a mapping; an empty file is an empty one.

    Args:
        what: Whose it is, for messages: ``The configuration``.
        check: Says what is wrong with the file, as the end of a sentence; nothing when nothing is.

    Raises:
        ActionRequired: It cannot be read, is too large, or holds something else.
    """
    try:
        with open_file(path) as file:
            problem = check(os.fstat(file.fileno()))
            text = b"" if problem else file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        raise ActionRequired(f"{what} {path} cannot be read: {reason}.") from error
    if problem:
        raise ActionRequired(f"{what} {path} {problem}")
    if len(text) > _MAX_BYTES:
        raise ActionRequired(
            f"{what} {path} is larger than {_MAX_BYTES} bytes, far more than is expected here."
        )
    try:
        content = load_yaml(text)
    except Unreadable as error:
        raise ActionRequired(f"{what} {path} {error}.") from None
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise ActionRequired(f"{what} {path} must hold a mapping.")
    return content


def read_secret_mapping(path: Path) -> Mapping[str, Any]:
    """Read a file that nobody else may read or write; raises the same."""
    return read_mapping(path, "The file", _too_open)


def _too_open(found: os.stat_result) -> str:
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        return f"has the mode {mode:04o}: others can read or write it; chmod 600 it."
    if found.st_uid not in (os.geteuid(), 0):
        return "belongs to somebody else."
    return ""
