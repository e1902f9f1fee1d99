"""What all resources of a tenant have in common: an owner, a visibility, and how they are found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lab.manager.exceptions import (
    BadParametersError,
    ConflictError,
    IllegalActionError,
    NotFoundError,
)
from lab.manager.transitions import timestamp

VISIBILITIES = ("private", "tenant", "global")
"""From narrow to wide."""


def check_visibility(value: object, allowed: tuple[str, ...] = VISIBILITIES) -> str:
    """Return a visibility that is one.

    Raises:
        BadParametersError: It is none.
    """
    if not isinstance(value, str) or value not in allowed:
        raise BadParametersError(f"Invalid visibility: `{value}`. Allowed visibility's are: {list(allowed)}")
    return value


@dataclass
class Resource:
    """The part every resource has.

    Attributes:
        created_at: Seconds since the epoch.
    """

    id: str
    tenant: str
    visibility: str
    created_by: str
    created_at: float

    def ownership(self) -> dict[str, Any]:
        """The fields about owner and visibility, as they are on the wire."""
        return {
            "tenant_name": self.tenant,
            "created_by": self.created_by,
            "created_at": timestamp(self.created_at),
            "visibility": self.visibility,
            "private_resource": self.visibility == "private",
            "resource_availability": self.visibility,
        }


R = TypeVar("R", bound=Resource)


class Scoped(Generic[R]):
    """The resources of one kind, in all tenants.

    Args:
        kind: Its name in messages, e.g. `Secret`.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[tuple[str, str], R] = {}

    def __iter__(self) -> Iterator[R]:
        return iter(list(self._items.values()))

    def __len__(self) -> int:
        return len(self._items)

    def find(self, tenant: str, identifier: str) -> R | None:
        """The resource as this tenant sees it: its own, or a global one of another tenant."""
        own = self._items.get((tenant, identifier))
        if own is not None:
            return own
        for item in self._items.values():
            if item.id == identifier and item.visibility == "global":
                return item
        return None

    def get(self, tenant: str, identifier: str) -> R:
        """Like `find`.

        Raises:
            NotFoundError: The tenant sees none.
        """
        found = self.find(tenant, identifier)
        if found is None:
            raise NotFoundError(f"Requested `{self.kind}` with ID `{identifier}` was not found")
        return found

    def seen_by(self, tenant: str, *, everywhere: bool = False) -> list[R]:
        """What a tenant sees, oldest first; `everywhere`: what all see together."""
        return [
            item
            for item in self._items.values()
            if everywhere or item.tenant == tenant or item.visibility == "global"
        ]

    def check_free(self, tenant: str, identifier: str, visibility: str = "tenant") -> None:
        """Refuse an identifier that is taken.

        Raises:
            ConflictError: In this tenant, by a global one, or by anyone if it is to be global.
        """
        taken = self.find(tenant, identifier)
        if taken is None and visibility == "global":
            taken = next((item for item in self._items.values() if item.id == identifier), None)
        if taken is not None:
            raise ConflictError(
                f"{self.kind} with ID `{identifier}` already exists on tenant "
                f"`{taken.tenant}` with visibility `{taken.visibility}`"
            )

    def add(self, item: R) -> R:
        """Keep a new resource.

        Raises:
            ConflictError: Its identifier is taken.
        """
        self.check_free(item.tenant, item.id, item.visibility)
        self._items[item.tenant, item.id] = item
        return item

    def replace_all(self, items: list[R]) -> None:
        """Forget everything and keep these."""
        self._items = {(item.tenant, item.id): item for item in items}

    def discard(self, item: R) -> None:
        """Forget a resource; nothing happens when it is gone already."""
        self._items.pop((item.tenant, item.id), None)

    def widen(self, item: R, visibility: object, allowed: tuple[str, ...]) -> None:
        """Change a visibility; it can only become wider.

        Raises:
            IllegalActionError: It would become narrower.
            ConflictError: It would become global and another tenant has one of this name.
        """
        wanted = check_visibility(visibility, allowed)
        if VISIBILITIES.index(wanted) < VISIBILITIES.index(item.visibility):
            raise IllegalActionError(
                f"Can't set the visibility of `{item.id}` to {wanted} because it already has wider visibility"
            )
        if wanted == "global" and item.visibility != "global":
            for other in self._items.values():
                if other.id == item.id and other is not item:
                    raise ConflictError(
                        f"Can't set the visibility of `{item.id}` to global because it also "
                        f"exists in other tenants"
                    )
        item.visibility = wanted
