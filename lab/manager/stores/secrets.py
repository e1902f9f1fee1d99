"""Secrets: named values of a tenant."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.manager.exceptions import BadParametersError
from lab.manager.stores.scoped import Resource, Scoped, check_visibility
from lab.manager.stores.tenants import check_identifier


@dataclass
class Secret(Resource):
    """One secret; the value stays out of its `repr`."""

    value: str = field(default="", repr=False)
    is_hidden_value: bool = False
    updated_at: float = 0.0


def check_value(value: object) -> str:
    """A secret's value, which can only be text.

    Raises:
        BadParametersError: It is missing, or something else.
    """
    if value is None:
        raise BadParametersError("Missing value in json request body")
    if not isinstance(value, str):
        raise BadParametersError(
            f"value parameter is expected to be of type str but is of type {type(value).__name__}"
        )
    return value


class Secrets(Scoped[Secret]):
    """All secrets."""

    def __init__(self) -> None:
        super().__init__("Secret")

    def put(self, new: Secret, *, update_if_exists: bool, visibility_given: bool) -> tuple[Secret, bool]:
        """Create a secret, or with `update_if_exists` give the one that is there another value.

        Returns:
            The secret, and whether it is new.

        Raises:
            ConflictError: It exists and is not to be updated.
        """
        check_identifier(new.id, "key")
        check_visibility(new.visibility)
        existing = self.find(new.tenant, new.id)
        if existing is None or not update_if_exists:
            return self.add(new), True
        existing.value, existing.updated_at = new.value, new.created_at
        existing.is_hidden_value = new.is_hidden_value
        if visibility_given and new.visibility != existing.visibility:
            self.widen(existing, new.visibility, ("private", "tenant", "global"))
        return existing, False
