"""Answers of another shape than a manager's: for every call there is, good ones that are odd in one place.

The wire is replaced behind `requests`: an answer is given as the bytes that came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import BaseAdapter

from cmom.clients.cluster_api import ClusterApi
from cmom.clients.executions import ExecutionApi
from cmom.clients.manager import ManagerClient
from cmom.clients.pacing import Pacer
from cmom.clients.resources import ResourceApi
from cmom.clients.rest_errors import Conversation, ErrorAnswer, error_for
from cmom.clients.snapshots import CREATE_WORKFLOW, RestoreOptions, SnapshotApi, SnapshotOptions
from cmom.clients.tenant_api import TenantApi
from cmom.clients.tier2 import RestDeployments
from cmom.clients.tier2_executions import running_executions
from cmom.errors import CmomError, UnexpectedAnswer
from cmom.models import ManagerAccess, Secret, Version
from cmom.monitor.config import ManagerTier2
from cmom.monitor.tier2 import ClusterKey, Order, Ticket
from cmom.monitor.tier2_rest import RestTier2
from cmom.services.deployed import CLUSTER_TYPE
from cmom_meta.clients.rest import RestTier2 as MetaTier2
from cmom_meta.errors import MetaError
from cmom_meta.models import Order as MetaOrder
from cmom_meta.models import Run
from tests.lab.rest import shared_ca
from tests.unit.attacks.odd import changed, odd_json

Act = Callable[[Any], object]
MOST_REQUESTS = 20
KEY = ClusterKey("default_tenant", "one")


class Wire(BaseAdapter):
    """Gives the same answer to everything."""

    def __init__(self) -> None:
        super().__init__()
        self.status, self.body, self.asked = 200, b"", 0

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        self.asked += 1
        assert self.asked < MOST_REQUESTS, "asked without end"
        response = requests.Response()
        response.status_code, response._content = self.status, self.body
        response.url, response.request = request.url or "", request
        response.headers["Content-Type"] = "application/json"
        return response

    def close(self) -> None:
        """Hold nothing."""


def page(*items: Mapping[str, Any]) -> dict[str, Any]:
    """A list, as managers give it."""
    pagination = {"total": len(items), "offset": 0, "size": 1000}
    return {"items": list(items), "metadata": {"pagination": pagination}}


EXECUTION = {
    "id": "e1",
    "deployment_id": "d",
    "workflow_id": "w",
    "status": "started",
    "error": "",
    "parameters": {"snapshot_id": "s"},
    "created_at": "2026-01-01T00:00:00.000Z",
}
HELD = {"id": "x", "name": "x", "key": "x", "tenant_name": "t", "visibility": "tenant"}
NODE = {
    "name": "m1",
    "host_ip": "10.0.0.1",
    "online": True,
    "master": True,
    "initialized": True,
    "checks": {"consul": True},
    "credentials": {"key": "k"},
    "required": {},
}
EVENT = {"reported_timestamp": "2026", "message": "m", "type": "cloudify_log", "level": "info"}
CLUSTER_NODE = {
    "id": "c",
    "deployment_id": "one",
    "type_hierarchy": ["a", CLUSTER_TYPE],
    "properties": {"rest_port": 443},
}
INSTANCE = {
    "id": "c_1",
    "node_id": "c",
    "deployment_id": "one",
    "state": "started",
    "runtime_properties": {"ip": "10.0.0.1"},
}
STATUS_4 = {
    "status": "running",
    "services": [{"display_name": "REST", "instances": [{"state": "running"}]}],
}
CLUSTER = {"initialized": True, "error": "", "logs": [{"message": "m", "timestamp": "t", "cursor": "1"}]}

CALLS: dict[str, tuple[str, Any, Act]] = {
    "version": ("manager", {"version": "4.6.0"}, lambda api: api.version()),
    "status 4": ("manager", STATUS_4, lambda api: api.status()),
    "status 5": (
        "manager",
        {"status": "OK", "services": {"nginx": {"status": "active"}}},
        lambda api: api.status(),
    ),
    "cluster": ("cluster", CLUSTER, lambda api: api.get_cluster()),
    "start cluster": ("cluster", CLUSTER, lambda api: api.start("10.0.0.1", "m1")),
    "members": ("cluster", {"items": [NODE]}, lambda api: api.list_nodes()),
    "add node": ("cluster", NODE, lambda api: api.add_node("10.0.0.1", "m1")),
    "execution": ("executions", EXECUTION, lambda api: api.get_execution("t", "e1")),
    "start": ("executions", EXECUTION, lambda api: api.start_execution("t", "d", "w", {})),
    "cancel": ("executions", EXECUTION, lambda api: api.cancel_execution("t", "e1")),
    "executions": ("executions", page(EXECUTION), lambda api: api.list_executions("t", "d", "w")),
    "events": (
        "executions",
        page(EVENT),
        lambda api: api.list_events("t", "e1", offset=0, size=10, include_logs=True),
    ),
    "snapshot": (
        "snapshots",
        {"id": "s", "status": "created", "error": ""},
        lambda api: api.find_snapshot("s"),
    ),
    "create snapshot": (
        "snapshots",
        EXECUTION,
        lambda api: api.create_snapshot("s", SnapshotOptions()),
    ),
    "restore snapshot": (
        "snapshots",
        EXECUTION,
        lambda api: api.restore_snapshot("s", RestoreOptions()),
    ),
    "active executions": ("snapshots", page(EXECUTION), lambda api: api.list_active_executions()),
    "snapshot executions": (
        "snapshots",
        page(EXECUTION),
        lambda api: api.list_snapshot_executions(CREATE_WORKFLOW, "s"),
    ),
    "contents": ("snapshots", page(HELD), lambda api: api.count_contents()),
    "tenants": ("resources", page(HELD), lambda api: api.list_tenants()),
    "secrets": ("resources", page(HELD), lambda api: api.list_secrets("t")),
    "secret": ("resources", {"key": "x", "value": "v"}, lambda api: api.get_secret_value("t", "x")),
    "plugins": ("resources", page(HELD), lambda api: api.list_plugins("t")),
    "blueprints": ("resources", page(HELD), lambda api: api.list_blueprints("t")),
    "blueprint": ("resources", HELD, lambda api: api.get_blueprint("t", "x")),
    "deployments": ("resources", page(HELD), lambda api: api.list_deployments("t")),
    "inputs": (
        "resources",
        {"id": "x", "inputs": {"a": 1}},
        lambda api: api.get_deployment_inputs("t", "x"),
    ),
    "create deployment": (
        "resources",
        HELD,
        lambda api: api.create_deployment("t", "d", "b", {}, "tenant"),
    ),
    "tier2 nodes": ("tier2", page(CLUSTER_NODE), lambda api: api.list_nodes("one")),
    "tier2 instances": ("tier2", page(INSTANCE), lambda api: api.list_instances("one")),
    "tier2 running": ("client", page(EXECUTION), lambda api: running_executions(api, "one")),
    "monitor reads": ("monitor", page({**CLUSTER_NODE, **INSTANCE, "groups": {}}), lambda api: api.read()),
    "monitor executions": ("monitor", page(EXECUTION), lambda api: api.executions(KEY)),
    "monitor running": ("monitor", page(EXECUTION), lambda api: api.running(KEY, "w")),
    "monitor starts": ("monitor", EXECUTION, lambda api: api.start(KEY, Order("w", {}))),
    "monitor outcome": ("monitor", EXECUTION, lambda api: api.outcome(Ticket(KEY, "e1", "x"))),
    "meta existing": ("meta", page(HELD), lambda api: api.existing(["x"])),
    "meta clusters": ("meta", page({**CLUSTER_NODE, **INSTANCE}), lambda api: api.clusters(["one"])),
    "meta labelled": ("meta", page(HELD), lambda api: api.labelled(["a=b"])),
    "meta starts": ("meta", EXECUTION, lambda api: api.start("one", MetaOrder("w", {}))),
    "meta states": (
        "meta",
        page(EXECUTION),
        lambda api: api.states([Run("one", "e1", "x")]),
    ),
}


# What they give is nothing, or that nothing has ended yet.
SILENT = ("create deployment", "monitor outcome")
# Answers that no parser of JSON gets to the end of, or that hold more than a number may.
BOMBS = {
    "deep list": b"[" * 200_000,
    "deep mapping": b'{"a":' * 100_000,
    "huge number": b'{"id": ' + b"9" * 5000 + b"}",
    "huge version": json.dumps({"version": "9" * 5000 + ".1"}).encode(),
    "not UTF-8": b'{"id": "\xff\xfe"}',
    "UTF-16": json.dumps({"id": "x"}).encode("utf-16"),
    "halves of characters": b'{"id": "\\ud800", "name": "\\ud800", "version": "\\ud800"}',
    "nothing": b"",
    "NUL": b"\0" * 100,
    "HTML": b"<html><title>502 Bad Gateway</title></html>",
    "constants": b'{"items": NaN, "id": Infinity, "metadata": -Infinity}',
}


class Asked:
    """Every kind of client there is, on one wire."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.access = ManagerAccess("admin", Secret("canary-password"), str(shared_ca()[0]))
        self.clients: list[ManagerClient] = []

    def api(self, kind: str, version: str) -> Any:
        """A client that has not asked anything yet."""
        found = Version.parse(version)
        manager = self.connected(ClusterApi)
        kinds: dict[str, Callable[[], Any]] = {
            "manager": lambda: manager,
            "cluster": lambda: manager,
            "executions": lambda: ExecutionApi(manager, found, Pacer(patience_seconds=0)),
            "snapshots": lambda: SnapshotApi(manager, found, Pacer(patience_seconds=0)),
            "resources": lambda: ResourceApi(manager, found, Pacer(patience_seconds=0)),
            "tier2": lambda: RestDeployments(manager.rest),
            "client": lambda: manager.rest,
            "monitor": partial(self._monitor, manager),
            "meta": lambda: MetaTier2(manager.rest),
        }
        return kinds[kind]()

    def connected(self, kind: type[ClusterApi]) -> ClusterApi:
        client = kind("10.0.0.21", self.access)
        client._session.mount("https://", self.wire)
        self.clients.append(client)
        return client

    def _monitor(self, manager: ManagerClient) -> RestTier2:
        tier2 = RestTier2(ManagerTier2("10.0.0.21", self.access))
        tier2.close()
        tier2._client = manager
        tier2._api = TenantApi(manager, Version.parse("7.0"), Pacer(patience_seconds=0))
        return tier2

    def answer(self, call: str, body: bytes, version: str = "7.0.5", status: int = 0) -> object:
        """What a call makes of an answer; None where it is refused by an error of ours."""
        kind, _, act = CALLS[call]
        creates = call in ("create snapshot", "create deployment", "start", "monitor starts", "meta starts")
        self.wire.status = status or (201 if creates else 200)
        self.wire.body, self.wire.asked = body, 0
        found, said = None, ""
        try:
            found = act(self.api(kind, version))
        except (CmomError, MetaError) as error:
            said = str(error)
        finally:
            while self.clients:
                self.clients.pop().close()
        assert "canary-password" not in said
        assert "Traceback" not in said
        assert len(said) < 3000
        return found


