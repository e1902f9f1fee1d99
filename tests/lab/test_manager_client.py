"""The REST client against managers of the lab, and against worse than managers."""

from __future__ import annotations

import base64
import gzip
import logging
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cmom.clients.cluster_api import ClusterApi
from cmom.clients.limits import Timeouts, time_limit
from cmom.clients.manager import ManagerClient
from cmom.errors import (
    AccessRefused,
    ActionRequired,
    ManagerRefused,
    ManagerUnreachable,
    NoRoute,
    NotClusterMaster,
    UnexpectedAnswer,
    UntrustedCertificate,
)
from cmom.models import ManagerAccess, Secret
from lab.manager.standalone import StandaloneManager
from lab.ports import free_port
from tests.lab.fleet import CANARY, Fleet, make_ca
from tests.lab.wire import RawServer, answer

RawPair = Callable[..., tuple[RawServer, ClusterApi]]
PATIENT = Timeouts(connect_seconds=20.0, read_seconds=2.0, total_seconds=60.0)
SHORT = Timeouts(connect_seconds=1.0, read_seconds=1.0, total_seconds=2.0)


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneManager]:
    with StandaloneManager(tmp_path_factory.mktemp("manager"), ip="127.77.2.1", password=CANARY) as running:
        yield running


@pytest.fixture
def access(manager: StandaloneManager) -> ManagerAccess:
    return ManagerAccess("admin", Secret(CANARY), str(manager.ca_cert), manager.port)


@pytest.fixture
def client(manager: StandaloneManager, access: ManagerAccess) -> Iterator[ClusterApi]:
    with ClusterApi(manager.ip, access, timeouts=PATIENT) as made:
        yield made

    async def clear() -> None:
        manager.machine.faults.clear()

    manager.thread.run(clear())


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[RawPair]:
    """Make a server that answers what it is told, and a client for it."""
    ca = make_ca(tmp_path / "ca")
    running: list[RawServer] = []

    def make(
        script: Callable[[RawServer, ssl.SSLSocket], None], timeouts: Timeouts = PATIENT
    ) -> tuple[RawServer, ClusterApi]:
        server = RawServer(tmp_path / "server", ca, lambda connection, _: script(server, connection))
        running.append(server.__enter__())
        given = ManagerAccess("admin", Secret(CANARY), str(ca[0]), server.port)
        return server, ClusterApi(server.ip, given, timeouts=timeouts)

    yield make
    for server in running:
        server.__exit__()


def test_version_and_status_are_read(client: ClusterApi) -> None:
    assert client.version().numbers == (4, 6, 0)
    status = client.status()
    assert status.status == "running"
    assert ("PostgreSQL", "running") in [(one.name, one.status) for one in status.services]


def test_a_manager_that_is_in_no_cluster_says_so(client: ClusterApi) -> None:
    state = client.get_cluster()
    assert (state.initialized, state.error, state.logs, state.in_progress) == (False, "", (), False)


def test_the_wrapped_client_uses_the_same_session(client: ClusterApi) -> None:
    tenants = client.call(lambda rest: [one["name"] for one in rest.tenants.list()], "listing the tenants")
    assert tenants == ["default_tenant"]


def test_the_wrapped_clients_errors_are_ours(client: ClusterApi) -> None:
    with pytest.raises(
        ManagerRefused, match=r"Reading tenant no-such: manager 127\.77\.2\.1 answered"
    ) as caught:
        client.call(lambda rest: rest.tenants.get("no-such"), "reading tenant no-such")
    assert (caught.value.status_code, caught.value.error_code) == (404, "not_found_error")


def test_a_call_that_this_version_does_not_have_is_refused_with_its_html_made_readable(
    client: ClusterApi,
) -> None:
    with pytest.raises(ManagerRefused, match=r"answered 404: 404 Not Found$") as caught:
        client.call(lambda rest: rest.manager.get_managers(), "listing the managers")
    assert caught.value.error_code == ""


