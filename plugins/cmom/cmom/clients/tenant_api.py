"""Asking a manager in one of its tenants, no faster than it takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar
from urllib.parse import quote

from cloudify_rest_client.client import CloudifyClient

from cmom.clients.manager import ManagerClient
from cmom.clients.pacing import Pacer
from cmom.clients.rest_errors import NOT_FOUND, reading
from cmom.errors import ManagerRefused
from cmom.models import Secret, Version

Answer = TypeVar("Answer")

_PAGE = 1000
# A million of anything: whoever lists more does not come to an end.
_MOST_PAGES = 1000
_SHORTEST_SECRET = 6
_CONFLICT_STATUS = 409
_NOT_FOUND_STATUS = 404


def is_conflict(error: ManagerRefused) -> bool:
    """Tell whether a manager refused to make something because it is there already."""
    return error.status_code == _CONFLICT_STATUS


def is_missing(error: ManagerRefused) -> bool:
    """Tell whether a manager refused because what was asked for is not there."""
    return error.status_code == _NOT_FOUND_STATUS and error.error_code == NOT_FOUND


def possible_secrets(values: object) -> tuple[Secret, ...]:
    """Return the texts among what a user gave as inputs: a manager may quote one of them in its message.

    Short ones are left out: they are words like ``true`` or ``size``, without which no message can be read.
    """
    if isinstance(values, Mapping):
        return tuple(secret for value in values.values() for secret in possible_secrets(value))
    if isinstance(values, list | tuple):
        return tuple(secret for value in values for secret in possible_secrets(value))
    if isinstance(values, str) and len(values) >= _SHORTEST_SECRET:
        return (Secret(values),)
    return ()


def quoted(part: str) -> str:
    """Return a name as part of a path."""
    return quote(part, safe="")


class TenantApi:
    """One manager, in any of its tenants.

    Args:
        manager: The connection.
        version: Of the manager; decides how it is spoken to.
        pacer: Shared by all who ask this manager; by default a new one as its generation wants it.
    """

    def __init__(self, manager: ManagerClient, version: Version, pacer: Pacer | None = None) -> None:
        self._manager = manager
        self.version = version
        self.pacer = pacer or Pacer.for_generation(version.generation)
        self._tenants: dict[str, ManagerClient] = {}

    @property
    def address(self) -> str:
        """The manager's address."""
        return self._manager.address

    def in_tenant(self, tenant: str) -> ManagerClient:
        """Return the connection for a tenant; an empty one stands for the manager's default."""
        if not tenant or tenant == self._manager.tenant:
            return self._manager
        client = self._tenants.get(tenant)
        if client is None:
            client = self._tenants.setdefault(tenant, self._manager.in_tenant(tenant))
        return client

    def ask(
        self,
        tenant: str,
        function: Callable[[CloudifyClient], Answer],
        doing: str,
        *,
        total_seconds: float | None = None,
        secrets: tuple[Secret, ...] = (),
    ) -> Answer:
        """Do something with the REST client, in a tenant, when it is our turn.

        Args:
            tenant: Empty for the default.
            function: Gets the client; called again when the manager was busy.
            doing: A phrase for messages.
            total_seconds: How long it may take, however long the manager is silent meanwhile; by default as
                long as usual.
            secrets: What is sent and must not come back in a message.

        Raises:
            CmomError: See `rest_errors`.
        """
        client = self.in_tenant(tenant)
        return self.pacer.run(
            lambda: client.call(
                function, doing, total_seconds=total_seconds, silence_seconds=total_seconds, secrets=secrets
            )
        )

    def pages(
        self, tenant: str, kind: str, doing: str, fields: Sequence[str], **filters: Any
    ) -> Iterator[dict[str, Any]]:
        """List everything of a kind, page by page.

        Args:
            tenant: Empty for the default.
            kind: As the REST client calls it: ``secrets``.
            doing: A phrase for messages.
            fields: What is wanted of each; the first one is what tells them apart, and text.
            filters: What a field must be.
        """
        # The client joins the names for all kinds but this one, where it would send the parameter repeatedly.
        included = ",".join(fields) if kind == "secrets" else list(fields)
        offset = 0
        for _ in range(_MOST_PAGES):
            page = self.ask(
                tenant,
                lambda rest, offset=offset: getattr(rest, kind).list(  # type: ignore[misc]
                    _include=included, _offset=offset, _size=_PAGE, **filters
                ),
                doing,
            )
            with self.reading(doing):
                items, total = _checked(page.items, fields[0]), int(page.metadata.pagination.total)
            yield from items
            offset += len(items)
            if not items or offset >= total:
                return
        with self.reading(doing):
            raise ValueError("it lists without end")

    def reading(self, doing: str) -> AbstractContextManager[None]:
        """Return a context in which what an answer holds is taken apart; see `rest_errors.reading`."""
        return reading(doing, self.address)


def _checked(items: Any, name: str) -> list[dict[str, Any]]:
    """Return a page's items, each a mapping with what it is told apart by.

    Raises:
        TypeError: They are something else.
    """
    if not isinstance(items, list) or not all(
        isinstance(item, dict) and isinstance(item.get(name), str) for item in items
    ):
        raise TypeError(f"not a list of mappings with {name}")
    return items
