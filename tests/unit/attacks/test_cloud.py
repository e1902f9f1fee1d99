"""Answers of another shape than OpenStack's, and what leads its client astray.

Like `test_answers`: for every call there is, good answers that are odd in one place. What is at stake is that
nonsense is no word: "there is no such server" makes a second one, or leaves one behind.
"""

from __future__ import annotations

import gzip
import json
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from requests.adapters import BaseAdapter

from cmom.clients import openstack_calls as calls
from cmom.clients import openstack_network as network
from cmom.clients.limits import Timeouts
from cmom.clients.openstack import OpenStack
from cmom.clients.openstack_access import CloudAccess
from cmom.clients.openstack_calls import ServerRequest
from cmom.clients.openstack_errors import CloudUnexpected, CloudUnreachable, path_to
from cmom.clients.openstack_network import PortRequest
from cmom.errors import ActionRequired, CmomError, InvalidInputs
from cmom.models import Secret
from cmom.services.validation.devices import check_device_mapping
from tests.lab.rest import shared_ca
from tests.lab.wire import RawServer, answer
from tests.unit.attacks.odd import NASTY_WORDS, changed, nasty_words, odd_json
from tests.unit.attacks.talking import Talk, drip, drip_headers, saying, server

Act = Callable[[OpenStack], object]

CANARY = "canary-password"
TOKEN = "canary-token"
UUID = "6e1f1b1e-5c4b-4f1f-9d1b-7c0d4e5f6a7b"
CATALOGUE = [
    {
        "type": kind,
        "endpoints": [{"interface": "public", "region_id": "One", "url": f"http://10.0.0.9/{kind}{version}"}],
    }
    for kind, version in (("compute", "/v2.1"), ("network", ""), ("image", ""))
]
LOGIN = {"token": {"catalog": CATALOGUE}}
OLD_LOGIN = {
    "access": {
        "token": {"id": TOKEN},
        "serviceCatalog": [
            {"type": kind, "endpoints": [{"publicURL": f"http://10.0.0.9/{kind}"}]}
            for kind in ("compute", "network", "image")
        ],
    }
}
SERVER = {
    "id": UUID,
    "name": "m1",
    "status": "ERROR",
    "OS-EXT-STS:task_state": None,
    "fault": {"message": "No valid host"},
    "metadata": {"cmom": "mark"},
}
PORT = {
    "id": UUID,
    "name": "m1",
    "network_id": "net",
    "fixed_ips": [{"ip_address": "10.0.0.21"}, {"ip_address": "fd00::21"}],
    "mac_address": "fa:16:3e:00:00:01",
    "device_owner": "compute:nova",
    "allowed_address_pairs": [{"ip_address": "10.0.0.0/24"}],
    "description": "mark",
}
FLOATING = {
    "id": UUID,
    "floating_ip_address": "192.0.2.1",
    "floating_network_id": "ext",
    "description": "mark m1",
}
NETWORK = {"id": "net", "name": "management"}
WANTED = ServerRequest("m1", "", "small", ("p",), "", "", "mark")
PORT_WANTED = PortRequest("m1", "mark", "net", "sub", ())

CALLS: dict[str, tuple[Any, Act]] = {
    "servers named": ({"servers": [SERVER]}, lambda cloud: calls.servers_named(cloud, "m1")),
    "servers marked": ({"servers": [SERVER]}, lambda cloud: calls.servers_marked(cloud, "mark")),
    "server": ({"server": SERVER}, lambda cloud: calls.find_server(cloud, UUID)),
    "create server": (
        {"server": {"id": UUID}, "flavors": [{"id": "1", "name": "small"}]},
        lambda cloud: calls.create_server(cloud, WANTED),
    ),
    "image by ID": (
        {"server": {"id": UUID}, "flavors": [{"id": "1", "name": "small"}], "images": [NETWORK]},
        lambda cloud: calls.create_server(cloud, ServerRequest("m1", "net", "1", (), "", "", "mark")),
    ),
    "delete server": ({}, lambda cloud: calls.delete_server(cloud, UUID)),
    "reboot": ({}, lambda cloud: calls.reboot_server(cloud, UUID)),
    "server groups": (
        {"server_groups": [{"id": "g", "name": "mark"}]},
        lambda cloud: calls.server_groups_named(cloud, "mark"),
    ),
    "create server group": (
        {"server_group": {"id": "g"}},
        lambda cloud: calls.create_server_group(cloud, "mark", "affinity"),
    ),
    "ports named": ({"ports": [PORT]}, lambda cloud: network.ports_named(cloud, "m1", "mark")),
    "ports at": ({"ports": [PORT]}, lambda cloud: network.ports_at(cloud, "net", "10.0.0.21")),
    "port": ({"port": PORT}, lambda cloud: network.find_port(cloud, UUID)),
    "create port": ({"port": PORT}, lambda cloud: network.create_port(cloud, PORT_WANTED)),
    "floating IPs": (
        {"floatingips": [FLOATING], "floatingips_links": [{"rel": "previous"}]},
        lambda cloud: network.floating_ips_described(cloud, "mark m1"),
    ),
    "floating IP": ({"floatingip": FLOATING}, lambda cloud: network.find_floating_ip(cloud, UUID)),
    "create floating IP": (
        {"floatingip": FLOATING},
        lambda cloud: network.create_floating_ip(cloud, "ext", "mark m1"),
    ),
    "network": ({"networks": [NETWORK]}, lambda cloud: network.network_id(cloud, "management", "os_network")),
    "network of": (
        {"port": PORT, "network": NETWORK},
        lambda cloud: network.network_of(cloud, UUID),
    ),
}
LISTS = ("servers named", "servers marked", "server groups", "ports named", "ports at", "floating IPs")
FINDS = ("server", "port", "floating IP", "delete server", "reboot")
BOMBS = {
    "deep list": b"[" * 200_000,
    "deep mapping": b'{"a":' * 100_000,
    "huge number": b'{"servers": ' + b"9" * 5000 + b"}",
    "not UTF-8": b'{"servers": "\xff\xfe"}',
    "halves of characters": b'{"server": {"id": "\\ud800"}, "message": "\\ud800"}',
    "NUL": b"\0" * 100,
    "HTML": b"<html><title>502 Bad Gateway</title></html>",
    "text": b"The resource could not be found.",
    "a list": b"[]",
}


