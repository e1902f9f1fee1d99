"""What OpenStack's services say when they refuse, and what they say when they make no sense.

All of it comes from elsewhere: a proxy's page, a service in the middle of its start, somebody else at the
address. So it is bounded, masked, and nothing in it is believed before it was looked at.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

import requests

from cmom.clients.urls import shown_source
from cmom.errors import AccessRefused, ActionRequired, CmomError, TryAgainLater
from cmom.models import is_unicode

Mask = Callable[[str], str]

_MAX_MESSAGE = 500
_MAX_READ = 100_000
_MAX_ID = 255


class CloudUnreachable(TryAgainLater):
    """A service of the cloud gave no answer, or one that says it is not well."""


class CloudConflict(CloudUnreachable):
    """409: what is asked for does not go together with what is there, now or at all."""


class CloudUnexpected(CloudUnreachable):
    """Something answered, but not as the service does; it counts as no answer.

    Typically a proxy in front of a service that is starting. Above all it is no word about what is there
    and what is not.
    """


class CloudRefused(ActionRequired):
    """A service of the cloud answered and refused.

    Attributes:
        status_code: The HTTP status.
        is_gone: 404, in the form in which services tell that the thing itself is not there.
    """

    def __init__(self, message: str, status_code: int, *, is_gone: bool = False) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.is_gone = is_gone


def check(response: requests.Response, what: str, masker: Mask) -> None:
    """Raise what an answer that is an error means; see `OpenStack.request`."""
    status = response.status_code
    if requests.codes.ok <= status < requests.codes.multiple_choices:
        return
    head = f"{first_up(what)}: the cloud answered {status}"
    if status < requests.codes.bad_request:
        leads = response.headers.get("Location", "")
        on = f" and leads on to {masker(shown_source(leads))[:_MAX_MESSAGE]}" if "://" in leads else ""
        raise CloudRefused(
            f"{head}{on}. Credentials are sent nowhere else: check os_auth_url, and what the catalogue says.",
            status,
        )
    content = _json_of(response)
    said = _said(content) if isinstance(content, Mapping) else ""
    message = f"{head}: {short(masker(said or _text_of(response)))}"
    error: CmomError
    if status == requests.codes.unauthorized:
        error = AccessRefused(f"{message} Check os_username, os_password, os_project and the domains.")
    elif status == requests.codes.conflict:
        error = CloudConflict(message)
    elif status >= requests.codes.internal_server_error or status == requests.codes.too_many_requests:
        error = CloudUnreachable(message)
    else:
        gone = status == requests.codes.not_found and isinstance(content, Mapping)
        error = CloudRefused(message, status, is_gone=gone)
    raise error


def content_of(response: requests.Response, what: str) -> dict[str, Any]:
    """Return the JSON object that an answer is; empty for an answer without a body.

    Raises:
        CloudUnexpected: It is something else.
    """
    if not response.content:
        return {}
    content = _json_of(response)
    if not isinstance(content, dict):
        raise CloudUnexpected(
            f"{first_up(what)}: the cloud answered with something that is not a JSON object."
        )
    return content


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Take apart inside what a service has answered: where it has another shape than it should, we say so.

    Nothing but that belongs inside: a mistake of ours would be taken for the cloud's.

    Raises:
        CloudUnexpected: Something is missing in it, or is of another kind.
    """
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise CloudUnexpected(
            f"{first_up(what)}: the cloud sent an answer of an unexpected shape ({type(error).__name__})."
        ) from error


def text(value: object, *, default: str | None = None) -> str:
    """Return text out of an answer as it is.

    Args:
        default: For null; without it null is no text.

    Raises:
        TypeError: It is no text, for `reading`.
    """
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not is_unicode(value):
        raise TypeError("no text")
    return value


def entries(value: object) -> list[Any]:
    """Return a list out of an answer; anything else, also nothing at all, is no empty list.

    Raises:
        TypeError: It is none, for `reading`.
    """
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def identifier(value: object) -> str:
    """Return an ID out of an answer: text that becomes a part of a path, and is kept.

    Raises:
        TypeError, ValueError: It is none, for `reading`.
    """
    found = text(value)
    if not is_identifier(found):
        raise ValueError("no ID")
    return found


def is_identifier(value: str) -> bool:
    """Tell whether text may be the ID of anything."""
    return 0 < len(value) <= _MAX_ID and value.isprintable() and value not in (".", "..") and "/" not in value


def address(value: object) -> str:
    """Return an IP address out of an answer; a zone is none of ours.

    Raises:
        TypeError, ValueError: It is none, for `reading`.
    """
    found = text(value)
    if "%" in found:
        raise ValueError("an address with a zone")
    return str(ipaddress.ip_address(found))


def path_to(kind: str, thing_id: str, *more: str) -> str:
    """Return the path of one thing: ``/servers/ID/action``.

    Raises:
        ActionRequired: What is to be its ID leads somewhere else.
    """
    if not is_identifier(thing_id):
        raise ActionRequired(f"{short(repr(thing_id))} is no ID of anything in a cloud ({kind}).")
    return "/".join(("", kind, quote(thing_id, safe=""), *more))


def short(said: str) -> str:
    """Return what somebody else said on one line, at a length that can be read."""
    line = " ".join(said.split())
    return line if len(line) <= _MAX_MESSAGE else f"{line[:_MAX_MESSAGE]}..."


def first_up(phrase: str) -> str:
    """Return a phrase as the beginning of a sentence."""
    return phrase[:1].upper() + phrase[1:]


def _json_of(response: requests.Response) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(response.content)
    return None


def _said(content: Mapping[str, Any]) -> str:
    """Find the message in an error's body; each service wraps it in a word of its own."""
    for value in content.values():
        if isinstance(value, Mapping) and value.get("message"):
            return _ascii(value["message"])
        if isinstance(value, str):
            return _ascii(value)
    return ""


def _text_of(response: requests.Response) -> str:
    return response.content[:_MAX_READ].decode("utf-8", "replace")


def _ascii(value: object) -> str:
    """Return text without the halves of characters that nobody can write down."""
    return str(value)[:_MAX_READ].encode("utf-8", "replace").decode()
