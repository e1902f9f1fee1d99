"""Keystone's two dialects: how a user logs in, and what comes back.

Facts: the references of the identity API v3, and of v2.0, which old clouds still speak.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cmom.clients.openstack_access import CloudAccess
from cmom.clients.urls import url_problem

_OLD, _NEW = "/v2.0", "/v3"
# It becomes a header.
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}\Z")


@dataclass(frozen=True)
class Login:
    """The request that logs a user in.

    Attributes:
        base_url: Of the API in its version, for messages.
        body: What is sent; it holds the password.
    """

    base_url: str
    url: str
    body: dict[str, Any]
    is_old: bool

    @classmethod
    def to(cls, access: CloudAccess) -> Login:
        """Make it."""
        url = access.auth_url
        if url.endswith(_OLD):
            return cls(url, f"{url}/tokens", _old_body(access), is_old=True)
        url = url if url.endswith(_NEW) else url + _NEW
        return cls(url, f"{url}/auth/tokens", _body(access), is_old=False)

    def read(self, headers: Mapping[str, str], answer: Mapping[str, Any]) -> tuple[str, Any]:
        """Return the token and the catalogue.

        Raises:
            LookupError, TypeError, ValueError: There are none.
        """
        if self.is_old:
            token, catalogue = answer["access"]["token"]["id"], answer["access"]["serviceCatalog"]
        else:
            token, catalogue = headers["X-Subject-Token"], answer["token"]["catalog"]
        if not _TOKEN.match(token):
            raise ValueError("no token")
        return token, catalogue


def endpoints(catalogue: Any, region: str, services: tuple[str, ...]) -> dict[str, str]:
    """Return the public URL of each service, as far as the catalogue has it.

    What it says of other services is nobody's concern, and neither is a URL that is none.

    Args:
        region: The only one that counts; empty where the cloud has only one.
        services: The types of service that are wanted.

    Raises:
        LookupError, TypeError, AttributeError: It is no catalogue.
    """
    found: dict[str, str] = {}
    for service in catalogue:
        if service["type"] not in services:
            continue
        for endpoint in service["endpoints"]:
            url = endpoint.get("publicURL") or (
                endpoint.get("url") if endpoint.get("interface") == "public" else None
            )
            where = endpoint.get("region_id") or endpoint.get("region") or ""
            if isinstance(url, str) and region in ("", where) and url_problem(url) is None:
                found.setdefault(service["type"], url.rstrip("/"))
    return found


def _body(access: CloudAccess) -> dict[str, Any]:
    user = {
        "name": access.username,
        "password": access.password.reveal(),
        "domain": dict(access.user_domain),
    }
    project = {"name": access.project, "domain": dict(access.project_domain)}
    identity = {"methods": ["password"], "password": {"user": user}}
    return {"auth": {"identity": identity, "scope": {"project": project}}}


def _old_body(access: CloudAccess) -> dict[str, Any]:
    login = {"username": access.username, "password": access.password.reveal()}
    return {"auth": {"passwordCredentials": login, "tenantName": access.project}}