class Wire(BaseAdapter):
    """Logs everybody in, and gives the same answer to everything else."""

    def __init__(self, status: int = 200, body: bytes = b"", login: Any = None) -> None:
        super().__init__()
        self.status, self.body, self.login = status, body, LOGIN if login is None else login
        self.sent: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        self.sent.append(request)
        assert len(self.sent) < 30, "asked without end"
        response = requests.Response()
        response.url, response.request = request.url or "", request
        if "tokens" in response.url:
            response.status_code, response._content = 201, json.dumps(self.login).encode()
            response.headers["X-Subject-Token"] = TOKEN
        else:
            response.status_code, response._content = self.status, self.body
        return response

    def close(self) -> None:
        """Hold nothing."""


def cloud_on(wire: Wire, auth_url: str = "http://10.0.0.9/v3") -> OpenStack:
    cloud = OpenStack(CloudAccess(auth_url, "operator", Secret(CANARY), "project"))
    cloud._session.mount("http://", wire)
    return cloud


def outcome(act: Act, cloud: OpenStack) -> object:
    """What a call makes of an answer, or the error of ours that refuses it."""
    try:
        return act(cloud)
    except CmomError as error:
        said = str(error)
        assert CANARY not in said
        assert TOKEN not in said
        assert "Traceback" not in said
        assert len(said) < 3000
        said.encode()
        return error


@pytest.mark.parametrize("call", CALLS)
def test_the_good_answers_of_a_cloud_are_understood(call: str) -> None:
    good, act = CALLS[call]
    found = outcome(act, cloud_on(Wire(body=json.dumps(good).encode())))
    assert found, found
    assert not isinstance(found, CmomError), found


@pytest.mark.parametrize("call", CALLS)
@given(data=st.data())
def test_an_odd_answer_of_a_cloud_is_understood_or_refused(call: str, data: st.DataObject) -> None:
    good, act = CALLS[call]
    odd = data.draw(changed(good))
    outcome(act, cloud_on(Wire(body=json.dumps(odd).encode())))


@given(status=st.integers(200, 599), body=odd_json, call=st.sampled_from(sorted(CALLS)))
def test_an_odd_refusal_of_a_cloud_is_one_of_our_errors(status: int, body: Any, call: str) -> None:
    outcome(CALLS[call][1], cloud_on(Wire(status, json.dumps(body).encode())))


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("status", [200, 404, 500])
def test_what_is_no_answer_of_a_cloud_is_no_word_about_what_is_there(bomb: str, status: int) -> None:
    for call in (*LISTS, *FINDS):
        found = outcome(CALLS[call][1], cloud_on(Wire(status, BOMBS[bomb])))
        if status == 404 and call in LISTS:
            assert isinstance(found, CmomError)
        else:
            assert isinstance(found, CloudUnreachable) or bomb in ("halves of characters",), (call, found)


@pytest.mark.parametrize("call", LISTS)
@pytest.mark.parametrize("body", [b"", b"{}", b'{"servers": {}, "ports": "", "floatingips": null}'])
def test_a_list_that_is_none_is_not_an_empty_one(call: str, body: bytes) -> None:
    assert isinstance(outcome(CALLS[call][1], cloud_on(Wire(body=body))), CloudUnexpected)