def test_another_tenant_is_refused(manager: StandaloneManager, access: ManagerAccess) -> None:
    stranger = ManagerClient(manager.ip, access, tenant="nobody")
    with stranger, pytest.raises(ManagerRefused) as caught:
        stranger.status()
    assert caught.value.status_code == 403


def test_a_wrong_password_is_refused_access_and_not_shown(
    manager: StandaloneManager, access: ManagerAccess
) -> None:
    wrong = replace(access, password=Secret("wr0ng-canary"))
    with ManagerClient(manager.ip, wrong) as client, pytest.raises(AccessRefused) as caught:
        client.version()
    assert "user admin" in str(caught.value)
    assert manager.ip in str(caught.value)
    assert "wr0ng" not in str(caught.value)


def test_a_certificate_of_another_ca_is_untrusted(
    manager: StandaloneManager, access: ManagerAccess, tmp_path: Path
) -> None:
    other = make_ca(tmp_path / "other")
    with (
        ManagerClient(manager.ip, replace(access, ca_cert_path=str(other[0]))) as client,
        pytest.raises(UntrustedCertificate, match=f"must be signed by {other[0]}"),
    ):
        client.version()


def test_the_wrapped_client_does_not_trust_another_ca_either(
    manager: StandaloneManager, access: ManagerAccess, tmp_path: Path
) -> None:
    other = make_ca(tmp_path / "other")
    with (
        ManagerClient(manager.ip, replace(access, ca_cert_path=str(other[0]))) as client,
        pytest.raises(UntrustedCertificate),
    ):
        client.call(lambda rest: rest.tenants.list(), "listing the tenants")


def test_a_certificate_for_another_address_is_untrusted(tmp_path: Path, access: ManagerAccess) -> None:
    ca = make_ca(tmp_path / "ca")
    with RawServer(tmp_path, ca, lambda *_: None, name="127.77.1.99") as server:
        given = replace(access, ca_cert_path=str(ca[0]), port=server.port)
        client = ManagerClient(server.ip, given)
        with client, pytest.raises(UntrustedCertificate, match="mismatch"):
            client.version()
        assert server.requests == []


def test_a_ca_that_cannot_be_read_is_said_before_anything_is_sent(
    access: ManagerAccess, tmp_path: Path
) -> None:
    with pytest.raises(ActionRequired, match="No such file"):
        ManagerClient("127.77.2.1", replace(access, ca_cert_path=str(tmp_path / "none.pem")))
    (tmp_path / "odd.pem").write_text("not a certificate")
    with pytest.raises(ActionRequired, match="not a certificate"):
        ManagerClient("127.77.2.1", replace(access, ca_cert_path=str(tmp_path / "odd.pem")))


def test_nobody_at_the_address_is_unreachable(access: ManagerAccess) -> None:
    nobody = replace(access, port=free_port(["127.77.2.9"]))
    with (
        ManagerClient("127.77.2.9", nobody) as client,
        pytest.raises(ManagerUnreachable, match="connection refused"),
    ):
        client.version()


def test_a_network_that_we_have_no_route_to_is_told_apart(access: ManagerAccess) -> None:
    # The tests are kept on this machine: any other address has no route.
    with ManagerClient("192.0.2.1", access) as client:
        with pytest.raises(NoRoute):
            client.version()
        with pytest.raises(NoRoute):
            client.call(lambda rest: rest.tenants.list(), "listing the tenants")


def test_a_black_holed_address_costs_no_more_than_the_time_to_connect(
    make_fleet: Callable[..., Fleet],
) -> None:
    fleet = make_fleet(1)
    fleet.black_hole(fleet.hosts[0])
    began = time.monotonic()
    with (
        ManagerClient(fleet.hosts[0].ip, fleet.access, timeouts=SHORT) as client,
        pytest.raises(ManagerUnreachable, match="no connection within the time for it"),
    ):
        client.version()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "wrapped"])
