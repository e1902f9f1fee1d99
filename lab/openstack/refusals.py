"""What the stand-in's services refuse with, and the checks that several of them make."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable
from typing import Any, TypeVar

Thing = TypeVar("Thing")


class RefusalError(Exception):
    """What a service answers instead: an HTTP status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def find(things: Iterable[Thing], thing_id: Any, message: str) -> Thing:
    """The thing with this ID.

    Raises:
        RefusalError: 404 with the message.
    """
    for thing in things:
        if thing.id == thing_id:  # type: ignore[attr-defined]
            return thing
    raise RefusalError(404, message.format(thing_id))


def check_quota(used: int, limit: int, status: int, message: str) -> None:
    """Refuse one thing more than the project may have; -1 is without limit."""
    if limit != -1 and used >= limit:
        raise RefusalError(status, message)


def is_uuid(text: Any) -> bool:
    """Whether something is the text of a UUID."""
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        uuid.UUID(text)
        return True
    return False
