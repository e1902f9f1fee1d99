"""Tenants: there or not. They hold everything else, so they come first."""

from __future__ import annotations

from cmom.services.resources.facts import Facts
from cmom.services.resources.making import CREATED, EXISTS, Made, create
from cmom.services.tier1 import Tier1


def ensure_tenant(tier1: Tier1, facts: Facts, name: str) -> Made:
    """Make sure that a tenant is there.

    Raises:
        ManagerRefused: A community manager has one tenant only.
        CmomError: See `Tier1.call`.
    """
    if name in facts.tenants():
        return EXISTS
    made = create(tier1, lambda api: api.create_tenant(name), f"creating tenant {name}")
    return CREATED if made else EXISTS
