"""The runtime properties: of the meta manager's node instance, and what is read of the clusters'."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from datetime import datetime, timezone
from typing import Any

Properties = MutableMapping[str, Any]

# On the meta manager; the outputs read them.
DEPLOYMENTS = "deployments"
STATUS = "status"
FLEET_RUN = "fleet_run"

BY_NAME, BY_LABEL = "by name", "by label"

# On a cluster, left there by the plugin `cmom`.
CLUSTER_STATUS = "status"
CLUSTER_HEALING = "healing"


def attached(properties: Mapping[str, Any]) -> dict[str, str]:
    """Return which deployments are attached, each with how."""
    stored = properties.get(DEPLOYMENTS)
    return {str(name): str(how) for name, how in stored.items()} if isinstance(stored, Mapping) else {}


def status_of(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the last known status of a cluster; empty when it was never asked."""
    status = properties.get(CLUSTER_STATUS)
    return status if isinstance(status, Mapping) else {}


def observed_at(properties: Mapping[str, Any]) -> datetime | None:
    """Return when that was; None when that is not known."""
    return parse_time(status_of(properties).get("observed_at"))


def last_backup_at(properties: Mapping[str, Any]) -> datetime | None:
    """Return when the newest snapshot on Tier 2 was made, by the cluster's own status; None for none."""
    last = status_of(properties).get("last_backup")
    return parse_time(last.get("created_at")) if isinstance(last, Mapping) else None


def members_being_healed(properties: Mapping[str, Any]) -> list[str]:
    """Return the names of the cluster's members with a heal that has begun, and neither ended nor failed."""
    healing = properties.get(CLUSTER_HEALING)
    journals = healing.get("journals") if isinstance(healing, Mapping) else None
    if not isinstance(journals, Mapping):
        return []
    open_ones = [one for one in journals.values() if isinstance(one, Mapping) and not one.get("failed")]
    return sorted(str(one.get("hostname") or one.get("ip") or "?") for one in open_ones)


def parse_time(text: object) -> datetime | None:
    """Read a time in ISO 8601, in UTC where it names no zone; None for what is none."""
    try:
        found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)


def in_words(moment: datetime) -> str:
    """Write a time as the outputs show it."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
