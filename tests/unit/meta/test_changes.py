"""Runtime properties that several workflows change at the same time: nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cloudify.mocks import MockCloudifyContext
from cloudify.state import current_ctx
from cloudify_rest_client.exceptions import CloudifyClientError

from cmom_meta.errors import TryAgainLater
from cmom_meta.operations.glue import change_properties
from cmom_meta.services import membership


class Contended:
    """A node instance on a manager, on which another workflow is faster for a while."""

    id = "meta_manager_1"

    def __init__(self, others: list[str]) -> None:
        self.stored: dict[str, Any] = {}
        self.runtime_properties: dict[str, Any] = {}
        self._others = others

    def refresh(self, force: bool = False) -> None:
        """Read it."""
        assert force
        self.runtime_properties = {key: dict(value) for key, value in self.stored.items()}

    def update(self) -> None:
        """Store it; refused when somebody has stored meanwhile."""
        if self._others:
            membership.add(self.stored, self._others.pop(0))
            raise CloudifyClientError("conflict", status_code=409, error_code="conflict_error")
        self.stored = self.runtime_properties


@pytest.fixture(autouse=True)
def context() -> Iterator[None]:
    """An operation on a manager."""
    current_ctx.set(MockCloudifyContext())
    yield
    current_ctx.clear()


def test_concurrent_attachments_lose_nothing() -> None:
    instance = Contended([f"other-{number}" for number in range(5)])
    change_properties(instance, lambda found: membership.add(found, "mine"))
    assert set(instance.stored["deployments"]) == {"mine", *(f"other-{number}" for number in range(5))}


def test_others_that_are_always_faster_end_it_at_last() -> None:
    instance = Contended([str(number) for number in range(1000)])
    with pytest.raises(TryAgainLater, match="in a row"):
        change_properties(instance, lambda found: membership.add(found, "mine"))