@pytest.fixture(scope="module")
def asked() -> Asked:
    return Asked()


@pytest.mark.parametrize("call", CALLS)
def test_the_good_answers_are_understood(asked: Asked, call: str) -> None:
    assert asked.answer(call, json.dumps(CALLS[call][1]).encode()) is not None or call in SILENT


@pytest.mark.parametrize("call", CALLS)
@given(data=st.data())
def test_an_odd_answer_is_understood_or_refused(asked: Asked, call: str, data: st.DataObject) -> None:
    odd = data.draw(changed(CALLS[call][1]))
    asked.answer(call, json.dumps(odd).encode(), data.draw(st.sampled_from(["4.3.0", "4.6.0", "7.0.5"])))


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_no_parser_takes_is_refused(asked: Asked, bomb: str) -> None:
    for call in CALLS:
        asked.answer(call, BOMBS[bomb])


@given(call=st.sampled_from(sorted(CALLS)), status=st.integers(300, 599), body=odd_json)
def test_an_odd_refusal_is_one_of_our_errors(asked: Asked, call: str, status: int, body: Any) -> None:
    asked.answer(call, json.dumps(body).encode(), status=status)


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_refusal_that_no_parser_takes_is_one_of_our_errors(asked: Asked, bomb: str) -> None:
    for call in CALLS:
        asked.answer(call, BOMBS[bomb], status=500)


