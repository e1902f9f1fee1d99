"""`cloudify_rest_client` as it is used here: it logs nothing, and survives any error body."""

from __future__ import annotations

import logging
from typing import Any

import requests
from cloudify_rest_client.client import CloudifyClient, HTTPClient
from cloudify_rest_client.exceptions import CloudifyClientError

# cloudify_rest_client logs headers and bodies, passwords among them, when its logger is at DEBUG, which an
# operator may switch on for Tier 2 as a whole. This one has nowhere to write.
_SILENT = logging.Logger("cmom.rest.silent", level=logging.CRITICAL + 1)


class _RestClient(HTTPClient):  # type: ignore[misc]
    """The HTTP half of `cloudify_rest_client`, which keeps quiet and survives any error body."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _SILENT

    def _raise_client_error(self, response: requests.Response, url: str | None = None) -> None:
        try:
            super()._raise_client_error(response, url)
        except (AttributeError, TypeError) as error:  # a body that is JSON, but not an object
            raise CloudifyClientError(
                "an error of an unexpected shape", status_code=response.status_code, response=response
            ) from error


class QuietClient(CloudifyClient):  # type: ignore[misc]
    """The whole client, with that half."""

    client_class = _RestClient