@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ({"kind": "refuse"}, ManagerUnreachable, "gave no answer"),
        ({"kind": "hang"}, ManagerUnreachable, "it took too long"),
        ({"kind": "500"}, ManagerUnreachable, "500: 500 Internal Server Error"),
        ({"kind": "503"}, ManagerUnreachable, "503: 503 Service Temporarily Unavailable"),
        ({"kind": "broken-json"}, UnexpectedAnswer, "not JSON"),
        ({"kind": "cut", "after_bytes": 5}, ManagerUnreachable, "broke in the middle"),
    ],
    ids=lambda value: value.get("kind") if isinstance(value, dict) else "",
)
def test_damage_on_the_wire_may_be_mended_by_time(
    manager: StandaloneManager,
    client: ClusterApi,
    fault: dict[str, object],
    kind: type[Exception],
    words: str,
    wrapped: bool,
) -> None:
    manager.fault(**fault, times=1)  # type: ignore[arg-type]
    with pytest.raises(kind, match=words):
        client.call(lambda rest: rest.tenants.list(), "listing") if wrapped else client.version()
    assert client.version().text == "4.6.0"


def test_a_body_that_never_ends_ends_at_the_deadline(raw: RawPair) -> None:
    def drip(server: RawServer, connection: ssl.SSLSocket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
        server.drip(connection, b"1,")

    _, client = raw(drip, SHORT)
    began = time.monotonic()
    with pytest.raises(ManagerUnreachable, match="took too long"):
        client.version()
    with pytest.raises(ManagerUnreachable, match="took too long"):
        client.call(lambda rest: rest.tenants.list(), "listing the tenants")
    assert time.monotonic() - began < 15


def test_headers_that_never_end_end_at_the_deadline(raw: RawPair) -> None:
    def drip(server: RawServer, connection: ssl.SSLSocket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        server.drip(connection, b"y")

    _, client = raw(drip, SHORT)
    began = time.monotonic()
    with pytest.raises(ManagerUnreachable, match="took too long"):
        client.version()
    assert time.monotonic() - began < 10


def test_a_time_limit_of_the_caller_is_in_force_instead(raw: RawPair) -> None:
    def slow(server: RawServer, connection: ssl.SSLSocket) -> None:
        for byte in answer(b'{"version": "4.6.0"}'):
            if server.stopped.wait(0.03):
                return
            connection.sendall(bytes([byte]))

    _, client = raw(slow, SHORT)  # takes about three seconds: longer than the default here
    with pytest.raises(ManagerUnreachable):
        client.version()
    with time_limit(60):
        assert client.version().text == "4.6.0"
    with time_limit(60), time_limit(0.5), pytest.raises(ManagerUnreachable):
        client.version()


def test_a_time_that_is_over_sends_nothing(raw: RawPair) -> None:
    server, client = raw(lambda _, connection: connection.sendall(answer(b"{}")))
    with time_limit(0), pytest.raises(ManagerUnreachable):
        client.version()
    assert server.requests == []


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_an_answer_too_long_for_memory_is_given_up(raw: RawPair, packed: bool) -> None:
    body = b'["' + b"x" * (33 * 1024 * 1024) + b'"]'
    wire = answer(gzip.compress(body, 1), "Content-Encoding: gzip") if packed else answer(body)
    _, client = raw(lambda _, connection: connection.sendall(wire))
    with pytest.raises(UnexpectedAnswer, match="too much"):
        client.request("GET", "/version", "asking for much", total_seconds=60)


def test_a_redirect_is_not_followed(raw: RawPair) -> None:
    moved = answer(b"", "Location: https://192.0.2.1/", status="302 Found")
    server, client = raw(lambda _, connection: connection.sendall(moved))
    with pytest.raises(ManagerRefused) as caught:
        client.version()
    assert caught.value.status_code == 302
    with pytest.raises(ManagerRefused):
        client.call(lambda rest: rest.tenants.list(), "listing the tenants")
    assert len(server.requests) == 2


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"null", b"{}", b"[1, 2]", b'{"items": 7}'])
def test_an_answer_of_another_shape_is_unexpected(raw: RawPair, body: bytes) -> None:
    _, client = raw(lambda _, connection: connection.sendall(answer(body)))
    for ask in (
        client.version,
        client.list_nodes if body not in {b"[]"} else client.version,
        lambda: client.call(lambda rest: rest.tenants.list(), "listing the tenants"),
    ):
        with pytest.raises(UnexpectedAnswer):
            ask()


