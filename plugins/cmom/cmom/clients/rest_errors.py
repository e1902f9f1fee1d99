"""The one place where what a Tier 1 manager's REST service answers becomes one of our errors.

Everything that asks a manager does so inside `rest_errors`; above it nobody sees an exception of `requests`
or of `cloudify_rest_client`.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import requests
from cloudify_rest_client.exceptions import CloudifyClientError

from cmom.clients.masking import Masker
from cmom.clients.transport import AnswerTooLarge
from cmom.errors import (
    AccessRefused,
    CmomError,
    ManagerBusy,
    ManagerRefused,
    ManagerUnreachable,
    NoRoute,
    NotClusterMaster,
    RemovedFromCluster,
    UnexpectedAnswer,
    UntrustedCertificate,
)

NOT_CLUSTER_MASTER = "not_cluster_master"
REMOVED_FROM_CLUSTER = "removed_from_cluster"
NOT_FOUND = "not_found_error"

_MAX_TEXT = 500
_MAX_CODE = 100
_MAX_HTML = 64 * 1024
_PLAIN_WORDS = (
    ("Connection refused", "connection refused"),
    ("Connection reset", "connection reset"),
    ("No route to host", "no route to host"),
    ("closed connection without response", "connection closed without an answer"),
    ("EOF occurred", "connection closed in the TLS handshake"),
    ("IncompleteRead", "the connection broke in the middle of the answer"),
    ("Broken pipe", "the connection broke while the request was sent"),
    ("timed out", "it took too long"),
)
_LATER = frozenset({408, 425, 429})
_BUSY = frozenset({429, 503})
_NOT_MODIFIED = 304
# Whose code reads answers. (json.encoder is not among them: what it stumbles over is ours.)
_READERS = ("cloudify_rest_client", "requests.models", "json.decoder", "json.scanner", "simplejson.decoder")


@dataclass(frozen=True)
class Conversation:
    """What an error message needs to know of the request it reports.

    Attributes:
        doing: What was being done, as a phrase: ``adding 10.0.0.22 to the cluster``.
        address: The manager, as it was addressed.
        username: Whose credentials were used.
        ca_cert_path: What its certificate was checked against.
        secrets: Texts that must not appear in a message, whoever put them there and in whatever spelling.
    """

    doing: str
    address: str
    username: str
    ca_cert_path: str
    secrets: Sequence[str] = ()

    def sentence(self, came_back: str) -> str:
        """Say what was being done, where, and what came back."""
        text = f"{self.doing[:1].upper()}{self.doing[1:]}: manager {self.address} {came_back}"
        return Masker(self.secrets)(text)

    def shortened(self, said: str) -> str:
        """Return what a manager said at a length that can be read; half a secret could not be recognised."""
        return _short(Masker(self.secrets)(said))


@dataclass(frozen=True)
class ErrorAnswer:
    """An answer of the REST service that is not what was asked for.

    Attributes:
        error_code: The manager's own word, empty when the body is not one of its error bodies.
        message: Its message, or a text made of whatever came; as long as it came.
    """

    status_code: int
    error_code: str
    message: str


def read_error(response: requests.Response) -> ErrorAnswer:
    """Make sense of an error's body: the manager's JSON, nginx's HTML, or nothing at all."""
    if response.status_code == _NOT_MODIFIED:
        return ErrorAnswer(_NOT_MODIFIED, "not_modified", "there is nothing to modify")
    text = response.content.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict):
        message = body.get("message") or body.get("detail") or ""
        error_code = str(body.get("error_code") or "")[:_MAX_CODE]
        return ErrorAnswer(response.status_code, error_code, str(message))
    title = re.search(r"<title>(.*?)</title>", text[:_MAX_HTML], re.IGNORECASE | re.DOTALL)
    return ErrorAnswer(response.status_code, "", title.group(1) if title else text)


def error_for(answer: ErrorAnswer, conversation: Conversation) -> CmomError:
    """Choose the error for an answer; the manager's word counts more than the HTTP status."""
    message = conversation.shortened(answer.message)
    said = f": {message}" if message else ""
    code = f" {answer.error_code}" if answer.error_code else ""
    if answer.error_code == NOT_CLUSTER_MASTER:
        return NotClusterMaster(conversation.sentence("is a replica, the leader is elsewhere."))
    if answer.error_code == REMOVED_FROM_CLUSTER:
        return RemovedFromCluster(conversation.sentence("was removed from its cluster."))
    if answer.status_code == requests.codes.unauthorized:
        return AccessRefused(
            conversation.sentence(
                f"refused the credentials of user {conversation.username} (401{code}{said}). "
                "Check manager_admin_username and manager_admin_password; after several failures "
                "a manager locks the account for a while."
            )
        )
    if answer.status_code >= requests.codes.server_error or answer.status_code in _LATER:
        busy = answer.status_code in _BUSY and not answer.error_code
        kind = ManagerBusy if busy else ManagerUnreachable
        return kind(conversation.sentence(f"is not able to answer now ({answer.status_code}{code}{said})."))
    return ManagerRefused(
        conversation.sentence(f"answered {answer.status_code}{code}{said}"),
        answer.status_code,
        answer.error_code,
    )


