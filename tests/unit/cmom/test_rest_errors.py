"""What the REST service answers, and which error that is."""

from __future__ import annotations

import errno
import json

import pytest
import requests
from cloudify_rest_client.exceptions import CloudifyClientError

from cmom.clients.rest_errors import Conversation, ErrorAnswer, error_for, read_error, rest_errors
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

TALK = Conversation("listing the members", "10.0.0.21", "admin", "/ca.pem", ("s3cret",))


def response(status: int, body: str | bytes) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made._content = body.encode() if isinstance(body, str) else body
    return made


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "not_cluster_master", NotClusterMaster),
        (400, "removed_from_cluster", RemovedFromCluster),
        (403, "removed_from_cluster", RemovedFromCluster),
        (500, "removed_from_cluster", RemovedFromCluster),
        (401, "unauthorized_error", AccessRefused),
        (401, "", AccessRefused),
        (403, "forbidden_error", ManagerRefused),
        (404, "not_found_error", ManagerRefused),
        (404, "", ManagerRefused),
        (409, "conflict_error", ManagerRefused),
        (302, "", ManagerRefused),
        (429, "", ManagerBusy),
        (500, "internal_server_error", ManagerUnreachable),
        (502, "", ManagerUnreachable),
        (503, "", ManagerBusy),
        (503, "maintenance_mode_active", ManagerUnreachable),
    ],
)
def test_each_answer_is_one_error(status: int, code: str, kind: type[CmomError]) -> None:
    assert type(error_for(ErrorAnswer(status, code, "why"), TALK)) is kind


def test_the_message_says_what_was_done_where_and_what_came_back() -> None:
    error = error_for(ErrorAnswer(409, "conflict_error", "it is there"), TALK)
    assert str(error) == "Listing the members: manager 10.0.0.21 answered 409 conflict_error: it is there"
    assert isinstance(error, ManagerRefused)
    assert (error.status_code, error.error_code) == (409, "conflict_error")


def test_a_refused_password_names_user_and_manager_and_not_the_password() -> None:
    text = str(error_for(ErrorAnswer(401, "unauthorized_error", "wrong: s3cret"), TALK))
    assert "admin" in text
    assert "10.0.0.21" in text
    assert "s3cret" not in text


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ('{"message": "no", "error_code": "x_error", "server_traceback": "File..."}', "x_error", "no"),
        ('{"detail": "no"}', "", "no"),
        ('["a", "list"]', "", '["a", "list"]'),
        (
            "<html><head><title>502 Bad\n Gateway</title></head><body>nginx</body></html>",
            "",
            "502 Bad Gateway",
        ),
        ("", "", ""),
        (b"\xff\xfe", "", "\ufffd\ufffd"),
        ("x" * 5000, "", "x" * 500 + "..."),
        ('{"message": null, "error_code": null}', "", ""),
    ],
)
def test_an_error_body_is_made_sense_of(body: str | bytes, code: str, message: str) -> None:
    answer = read_error(response(400, body))
    assert (answer.status_code, answer.error_code, TALK.shortened(answer.message)) == (400, code, message)


def test_the_rest_clients_own_errors_are_mapped_by_their_response() -> None:
    body = json.dumps({"message": "not the master", "error_code": "not_cluster_master"})
    with pytest.raises(NotClusterMaster), rest_errors(TALK):
        raise CloudifyClientError("x", status_code=400, response=response(400, body))


def test_a_rest_client_error_without_a_response_is_mapped_by_what_it_carries() -> None:
    with pytest.raises(ManagerRefused, match="missing_premium"), rest_errors(TALK):
        raise CloudifyClientError("no", status_code=404, error_code="missing_premium_package_error")


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (requests.ConnectTimeout("x"), ManagerUnreachable, "no connection within the time"),
        (requests.ReadTimeout("x"), ManagerUnreachable, "took too long"),
        (TimeoutError("x"), ManagerUnreachable, "took too long"),
        (requests.ConnectionError("[Errno 111] Connection refused"), ManagerUnreachable, "refused"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), ManagerUnreachable, "reset"),
        (requests.exceptions.ChunkedEncodingError("IncompleteRead(3)"), ManagerUnreachable, "middle of the"),
        (requests.exceptions.SSLError("EOF occurred in violation"), ManagerUnreachable, "TLS handshake"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), NoRoute, "no route to its network"),
        (requests.exceptions.JSONDecodeError("x", "", 0), UnexpectedAnswer, "not JSON"),
        (
            requests.exceptions.SSLError(
                "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl)"
            ),
            UntrustedCertificate,
            "not trusted: self-signed certificate. It must be signed by /ca.pem and name 10.0.0.21",
        ),
        (requests.exceptions.SSLError("[SSL: WRONG_VERSION_NUMBER] x"), UntrustedCertificate, "speak TLS"),
    ],
)
def test_each_failure_of_the_wire_is_one_error(raised: Exception, kind: type[CmomError], words: str) -> None:
    with pytest.raises(CmomError) as caught, rest_errors(TALK):
        raise raised
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert caught.value.__cause__ is raised


def test_an_error_of_an_earlier_request_is_not_taken_for_this_one() -> None:
    def no_route() -> None:
        with rest_errors(TALK):
            raise OSError(errno.ENETUNREACH, "Network is unreachable")

    def then_refused() -> None:
        try:
            no_route()
        except NoRoute:
            with rest_errors(TALK):
                raise requests.ConnectionError("Connection refused") from None

    with pytest.raises(ManagerUnreachable) as caught:
        then_refused()
    assert type(caught.value) is ManagerUnreachable


def test_our_own_mistakes_are_not_dressed_up_as_the_managers() -> None:
    with pytest.raises(KeyError), rest_errors(TALK):
        raise KeyError("a typo of ours")
