"""How the stand-in plugin asks the cloud: what openstacksdk is to the real one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

TIMEOUT_SECONDS = 30.0
_COLLECTIONS = {
    "network": ("network", "/v2.0/networks", "networks"),
    "subnet": ("network", "/v2.0/subnets", "subnets"),
    "security_group": ("network", "/v2.0/security-groups", "security_groups"),
    "port": ("network", "/v2.0/ports", "ports"),
    "floatingip": ("network", "/v2.0/floatingips", "floatingips"),
    "server": ("compute", "/servers", "servers"),
    "server_group": ("compute", "/os-server-groups", "server_groups"),
    "key_pair": ("compute", "/os-keypairs", "keypairs"),
    "flavor": ("compute", "/flavors", "flavors"),
    "image": ("image", "/v2/images", "images"),
}
_NAMES = {"floatingip": "FloatingIP", "key_pair": "Keypair"}


class SdkError(Exception):
    """What openstacksdk raises; the plugin reports it as a NonRecoverableError."""


class NotFoundError(SdkError):
    """There is none."""


class UnauthorizedError(Exception):
    """What keystoneauth raises; the plugin does not catch it."""


class Connection:
    """One project of the cloud.

    Args:
        config: The plugin's client_config.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._headers: dict[str, str] = {}
        self._endpoints: dict[str, str] = {}

    def call(
        self, kind: str, method: str, thing_id: str = "", body: Any = None, query: Any = None, more: str = ""
    ) -> dict[str, Any]:
        """Send one request about a kind of thing and return the answer's JSON."""
        if not self._headers:
            self._log_in()
        service, path, _ = _COLLECTIONS[kind]
        url = self._endpoints[service] + path + (f"/{thing_id}" if thing_id else "") + more
        # openstacksdk asks for a microversion that has the soft policies.
        headers = {**self._headers, "X-OpenStack-Nova-API-Version": "2.15"}
        response = requests.request(
            method, url, json=body, params=query, headers=headers, timeout=TIMEOUT_SECONDS
        )
        if response.status_code < requests.codes.bad_request:
            return dict(response.json()) if response.content else {}
        said = next(iter(response.json().values()))["message"]
        kinds = {400: "BadRequestException", 404: "ResourceNotFound", 409: "ConflictException"}
        error = NotFoundError if response.status_code == requests.codes.not_found else SdkError
        name = kinds.get(response.status_code, "HttpException")
        raise error(f"{name}: {response.status_code}: Client Error for url: {url}, {said}")

    def find(self, kind: str, name_or_id: str) -> dict[str, Any]:
        """Look a thing up by ID, then by name."""
        _, _, plural = _COLLECTIONS[kind]
        shown = _NAMES.get(kind, kind.title().replace("_", ""))
        try:
            return dict(next(iter(self.call(kind, "GET", name_or_id).values())))
        except NotFoundError:
            if kind == "key_pair":
                raise NotFoundError(f"No {shown} found for {name_or_id}") from None
        more = "/detail" if kind == "server" else ""
        found = [
            one
            for one in self.call(kind, "GET", query={"name": name_or_id}, more=more)[plural]
            if one.get("name") == name_or_id
        ]
        if not found:
            raise NotFoundError(f"No {shown} found for {name_or_id}")
        if len(found) > 1:
            raise SdkError(f"More than one {shown} exists with the name '{name_or_id}'.")
        return dict(found[0])

    def all_of(self, kind: str) -> list[dict[str, Any]]:
        """All things of a kind."""
        return list(self.call(kind, "GET")[_COLLECTIONS[kind][2]])

    def _log_in(self) -> None:
        config = self._config
        user: dict[str, Any] = {"name": config["username"], "password": config["password"]}
        project: dict[str, Any] = {"name": config.get("project_name") or config.get("tenant_name")}
        for entry, whose in ((user, "user"), (project, "project")):
            for key in ("id", "name"):
                if config.get(f"{whose}_domain_{key}"):
                    entry["domain"] = {key: config[f"{whose}_domain_{key}"]}
        identity = {"methods": ["password"], "password": {"user": user}}
        response = requests.post(
            f"{config['auth_url']}/auth/tokens",
            json={"auth": {"identity": identity, "scope": {"project": project}}},
            timeout=TIMEOUT_SECONDS,
        )
        if response.status_code != requests.codes.created:
            said = response.json()["error"]["message"]
            raise UnauthorizedError(f"{said} (HTTP {response.status_code})")
        self._headers = {"X-Auth-Token": response.headers["X-Subject-Token"]}
        for service in response.json()["token"]["catalog"]:
            for endpoint in service["endpoints"]:
                if endpoint["interface"] == "public" and config.get("region_name") in (
                    None,
                    "",
                    endpoint["region"],
                ):
                    self._endpoints[service["type"]] = endpoint["url"]
