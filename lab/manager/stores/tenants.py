"""Tenants: the rooms that every other resource lives in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lab.manager.exceptions import (
    BadParametersError,
    ConflictError,
    IllegalActionError,
    NotFoundError,
)

DEFAULT_TENANT = "default_tenant"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


def check_identifier(value: str, what: str) -> str:
    """Return an identifier that a manager accepts.

    Raises:
        BadParametersError: It is too long, does not begin with a letter, or has other signs in it
            than letters, digits, `-`, `.` and `_`.
    """
    if len(value) > 256 or not _NAME.fullmatch(value):
        raise BadParametersError(
            f"The `{what}` argument contains illegal characters or is too long. Only letters, "
            'digits and the characters "-", "." and "_" are allowed, it must begin with a '
            "letter and have 256 characters at most"
        )
    return value


@dataclass
class Tenant:
    """One tenant."""

    name: str


@dataclass
class Tenants:
    """Every tenant; `default_tenant` is always among them."""

    by_name: dict[str, Tenant] = field(default_factory=lambda: {DEFAULT_TENANT: Tenant(DEFAULT_TENANT)})

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    def create(self, name: str) -> Tenant:
        """Make a tenant.

        Raises:
            ConflictError: It exists.
        """
        check_identifier(name, "tenant_name")
        if name in self.by_name:
            raise ConflictError(f"<Tenant name=`{name}`> already exists")
        self.by_name[name] = Tenant(name)
        return self.by_name[name]

    def get(self, name: str) -> Tenant:
        """The tenant of this name.

        Raises:
            NotFoundError: There is none.
        """
        try:
            return self.by_name[name]
        except KeyError:
            raise NotFoundError(f"Requested `Tenant` with ID `{name}` was not found") from None

    def delete(self, name: str, *, in_use: bool) -> Tenant:
        """Delete an empty tenant.

        Raises:
            IllegalActionError: It is the default one, or something lives in it.
        """
        self.get(name)
        if name == DEFAULT_TENANT:
            raise IllegalActionError("Default tenant deletion is not allowed")
        if in_use:
            raise IllegalActionError(f"Cannot delete tenant `{name}`: it has resources, delete them first")
        return self.by_name.pop(name)