def test_a_list_without_end_is_given_up(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cmom.clients.tenant_api._MOST_PAGES", 5)
    endless = {"items": [HELD], "metadata": {"pagination": {"total": 10**9, "offset": 0, "size": 1000}}}
    asked.wire.status, asked.wire.body, asked.wire.asked = 200, json.dumps(endless).encode(), 0
    with pytest.raises(UnexpectedAnswer, match="Listing the tenants"):
        asked.api("resources", "7.0.5").list_tenants()
    assert asked.wire.asked == 5


@given(
    secret=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=5, max_size=40).filter(
        lambda text: "*" not in text and text.strip() == text and not text.isalnum()
    ),
    before=st.integers(440, 520),
    spell=st.sampled_from(
        [str, lambda text: json.dumps(text)[1:-1], lambda text: repr(text)[1:-1], quote, escape]
    ),
)
def test_no_part_of_a_secret_is_left_where_a_message_is_cut(
    secret: str, before: int, spell: Callable[[str], str]
) -> None:
    conversation = Conversation("asking", "10.0.0.21", "admin", "/ca.pem", (secret,))
    said = "x" * before + " " + spell(secret) + " and more" * 20
    message = str(error_for(ErrorAnswer(400, "", said), conversation))
    told = message.partition("x" * before)[2]
    assert re.fullmatch(r"( \*{0,3}( and more.*| .{0,8})?)?(\.\.\.)?", told), told


def test_a_mistake_of_ours_in_a_body_is_not_taken_for_the_managers(asked: Asked) -> None:
    with pytest.raises(TypeError):
        asked.api("executions", "7.0.5").start_execution("t", "d", "w", {"when": object()})
