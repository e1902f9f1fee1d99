"""Licences: a file of YAML with a signature.

The real signature is made with a private key; the lab's is a hash, so that a file that was changed
is told from one that was not.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import yaml

from lab.manager.exceptions import ManagerError
from lab.manager.generation import parse_version

_FIELDS = (
    *("customer_id", "expiration_date", "license_edition", "trial", "cloudify_version"),
    "capabilities",
)


@dataclass(frozen=True)
class License:
    """A licence that was accepted.

    Attributes:
        expiration_date: `YYYY-MM-DD` or `MM/DD/YYYY`; None for one without an end.
        cloudify_version: The latest version it is for; None for all.
    """

    customer_id: str
    expiration_date: str | None
    license_edition: str
    trial: bool
    cloudify_version: str | None
    capabilities: tuple[str, ...]

    def expired(self, now: float) -> bool:
        """Whether it has ended by then."""
        if self.expiration_date is None:
            return False
        form = "%m/%d/%Y" if "/" in self.expiration_date else "%Y-%m-%d"
        end = datetime.strptime(self.expiration_date, form).replace(tzinfo=timezone.utc)
        return end.timestamp() < now

    def stops(self, now: float) -> bool:
        """Whether nothing is done with it any more: an expired one that was paid for stops nobody."""
        return self.trial and self.expired(now)

    def to_wire(self, now: float) -> dict[str, Any]:
        """As REST tells it."""
        return {
            "customer_id": self.customer_id,
            "expiration_date": self.expiration_date and f"{self.expiration_date}T00:00:00.000Z",
            "license_edition": self.license_edition,
            "trial": self.trial,
            "cloudify_version": self.cloudify_version,
            "capabilities": list(self.capabilities),
            "expired": self.expired(now),
        }


def make(**changes: Any) -> str:
    """A licence file for the lab.

    Args:
        changes: Fields of `License` that are to differ.
    """
    values: dict[str, Any] = {
        "customer_id": "lab",
        "expiration_date": None,
        "license_edition": "Premium",
        "trial": False,
        "cloudify_version": None,
        "capabilities": ["HA"],
        **changes,
    }
    return yaml.safe_dump({"license": values, "signature": _signature(values)}, sort_keys=False)


def read(content: bytes, version: str) -> License:
    """Check a licence file.

    Args:
        version: Of the manager it is uploaded to.

    Raises:
        ManagerError: It is none, was changed, or is for older managers.
    """
    try:
        loaded = yaml.safe_load(content)
        values = loaded["license"]
        good = loaded["signature"] == _signature(values)
        found = License(**{**{name: values.get(name) for name in _FIELDS}, "capabilities": ()})
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise ManagerError(
            "The license file is not a valid YAML file.", status=400, code="invalid_yaml_format"
        ) from None
    if not good:
        raise _unverified("This license could not be verified: its signature does not match")
    latest = found.cloudify_version
    if latest and parse_version(str(latest)) < parse_version(version):
        raise _unverified(f"License is for Cloudify {latest}, and this manager is {version}")
    return License(**{**found.__dict__, "capabilities": tuple(values.get("capabilities") or ())})


def _unverified(message: str) -> ManagerError:
    return ManagerError(message, status=400, code="unverified_cloudify_license")


def _signature(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(f"lab licence {text}".encode()).hexdigest()