@contextmanager
def rest_errors(conversation: Conversation) -> Iterator[None]:
    """Turn every error of the wire into one of ours.

    Raises:
        ManagerUnreachable: No answer in time, refused, cut, or a 5xx.
        ManagerBusy: It has too much to do (429, 503).
        NoRoute: Our own machine has no route to it.
        UnexpectedAnswer: An answer that is not the REST service's (broken JSON, another shape).
        NotClusterMaster: It is a replica.
        RemovedFromCluster: It was removed from its cluster.
        AccessRefused: It refused the credentials.
        UntrustedCertificate: Its certificate does not verify.
        ManagerRefused: Any other answer that is an error.
    """
    try:
        yield
    except CloudifyClientError as error:
        raise error_for(_answer_of(error), conversation) from error
    except AnswerTooLarge as error:
        raise UnexpectedAnswer(conversation.sentence(f"sent too much: {error}.")) from error
    except requests.exceptions.InvalidJSONError as error:
        raise UnexpectedAnswer(conversation.sentence("sent something that is not JSON.")) from error
    except (requests.RequestException, OSError) as error:
        # urllib3's own errors do not pass requests, but a socket's may, while a body is streamed.
        raise _wire_error(error, conversation) from error
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
        if not _is_of_an_answer(error.__traceback__):
            raise
        said = conversation.shortened(f"{type(error).__name__}: {error}")
        raise UnexpectedAnswer(
            conversation.sentence(f"sent an answer of an unexpected shape ({said}).")
        ) from error


@contextmanager
def reading(doing: str, address: str) -> Iterator[None]:
    """Take apart inside what a manager has answered: where it has another shape than it should, we say so.

    Nothing but that belongs inside: a mistake of ours would be taken for the manager's.

    Raises:
        UnexpectedAnswer: Something is missing in it, or is of another kind.
    """
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
        raise UnexpectedAnswer(
            f"{doing[:1].upper()}{doing[1:]}: manager {address} sent an answer of an unexpected shape "
            f"({type(error).__name__})."
        ) from error


def _answer_of(error: CloudifyClientError) -> ErrorAnswer:
    if error.response is not None:
        return read_error(error.response)
    return ErrorAnswer(error.status_code, error.error_code or "", str(error))


def _wire_error(error: Exception, conversation: Conversation) -> CmomError:
    reasons = list(_chain(error))
    text = " ".join(str(reason) for reason in reasons)
    if "CERTIFICATE_VERIFY_FAILED" in text or "WRONG_VERSION_NUMBER" in text:
        return UntrustedCertificate(conversation.sentence(_certificate_problem(text, conversation)))
    if any(getattr(reason, "errno", None) == errno.ENETUNREACH for reason in reasons):
        return NoRoute(conversation.sentence("cannot be reached: this machine has no route to its network."))
    return ManagerUnreachable(conversation.sentence(f"gave no answer ({_plain(reasons, conversation)})."))


def _certificate_problem(text: str, conversation: Conversation) -> str:
    if "WRONG_VERSION_NUMBER" in text:
        return "does not speak TLS on this port. Check the port, and that the manager has SSL enabled."
    found = re.search(r"certificate verify failed: ([^(\n]*)", text)
    reason = found.group(1).strip().rstrip(".") if found else "it does not verify"
    return (
        f"shows a certificate that is not trusted: {reason}. It must be signed by "
        f"{conversation.ca_cert_path} and name {conversation.address}. Check that ca_cert and ca_key are "
        "those the manager was installed with, and that nothing else answers at this address."
    )


def _plain(reasons: Sequence[BaseException], conversation: Conversation) -> str:
    """Say in a few words what urllib3, requests and the REST client have wrapped into many."""
    if any(isinstance(reason, requests.ConnectTimeout) for reason in reasons):
        return "no connection within the time for it"
    if any(isinstance(reason, (requests.Timeout, TimeoutError)) for reason in reasons):
        return "it took too long"
    text = " ".join(str(reason) for reason in reasons)
    for pattern, words in _PLAIN_WORDS:
        if pattern in text:
            return words
    return conversation.shortened(str(reasons[-1]))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it wraps: as cause, as context, or among its arguments, as urllib3 does.

    It stops at an error of ours: that one is of an earlier request, which the caller was just handling.
    """
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        found = waiting.pop()
        if not isinstance(found, BaseException) or isinstance(found, CmomError) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        waiting += [found.__cause__, found.__context__, getattr(found, "reason", None), *found.args]


def _is_of_an_answer(trace: TracebackType | None) -> bool:
    """Tell whether an error was raised by what reads an answer: `cloudify_rest_client`, which trusts every
    answer's shape, or what it and `requests` leave the decoding to.
    """
    name = ""
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
    return name.startswith(_READERS)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."