@pytest.mark.parametrize("login", [LOGIN, OLD_LOGIN], ids=["v3", "v2.0"])
@given(data=st.data())
def test_an_odd_login_is_understood_or_refused(login: Any, data: st.DataObject) -> None:
    url = "http://10.0.0.9/v3" if login is LOGIN else "http://10.0.0.9/v2.0"
    wire = Wire(body=b'{"servers": []}', login=data.draw(changed(login)))
    outcome(CALLS["servers named"][1], cloud_on(wire, url))
    assert all(urlsplit(str(sent.url)).scheme == "http" for sent in wire.sent)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://x/", "http://", "http://a b/", "gopher:x", 5, None]
)
def test_a_catalogue_that_leads_to_no_web_page_names_no_service(url: Any) -> None:
    catalogue = [{"type": "compute", "endpoints": [{"interface": "public", "url": url}]}]
    with pytest.raises(ActionRequired, match="no compute service"):
        cloud_on(Wire(login={"token": {"catalog": catalogue}})).log_in()


@pytest.mark.parametrize("token", ["a\r\nX-Injected: yes", "", " ", "é", "x" * 20_000, 5, None, ["a"]])
def test_a_token_that_is_no_header_is_refused_and_not_shown(token: Any) -> None:
    login = {"access": {**OLD_LOGIN["access"], "token": {"id": token}}}
    with pytest.raises(ActionRequired, match="no keystone") as refused:
        cloud_on(Wire(login=login), "http://10.0.0.9/v2.0").log_in()
    assert "Injected" not in str(refused.value)


def test_a_list_of_a_cloud_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_MOST_PAGES", 5)
    wire = Wire()

    def another(request: requests.PreparedRequest, **_: Any) -> requests.Response:
        more = [{"rel": "next", "href": "x"}]
        page = {"servers": [{**SERVER, "id": f"s{len(wire.sent)}"}], "ports_links": more}
        wire.body = json.dumps({**page, "ports": [{**PORT, "id": f"p{len(wire.sent)}"}]}).encode()
        return Wire.send(wire, request)

    monkeypatch.setattr(wire, "send", another)
    for call in ("servers marked", "ports named"):
        wire.sent.clear()
        found = outcome(CALLS[call][1], cloud_on(wire))
        assert isinstance(found, CloudUnexpected), found
        assert "does not end" in str(found)
        assert len(wire.sent) == 6  # the first of them logs in


@given(part=st.text(max_size=300) | nasty_words)
@example(part="..")
@example(part="a/../b")
@example(part=UUID)
def test_an_id_stays_one_part_of_a_path(part: str) -> None:
    try:
        path = path_to("servers", part, "action")
    except ActionRequired:
        return
    sent = urlsplit(str(requests.Request("GET", f"http://10.0.0.9/v2.1{path}").prepare().url))
    assert (sent.netloc, sent.query, sent.fragment) == ("10.0.0.9", "", "")
    assert [unquote(one) for one in sent.path.split("/")] == ["", "v2.1", "servers", part, "action"]


@pytest.mark.parametrize("word", NASTY_WORDS)
def test_an_id_that_a_cloud_made_up_leads_nowhere(word: str) -> None:
    """What is kept of an answer is used in the path of the next request, which may delete."""
    body = json.dumps({"server": {"id": word}, "flavors": [{"id": "1", "name": "small"}]}).encode()
    found = outcome(CALLS["create server"][1], cloud_on(Wire(body=body)))
    if isinstance(found, str):
        assert path_to("servers", found).count("/") == 2
    else:
        assert isinstance(found, CloudUnexpected)


@pytest.mark.parametrize("name", ["a/b", "..", "x?name=y", "", "x#y", f"{UUID}/../x"])
def test_a_network_of_an_odd_name_is_looked_for_by_its_name(name: str) -> None:
    wire = Wire(body=json.dumps({"networks": [{"id": "net", "name": name}], "network": NETWORK}).encode())
    assert network.network_id(cloud_on(wire), name, "os_floating_network") == "net"
    assert [urlsplit(str(sent.url)).path for sent in wire.sent[1:]] == ["/network/v2.0/networks"]


@pytest.mark.parametrize("ip", ["10.0.0.21; reboot", "fe80::1%eth0/../x", 167772181, None, "", "localhost"])
def test_an_address_of_a_port_is_one(ip: Any) -> None:
    body = json.dumps({"port": {**PORT, "fixed_ips": [{"ip_address": ip}]}}).encode()
    assert isinstance(outcome(CALLS["port"][1], cloud_on(Wire(body=body))), CloudUnexpected)