@pytest.mark.parametrize("body", [b"[]", b'"no"', b"null", b"7", b'{"message": null}', b"<html>"])
def test_an_error_of_another_shape_is_an_error_all_the_same(raw: RawPair, body: bytes) -> None:
    _, client = raw(lambda _, connection: connection.sendall(answer(body, status="400 Bad Request")))
    with pytest.raises(ManagerRefused) as plain:
        client.version()
    with pytest.raises(ManagerRefused) as wrapped:
        client.call(lambda rest: rest.tenants.list(), "listing the tenants")
    assert plain.value.status_code == wrapped.value.status_code == 400


def test_something_without_tls_is_told_apart(access: ManagerAccess) -> None:
    class Plain(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with socketserver.TCPServer(("127.77.2.8", 0), Plain) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        given = replace(access, port=server.server_address[1])
        client = ManagerClient("127.77.2.8", given)
        with client, pytest.raises(UntrustedCertificate, match="speak TLS"):
            client.version()
        server.shutdown()
        thread.join(30)


def test_proxies_of_the_environment_are_not_used(client: ClusterApi, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    assert client.version().text == "4.6.0"
    assert client.call(lambda rest: rest.tenants.list(), "listing the tenants")


def test_nothing_is_logged_of_credentials_even_at_debug(
    manager: StandaloneManager, access: ManagerAccess, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("cloudify.rest_client.http", "urllib3", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    with ClusterApi(manager.ip, access) as client:
        client.version()
        client.call(lambda rest: rest.secrets.create("key", CANARY), "creating a secret")
        with pytest.raises(ManagerRefused, match="conflict_error"):
            client.call(lambda rest: rest.secrets.create("key", CANARY), "creating a secret")
    encoded = base64.b64encode(f"admin:{CANARY}".encode()).decode()
    assert "GET /api/v3.1/version" in caplog.text  # the log is on, and tells what may be told
    assert CANARY not in caplog.text
    assert encoded not in caplog.text


def test_a_client_does_not_show_what_it_knows(client: ClusterApi) -> None:
    assert CANARY not in repr(client)
    assert CANARY not in repr(client.__dict__)


def test_a_replica_is_told_apart(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet(2)
    first, second = fleet.hosts
    with ClusterApi(first.ip, fleet.access) as leader, ClusterApi(second.ip, fleet.access) as replica:
        leader.start(first.ip, first.hostname)
        given = leader.add_node(second.ip, second.hostname)
        assert CANARY not in repr(given)
        assert "token" not in repr(given)
        replica.join(second.ip, second.hostname, given, [first.ip])
        with pytest.raises(NotClusterMaster):
            replica.get_cluster()
        with pytest.raises(NotClusterMaster):
            replica.call(lambda rest: rest.tenants.list(), "listing the tenants")
        assert [(one.name, one.state) for one in leader.list_members()] == [
            ("member-1", "leader"),
            ("member-2", "replica"),
        ]


def test_names_are_quoted_in_urls(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet(1)
    (host,) = fleet.hosts
    with ClusterApi(host.ip, fleet.access) as leader:
        leader.start(host.ip, host.hostname)
        with pytest.raises(ManagerRefused):  # one name, not a way to another resource
            leader.remove_node("../../tenants/default_tenant?x=")
        assert leader.call(lambda rest: len(rest.tenants.list()), "listing the tenants") == 1
