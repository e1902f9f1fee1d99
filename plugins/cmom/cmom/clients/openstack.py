"""OpenStack's REST, as far as the plugin for OpenStack cannot do it for us.

cloudify-openstack-plugin looks resources up and connects them. It has no way to find what it made and did
not record (it stores an id only after the create call), and what is gone already cannot be deleted with
it. So what is made is made and removed here, over keystone, nova, neutron and glance, with the same
credentials that the plugin is given.

Facts: the APIs' references (identity v3, compute v2.1, network v2.0, image v2). Nothing above nova's
microversion 2.15 is used, and that only for server groups.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import requests

from cmom.clients import openstack_errors as errors
from cmom.clients.limits import Timeouts, time_limit
from cmom.clients.masking import Masker, without_credentials
from cmom.clients.openstack_access import CloudAccess
from cmom.clients.openstack_errors import CloudRefused, CloudUnexpected, CloudUnreachable, first_up, short
from cmom.clients.openstack_identity import Login, endpoints
from cmom.clients.transport import AnswerTooLarge, CloudSession
from cmom.errors import ActionRequired

COMPUTE, IMAGE, NETWORK = "compute", "image", "network"

TIMEOUTS = Timeouts(connect_seconds=10.0, read_seconds=60.0, total_seconds=120.0)
CONVERSATION_SECONDS = 3600.0
# What an endpoint in the catalogue must end with; operators register it with the version or without.
_VERSIONS = {COMPUTE: "/v2", IMAGE: "/v2", NETWORK: "/v2.0"}
_APPENDED = {COMPUTE: "/v2.1", IMAGE: "/v2", NETWORK: "/v2.0"}


class OpenStack:
    """One project's view of a cloud: a token, a catalogue, and requests to its services.

    Logs in with the first request. An operation makes a handful of requests, so a token is never old.

    Args:
        access: Whose project, and where.
        timeouts: For each request; `TIMEOUTS` by default.
        conversation_seconds: How long after its making anything may be asked: an operation that is over by
            then is told so and can be run again.
    """

    def __init__(
        self,
        access: CloudAccess,
        timeouts: Timeouts | None = None,
        conversation_seconds: float = CONVERSATION_SECONDS,
    ) -> None:
        self.access = access
        self._timeouts = timeouts or TIMEOUTS
        self._conversation_seconds = conversation_seconds
        self._ends = time.monotonic() + conversation_seconds
        self._endpoints: dict[str, str] = {}
        self._session = CloudSession(access.verify, self._timeouts)
        self._masker = Masker([access.password.reveal()])

    def get(self, service: str, path: str, what: str, **query: str) -> dict[str, Any]:
        """GET and return the answer's JSON. See `request` for the errors."""
        return self.request("GET", service, path, what, query=query)

    def find(self, service: str, path: str, what: str) -> dict[str, Any] | None:
        """GET and return the answer's JSON, None for a thing that is not there."""
        return self._unless_gone("GET", service, path, what)

    def act(self, service: str, path: str, what: str, *, body: Mapping[str, Any] | None = None) -> bool:
        """POST what is to be done with a thing; False for one that is gone."""
        return self._unless_gone("POST", service, path, what, body=body) is not None

    def delete(self, service: str, path: str, what: str) -> bool:
        """DELETE; False for a thing that was gone already."""
        return self._unless_gone("DELETE", service, path, what) is not None

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
            path: Below the service's endpoint, ``/servers``; IDs in it come from `path_to`.
            what: What is being done, for messages: ``making the server manager-1``.

        Returns:
            The answer's JSON; empty where there is no body.

        Raises:
            AccessRefused: 401.
            CloudRefused: Another 4xx: not found, over quota, a bad value. The service's own words are
            in it. Also a redirect.
            CloudConflict: 409; for most of them time is the remedy.
            CloudUnexpected: An answer that is none of the service's.
            CloudUnreachable: No answer, too many requests, or a 5xx.
            ActionRequired: What was given cannot be sent.
        """
        if "X-Auth-Token" not in self._session.headers:
            self.log_in()
        url = self._endpoint(service) + path
        response = self._send(method, url, what, params=query or None, body=body, headers=headers)
        errors.check(response, what, self._masker)
        return errors.content_of(response, what)

    def log_in(self) -> None:
        """Get a token and the catalogue; done by the first request when it was not done before.

        Raises:
            AccessRefused: Wrong user, password, project or domain.
            ActionRequired: What answers is no keystone, or its certificate is not trusted.
            CloudUnreachable: No answer.
        """
        login = Login.to(self.access)
        what = f"logging in to OpenStack at {without_credentials(login.base_url)} as {self.access.username}"
        response = self._send("POST", login.url, what, body=login.body)
        errors.check(response, what, self._masker)
        try:
            with errors.reading(what):
                token, catalogue = login.read(response.headers, errors.content_of(response, what))
                self._endpoints = endpoints(catalogue, self.access.region, (COMPUTE, IMAGE, NETWORK))
        except CloudUnexpected as error:
            raise ActionRequired(
                f"{first_up(what)}: what answers there is no keystone. Check os_auth_url."
            ) from error
        self._session.headers["X-Auth-Token"] = token
        self._masker = Masker([self.access.password.reveal(), token])
        self._endpoint(COMPUTE)  # a project or a region without it cannot be meant

    def _unless_gone(
        self, method: str, service: str, path: str, what: str, *, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        try:
            return self.request(method, service, path, what, body=body)
        except CloudRefused as error:
            if error.status_code != requests.codes.not_found:
                raise
            # glance tells it in HTML; of nova and neutron that would be a page of what stands before them.
            if error.is_gone or service == IMAGE:
                return None
            raise CloudUnexpected(f"{error} That is no word of the {service} service itself.") from error

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

    def _send(
        self,
        method: str,
        url: str,
        what: str,
        *,
        body: Mapping[str, Any] | None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise CloudUnreachable(
                f"{first_up(what)}: not asked any more: what was asked of the cloud before took more "
                f"than {self._conversation_seconds:g} s."
            )
        content = None if body is None else _as_json(body, what)
        as_json = {"Content-Type": "application/json"} if content else {}
        try:
            with time_limit(min(left, self._timeouts.total_seconds)):
                return self._session.request(
                    method,
                    url,
                    params=params,
                    data=content,
                    headers={**as_json, **(headers or {})},
                    # Said here, too: REQUESTS_CA_BUNDLE would win over what the session says.
                    verify=self.access.verify,
                )
        except OSError as error:  # every exception of requests is one, and so is a CA file that is not there
            raise self._wire_error(error, url, what) from None

    def _wire_error(self, error: OSError, url: str, what: str) -> Exception:
        said = short(self._masker(str(error)))
        where = without_credentials(url)
        if isinstance(error, requests.exceptions.SSLError):
            hint = f"the certificate of {where} is not trusted (os_ca_cert names its CA)"
            return ActionRequired(f"{first_up(what)}: {hint}: {said}")
        if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.Timeout):
            return CloudUnreachable(f"{first_up(what)}: no answer from {where}: {said}")
        if isinstance(error, _OF_AN_ANSWER):
            return CloudUnexpected(f"{first_up(what)}: an unexpected answer from {where}: {said}")
        return ActionRequired(f"{first_up(what)}: {said}. Check os_auth_url and os_ca_cert.")


_OF_AN_ANSWER = (
    AnswerTooLarge,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


def _as_json(body: Mapping[str, Any], what: str) -> bytes:
    """Write what is sent; what a user gave may hold what JSON cannot, such as a date."""
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ActionRequired(f"{first_up(what)}: what was given for it cannot be sent: {error}.") from None
