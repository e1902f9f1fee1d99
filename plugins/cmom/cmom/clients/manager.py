"""The REST service of one Tier 1 manager.

Resources go through `cloudify_rest_client` (`ManagerClient.call`); plain requests are for what that client
lacks (`ManagerClient.request`), such as the cluster API of generation 4. Both use the same session, so both
have the same deadlines, the same trust and the same errors.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar

import requests
from cloudify_rest_client.client import CloudifyClient

from cmom.clients.limits import Timeouts, time_limit
from cmom.clients.manager_status import ManagerStatus, read_services
from cmom.clients.quiet_client import QuietClient
from cmom.clients.rest_errors import Conversation, error_for, read_error, rest_errors
from cmom.clients.transport import LimitedSession
from cmom.clients.urls import is_host
from cmom.errors import ActionRequired, UnexpectedAnswer
from cmom.models import ManagerAccess, Secret, Version

API_VERSION = "v3.1"

Answer = TypeVar("Answer")
Client = TypeVar("Client", bound="ManagerClient")


class ManagerClient:
    """A connection to one manager.

    It is cheap to make (nothing is sent) and may be shared by threads. Close it, or use it as a context.

    Args:
        address: The manager's address as Tier 2 reaches it.
        access: User, password, CA, port.
        tenant: Instead of the one in `access`.
        timeouts: See `Timeouts`.

    Raises:
        ActionRequired: The CA certificate cannot be read, or the address is none.
    """

    def __init__(
        self,
        address: str,
        access: ManagerAccess,
        *,
        tenant: str | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.address = address
        self.tenant = tenant or access.tenant
        self._access = access
        self._session = LimitedSession(access.ca_cert_path, timeouts)
        if not is_host(address):
            # The credentials would go wherever a URL made of it leads.
            raise ActionRequired(f"{address[:80]!r} is no address of a manager")
        host = f"[{address}]" if ":" in address else address
        self._base_url = f"https://{host}:{access.port}/api/{API_VERSION}"
        credentials = f"{access.username}:{access.password.reveal()}".encode()
        self._authentication = base64.b64encode(credentials).decode("ascii")
        self._rest = self._wrapped_client()

    def _wrapped_client(self) -> CloudifyClient:
        return QuietClient(
            host=self.address,
            port=self._access.port,
            protocol="https",
            api_version=API_VERSION,
            username=self._access.username,
            password=self._access.password.reveal(),
            tenant=self.tenant,
            cert=self._access.ca_cert_path,
            kerberos_env=False,
            session=self._session,
        )

    def in_tenant(self: Client, tenant: str) -> Client:
        """Return a client for another tenant of the same manager, over the same connections.

        Closing either closes both.
        """
        other = copy.copy(self)
        other.tenant = tenant
        other._rest = other._wrapped_client()
        return other

    def __enter__(self: Client) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r})"

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    @property
    def rest(self) -> CloudifyClient:
        """The wrapped client. Its own errors pass: use it inside `errors`, or through `call`."""
        return self._rest

    def errors(self, doing: str, *, secrets: Sequence[Secret] = ()) -> AbstractContextManager[None]:
        """Return a context in which every error of the wire becomes one of ours; see `rest_errors`.

        Args:
            doing: A phrase for the messages: ``uploading plugin X``.
            secrets: What is sent and must not come back in a message.
        """
        return rest_errors(self._conversation(doing, secrets))

    def _conversation(self, doing: str, more_secrets: Sequence[Secret] = ()) -> Conversation:
        secrets = (
            self._access.password.reveal(),
            self._authentication,
            *(secret.reveal() for secret in more_secrets),
        )
        return Conversation(doing, self.address, self._access.username, self._access.ca_cert_path, secrets)

    def call(
        self,
        function: Callable[[CloudifyClient], Answer],
        doing: str,
        *,
        total_seconds: float | None = None,
        silence_seconds: float | None = None,
        secrets: Sequence[Secret] = (),
    ) -> Answer:
        """Do something with the wrapped client.

        Args:
            function: Gets the client; what it returns is returned.
            doing: A phrase for the messages.
            total_seconds: How long it may take in whole; by default each request in it has the usual limit.
            silence_seconds: How long the manager may be silent; see `time_limit`.
            secrets: What is sent and must not come back in a message.

        Raises:
            CmomError: See `rest_errors`.
        """
        with self.errors(doing, secrets=secrets):
            if total_seconds is None:
                return function(self._rest)
            with time_limit(total_seconds, silence_seconds=silence_seconds):
                return function(self._rest)

    def request(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        body: Mapping[str, Any] | None = None,
        content: Iterable[bytes] | None = None,
        content_type: str = "application/json",
        params: Mapping[str, str | Sequence[str]] | None = None,
        total_seconds: float | None = None,
        silence_seconds: float | None = None,
    ) -> Any:
        """Send a request that `cloudify_rest_client` has no method for.

        Args:
            method: ``GET``, ``PUT``, ...
            path: Below ``/api/v3.1``, its variable parts quoted by the caller.
            doing: A phrase for the messages.
            body: Sent as JSON.
            content: Sent as it is instead of a `body`, piece by piece; with its length in front when it tells
                one (``len()``), else in chunks.
            content_type: Of either.
            params: Of the query.
            total_seconds: How long it may take in whole.
            silence_seconds: How long the manager may be silent; see `time_limit`.

        Returns:
            The answer's JSON; None for an empty body.

        Raises:
            CmomError: See `rest_errors`.
        """
        headers = {
            "Authorization": f"Basic {self._authentication}",
            "Tenant": self.tenant,
            "Content-type": content_type,
        }
        data = content if body is None else json.dumps(body)
        url = f"{self._base_url}{path}"

        def send() -> requests.Response:
            return self._session.request(
                method, url, data=data, params=None if params is None else dict(params), headers=headers
            )

        with self.errors(doing):
            if total_seconds is None:
                response = send()
            else:
                with time_limit(total_seconds, silence_seconds=silence_seconds):
                    response = send()
            if 200 <= response.status_code < 300:
                return response.json() if response.content.strip() else None
        raise error_for(read_error(response), self._conversation(doing))

    def version(self) -> Version:
        """Ask for the manager's version (``GET /version``).

        Raises:
            CmomError: See `rest_errors`.
        """
        doing = "asking for the version"
        answer = self.request("GET", "/version", doing)
        text = answer.get("version") if isinstance(answer, dict) else None
        try:
            return Version.parse(str(text))
        except ActionRequired as error:
            raise UnexpectedAnswer(f"Manager {self.address} told no version: {error}") from error

    def status(self) -> ManagerStatus:
        """Ask for the manager's services (``GET /status``).

        Generation 4 tells a list of services with their units, generation 5 a mapping; both are read.

        Raises:
            CmomError: See `rest_errors`.
        """
        answer = self.request("GET", "/status", "asking for the status")
        if not isinstance(answer, dict):
            raise UnexpectedAnswer(f"Manager {self.address} told its status in an unexpected shape.")
        return ManagerStatus(str(answer.get("status") or ""), read_services(answer.get("services")))
