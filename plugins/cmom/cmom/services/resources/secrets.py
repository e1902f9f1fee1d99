"""Secrets: made, or given another value. What they hold is never told."""

from __future__ import annotations

from cmom.clients.resources import Held
from cmom.services.resources.facts import Facts
from cmom.services.resources.making import (
    CREATED,
    VISIBILITIES,
    Made,
    NotAsWanted,
    compare_visibility,
    create,
)
from cmom.services.resources.report import Outcome
from cmom.services.tier1 import Tier1
from cmom.services.wanted import SecretEntry


def ensure_secret(tier1: Tier1, facts: Facts, entry: SecretEntry) -> Made:
    """Make sure that a secret is there and has its value.

    Raises:
        NotAsWanted: A global secret of another tenant has the name, and another value.
        CmomError: See `Tier1.call`.
    """
    held = facts.secrets(entry.tenant).get(entry.key)
    if held is None:
        made = create(
            tier1,
            lambda api: api.put_secret(entry.tenant, entry.key, entry.value, entry.visibility, update=False),
            f"creating secret {entry.key}",
        )
        if made:
            return CREATED
        held = Held(entry.key, entry.tenant, entry.visibility)
    return _make_equal(tier1, entry, held)


def _make_equal(tier1: Tier1, entry: SecretEntry, held: Held) -> Made:
    current = tier1.call(
        lambda api: api.get_secret_value(entry.tenant, entry.key), f"reading secret {entry.key}"
    )
    if current.reveal() == entry.value.reveal():
        return compare_visibility(tier1, "secrets", entry.tenant, held, entry.visibility)
    if held.tenant and held.tenant != entry.tenant:
        raise NotAsWanted(
            f"Tenant {held.tenant} has a secret of this name that is visible to all, with another value. "
            "Choose another key, or change the secret there."
        )
    visibility = max(held.visibility, entry.visibility, key=_breadth)
    tier1.call(
        lambda api: api.put_secret(entry.tenant, entry.key, entry.value, visibility, update=True),
        f"updating secret {entry.key}",
    )
    return Made(Outcome.UPDATED, "it had another value")


def _breadth(visibility: str) -> int:
    return VISIBILITIES.index(visibility) if visibility in VISIBILITIES else 0