@pytest.mark.parametrize("more", [{"metadata": "x"}, {"tags": {date(2026, 1, 1)}}, {"x": float("nan")}])
def test_what_cannot_be_sent_is_the_users_to_mend(more: Mapping[str, Any]) -> None:
    wire = Wire(body=json.dumps(CALLS["create server"][0]).encode())
    wanted = ServerRequest("m1", "", "small", ("p",), "", "", "mark", more)
    with pytest.raises(ActionRequired, match="server m1"):
        calls.create_server(cloud_on(wire), wanted)


@given(raw=odd_json | st.lists(changed({"boot_index": "0", "source_type": "image", "uuid": "x"}), max_size=3))
@example(raw=[{"boot_index": date(2026, 1, 1)}])
@example(raw=[{"source_type": ["image"]}])
@example(raw=[{"source_type": "image"}])
def test_an_odd_device_mapping_is_sent_as_it_is_or_all_its_faults_are_told(raw: Any) -> None:
    try:
        check_device_mapping(raw)
    except InvalidInputs as error:
        assert all(fault.place.startswith("os_device_mapping") for fault in error.faults)
        str(error).encode()
        return
    json.dumps(raw, allow_nan=False)


FIVE_TIMES = Timeouts(connect_seconds=5, read_seconds=5, total_seconds=0.4)


def connected(port: int, timeouts: Timeouts = FIVE_TIMES, **more: Any) -> OpenStack:
    """A client of a cloud that is a server on this machine."""
    access = CloudAccess(f"http://127.0.0.1:{port}/v3", "operator", Secret(CANARY), "project")
    return OpenStack(access, timeouts, **more)


@pytest.mark.parametrize("talk", [drip, drip_headers])
def test_a_cloud_that_drips_is_not_waited_for_beyond_the_deadline(talk: Talk) -> None:
    began = time.monotonic()
    with server(talk) as (port, _), pytest.raises(CloudUnreachable, match="no answer"):
        connected(port).log_in()
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_of_a_cloud_too_long_for_memory_is_given_up(packed: bool) -> None:
    body = b" " * 40_000_000
    encoding = "Content-Encoding: gzip\r\n" if packed else ""
    body = gzip.compress(body, 1) if packed else body
    head = f"HTTP/1.1 200 OK\r\n{encoding}Content-Length: {len(body)}\r\n\r\n".encode()
    with server(saying(head + body)) as (port, _), pytest.raises(CloudUnexpected, match="longer than"):
        connected(port, Timeouts(total_seconds=30)).log_in()


def test_a_redirect_of_a_cloud_is_not_followed() -> None:
    with server(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as (elsewhere, heads):
        to = f"http://127.0.0.1:{elsewhere}/v3"
        leads = f"HTTP/1.1 307 Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()
        with (
            server(saying(leads)) as (port, _),
            pytest.raises(ActionRequired, match="os_auth_url") as refused,
        ):
            connected(port).log_in()
    assert to in str(refused.value)
    assert not heads


def test_a_conversation_with_a_cloud_ends() -> None:
    cloud = OpenStack(
        CloudAccess("http://10.0.0.9/v3", "operator", Secret(CANARY), "project"), conversation_seconds=0.2
    )
    wire = Wire(body=b'{"servers": []}')
    cloud._session.mount("http://", wire)
    assert calls.servers_named(cloud, "m1") == []
    time.sleep(0.2)
    with pytest.raises(CloudUnreachable, match=r"took more than 0.2 s"):
        calls.servers_named(cloud, "m1")
    assert len(wire.sent) == 2


@pytest.mark.parametrize(
    ("verify", "trusted"), [("ours", True), (True, False), (False, True)], ids=["CA", "system", "insecure"]
)
@pytest.mark.parametrize("environment", ["", "/etc/nothing.pem"])
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_clouds_certificate_is_trusted_as_told_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verify: Any, trusted: bool, environment: str
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, environment if verify is not True else "")
    body = json.dumps({"token": {"catalog": []}}).encode()

    def log_in(secured: ssl.SSLSocket, head: bytes) -> None:
        if head.endswith(b"\r\n\r\n"):
            secured.recv(65536)  # unread, it would cut the connection before the answer is there
        secured.sendall(answer(body, f"X-Subject-Token: {TOKEN}"))

    with RawServer(tmp_path, shared_ca(), log_in) as cloud:
        url = f"https://{cloud.ip}:{cloud.port}/v3"
        ca = str(shared_ca()[0]) if verify == "ours" else verify
        with pytest.raises(ActionRequired) as refused:
            OpenStack(CloudAccess(url, "operator", Secret(CANARY), "project", verify=ca)).log_in()
    assert ("no compute service" in str(refused.value)) is trusted
    assert trusted or "is not trusted (os_ca_cert" in str(refused.value)
    assert bool(cloud.requests) is trusted
