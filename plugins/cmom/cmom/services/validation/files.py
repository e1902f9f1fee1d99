"""Files on Tier 2 that inputs name: there, readable by this user, and of the kind that is expected."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmom.clients.urls import is_url, url_problem
from cmom.services.validation.plain import Unreadable, load_yaml

MAX_SMALL_FILE_BYTES = 1024 * 1024
MAX_YAML_BYTES = 8 * 1024 * 1024


class Unusable(Exception):  # noqa: N818 - says what is wrong with a file, for whoever knows its place
    """A file that cannot serve; the text is the problem of a fault."""


def readable_file(path: str) -> Path:
    """Return the path of a file that this user can read.

    Raises:
        Unusable: With what is wrong.
    """
    try:
        file = Path(path)
        if not file.is_absolute():
            raise Unusable(f"{path} is a relative path; give it from / on")
        mode = file.stat().st_mode
        if stat.S_ISDIR(mode):
            raise Unusable(f"{path} is a folder, not a file")
        if not stat.S_ISREG(mode):
            raise Unusable(f"{path} is not a file")
        with file.open("rb"):
            return file
    except FileNotFoundError:
        raise Unusable(f"there is no file {path} on Tier 2") from None
    except PermissionError:
        raise Unusable(f"{path} cannot be read by this user ({user_name()})") from None
    except (OSError, ValueError) as error:
        raise Unusable(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not a path'}") from None


def small_content(path: str, *, most_bytes: int = MAX_SMALL_FILE_BYTES) -> bytes:
    """Return the content of a file that must not be large.

    Raises:
        Unusable: It is, or cannot be read.
    """
    file = readable_file(path)
    try:
        with file.open("rb") as opened:
            content = opened.read(most_bytes + 1)
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > most_bytes:
        raise Unusable(f"{path} is larger than {most_bytes} bytes, far more than is expected here")
    return content


def yaml_mapping(path: str) -> Mapping[Any, Any]:
    """Return the content of a YAML file that holds a mapping; an empty file holds an empty one.

    Raises:
        Unusable: It does not.
    """
    content = small_content(path, most_bytes=MAX_YAML_BYTES)
    try:
        loaded = load_yaml(content)
    except Unreadable as error:
        raise Unusable(f"{path} {error}") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, Mapping):
        raise Unusable(f"{path} does not hold a mapping")
    return loaded


def path_or_url(value: str) -> str:
    """Return what may be a path on Tier 2 or a URL; a URL is judged by its form only.

    Raises:
        Unusable: With what is wrong.
    """
    if is_url(value):
        problem = url_problem(value)
        if problem:
            raise Unusable(problem)
        return value
    return str(readable_file(value))


def open_to_others(path: str) -> bool:
    """Tell whether other users may read a file that should be private."""
    try:
        return bool(Path(path).stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except (OSError, ValueError):
        return False


def user_name() -> str:
    """Return who we are, for messages about permissions; on a manager this is ``cfyuser``."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"
