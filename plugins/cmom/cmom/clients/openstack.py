"""OpenStack's REST, as far as the plugin for OpenStack cannot do it for us.

cloudify-openstack-plugin looks resources up and connects them. It has no way to find what it made and did
not record (it stores an id only after the create call), and what is gone already cannot be deleted with
it. So what is made is made and removed here, over keystone, nova, neutron and glance, with the same
credentials that the plugin is given.

Facts: the APIs' references (identity v3, compute v2.1, network v2.0, image v2). Nothing above nova's
microversion 2.15 is used, and that only for server groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import requests

from cmom.clients.masking import Masker, without_credentials
from cmom.clients.openstack_access import CloudAccess
from cmom.errors import AccessRefused, ActionRequired, CmomError, TryAgainLater

COMPUTE, IMAGE, NETWORK = "compute", "image", "network"

_CONNECT_SECONDS, _READ_SECONDS = 10.0, 60.0
_MAX_MESSAGE = 500
_OLD_IDENTITY = "/v2.0"
# What an endpoint in the catalogue must end with; operators register it with the version or without.
_VERSIONS = {COMPUTE: "/v2", IMAGE: "/v2", NETWORK: "/v2.0"}
_APPENDED = {COMPUTE: "/v2.1", IMAGE: "/v2", NETWORK: "/v2.0"}


class CloudUnreachable(TryAgainLater):
    """A service of the cloud gave no answer, or one that says it is not well."""


class CloudConflict(CloudUnreachable):
    """409: what is asked for does not go together with what is there, now or at all."""


class CloudRefused(ActionRequired):
    """A service of the cloud answered and refused.

    Attributes:
        status_code: The HTTP status.
    """

    def __init__(self, message: str, status_code: int) -> None:
        super().__init__(message)
        self.status_code = status_code


class OpenStack:
    """One project's view of a cloud: a token, a catalogue, and requests to its services.

    Logs in with the first request. An operation makes a handful of requests, so a token is never old.

    Args:
        access: Whose project, and where.
    """

    def __init__(self, access: CloudAccess) -> None:
        self.access = access
        self._endpoints: dict[str, str] = {}
        self._session = requests.Session()
        self._session.verify = access.verify
        self._masker = Masker([access.password.reveal()])

    def get(self, service: str, path: str, what: str, **query: str) -> dict[str, Any]:
        """GET and return the answer's JSON. See `request` for the errors."""
        return self.request("GET", service, path, what, query=query)

    def find(self, service: str, path: str, what: str) -> dict[str, Any] | None:
        """GET and return the answer's JSON, None for a thing that is not there."""
        try:
            return self.get(service, path, what)
        except CloudRefused as error:
            if error.status_code != requests.codes.not_found:
                raise
            return None

    def delete(self, service: str, path: str, what: str) -> bool:
        """DELETE; False for a thing that was gone already."""
        try:
            self.request("DELETE", service, path, what)
        except CloudRefused as error:
            if error.status_code != requests.codes.not_found:
                raise
            return False
        return True

    def request(
        self,
        method: str,
        service: str,
        path: str,
        what: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send one request.

        Args:
            service: `COMPUTE`, `IMAGE` or `NETWORK`.
            path: Below the service's endpoint, ``/servers``.
            what: What is being done, for messages: ``making the server manager-1``.

        Returns:
            The answer's JSON; empty where there is none.

        Raises:
            AccessRefused: 401.
            CloudRefused: Another 4xx: not found, over quota, a bad value. The service's own words are
            in it.
            CloudConflict: 409; for most of them time is the remedy.
            CloudUnreachable: No answer, too many requests, or a 5xx.
        """
        if "X-Auth-Token" not in self._session.headers:
            self.log_in()
        url = self._endpoint(service) + path
        response = self._send(method, url, what, params=query or None, json=body, headers=headers)
        _check(response, what, self._masker)
        with suppress(ValueError):
            answer = response.json()
            if isinstance(answer, dict):
                return answer
        return {}

    def log_in(self) -> None:
        """Get a token and the catalogue; done by the first request when it was not done before.

        Raises:
            AccessRefused: Wrong user, password, project or domain.
            ActionRequired: What answers is no keystone, or its certificate is not trusted.
            CloudUnreachable: No answer.
        """
        old = self.access.auth_url.endswith(_OLD_IDENTITY)
        where = (
            self.access.auth_url
            if old or self.access.auth_url.endswith("/v3")
            else f"{self.access.auth_url}/v3"
        )
        path, body = ("/tokens", self._old_credentials()) if old else ("/auth/tokens", self._credentials())
        what = f"logging in to OpenStack at {without_credentials(where)} as {self.access.username}"
        response = self._send("POST", where + path, what, json=body)
        _check(response, what, self._masker)
        try:
            answer = response.json()
            if old:
                token, catalog = answer["access"]["token"]["id"], answer["access"]["serviceCatalog"]
            else:
                token, catalog = response.headers["X-Subject-Token"], answer["token"]["catalog"]
            self._endpoints = self._read_catalog(catalog)
        except (ValueError, KeyError, TypeError) as error:
            raise ActionRequired(
                f"{_first_up(what)}: what answers there is no keystone. Check os_auth_url."
            ) from error
        self._session.headers["X-Auth-Token"] = token
        self._endpoint(COMPUTE)  # a project or a region without it cannot be meant

    def _credentials(self) -> dict[str, Any]:
        user = {
            "name": self.access.username,
            "password": self.access.password.reveal(),
            "domain": dict(self.access.user_domain),
        }
        return {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {
                    "project": {"name": self.access.project, "domain": dict(self.access.project_domain)}
                },
            }
        }

    def _old_credentials(self) -> dict[str, Any]:
        login = {"username": self.access.username, "password": self.access.password.reveal()}
        return {"auth": {"passwordCredentials": login, "tenantName": self.access.project}}

    def _read_catalog(self, catalog: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for service in catalog:
            for endpoint in service["endpoints"]:
                url = endpoint.get("publicURL") or (
                    endpoint.get("url") if endpoint.get("interface") == "public" else None
                )
                region = endpoint.get("region_id") or endpoint.get("region") or ""
                if url and self.access.region in ("", region):
                    found.setdefault(service["type"], url.rstrip("/"))
        return found

    def _endpoint(self, service: str) -> str:
        try:
            url = self._endpoints[service]
        except KeyError:
            region = f" in the region {self.access.region}" if self.access.region else ""
            raise ActionRequired(
                f"The OpenStack at {without_credentials(self.access.auth_url)} offers the project "
                f"{self.access.project} no {service} service{region}. "
                "Check os_project (os_tenant) and os_region."
            ) from None
        return url if _VERSIONS[service] in url else url + _APPENDED[service]

    def _send(self, method: str, url: str, what: str, **arguments: Any) -> requests.Response:
        try:
            return self._session.request(
                method,
                url,
                timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                allow_redirects=False,
                **arguments,
            )
        except OSError as error:  # every exception of requests is one, and so is a CA file that is not there
            said = self._masker(str(error))[:_MAX_MESSAGE]
            if isinstance(error, requests.exceptions.SSLError):
                hint = (
                    f"the certificate of {without_credentials(url)} is not trusted (os_ca_cert names its CA)"
                )
                raise ActionRequired(f"{_first_up(what)}: {hint}: {said}") from None
            if not isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.Timeout):
                raise ActionRequired(
                    f"{_first_up(what)}: {said}. Check os_auth_url and os_ca_cert."
                ) from None
            where = without_credentials(url)
            raise CloudUnreachable(f"{_first_up(what)}: no answer from {where}: {said}") from None


def _check(response: requests.Response, what: str, masker: Masker) -> None:
    status = response.status_code
    if status < requests.codes.multiple_choices:
        return
    message = f"{_first_up(what)}: the cloud answered {status}: {masker(_said(response))[:_MAX_MESSAGE]}"
    error: CmomError
    if status == requests.codes.unauthorized:
        error = AccessRefused(f"{message} Check os_username, os_password, os_project and the domains.")
    elif status == requests.codes.conflict:
        error = CloudConflict(message)
    elif status >= requests.codes.internal_server_error or status == requests.codes.too_many_requests:
        error = CloudUnreachable(message)
    else:
        error = CloudRefused(message, status)
    raise error


def _said(response: requests.Response) -> str:
    """Find the message in an error's body; each service wraps it in a word of its own."""
    with suppress(ValueError, AttributeError):
        for value in response.json().values():
            if isinstance(value, dict) and value.get("message"):
                return str(value["message"])
            if isinstance(value, str):
                return value
    return response.text


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]
