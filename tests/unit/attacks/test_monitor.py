"""The monitor, told odd things by its file, by Tier 2 and by whoever writes runtime properties."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from cmom.clients.heartbeats import rest_beat, ssh_beat
from cmom.clients.probes import rest_answer, ssh_greeting
from cmom.clients.ssh_connect import open_connection
from cmom.clients.tier2 import LocalDeployments
from cmom.errors import ActionRequired, CmomError, InvalidInputs, MachineUnreachable
from cmom.models import SshAccess
from cmom.monitor.config import LocalTier2, WebSettings, load_config, parse_config
from cmom.monitor.fleet import Fleet
from cmom.monitor.local_runs import LocalRuns
from cmom.monitor.metrics import Gauges, Metrics
from cmom.monitor.page import Surroundings, render
from cmom.monitor.policies import parse_policies
from cmom.monitor.pulse import Times
from cmom.monitor.tier2 import ClusterKey, Order
from cmom.monitor.tier2_local import LocalProfile
from cmom.monitor.watch import Monitor
from cmom.monitor.web import serving
from cmom.runtime import BACKUPS, HEAL_HISTORY, HEALING, HEALING_PAUSED, LAST_BACKUP, STATUS
from cmom.services.deployed import CLUSTER_TYPE, MANAGER_TYPE
from tests.unit.attacks.odd import changed, nasty_words, odd_json
from tests.unit.cmom.given_ca import key_of, key_pem
from tests.unit.cmom.monitor.given_fleet import deployment, groups, instance, inventory

ENVIRONMENT = {"CMOM_TIER2_USERNAME": "watcher", "CMOM_TIER2_PASSWORD": "canary-password"}
GOOD_CONFIG = {
    "tier2": {
        "kind": "manager",
        "address": "10.0.0.1",
        "ca_cert": "/ca.pem",
        "tenants": ["default_tenant"],
        "port": 53333,
        "refresh_seconds": 15,
    },
    "heartbeat": {"interval_seconds": 10, "timeout_seconds": 5, "rest_interval_seconds": 60},
    "verdict": {"suspect_seconds": 30, "failed_seconds": 60, "recover_seconds": 30, "grace_seconds": 60},
    "breaker": {"share": 0.3, "least_clusters": 2, "reset_seconds": 60},
    "healing": {"heals_at_once": 4},
    "web": {"address": "127.0.0.1", "port": 9188},
}
CALM = Surroundings(breaker="", tier2_error="", reading_age_seconds=3.0)


# --- its file


@given(content=changed(GOOD_CONFIG).filter(lambda found: isinstance(found, dict)))
@example(content={**GOOD_CONFIG, "web": {"port": float("inf")}})
@example(content={**GOOD_CONFIG, "web": {"port": float("nan")}})
@example(content={**GOOD_CONFIG, "web": {"port": 65536}})
@example(content={**GOOD_CONFIG, "heartbeat": {"interval_seconds": float("inf")}})
@example(content={**GOOD_CONFIG, "heartbeat": {"interval_seconds": 16**5000}})
@example(content={**GOOD_CONFIG, "tier2": {"ca_cert": "/ca.pem", "address": "x@evil.example/"}})
@example(content={**GOOD_CONFIG, "tier2": {"ca_cert": "/ca.pem", "tenants": ["a\r\nX: y"]}})
def test_an_odd_configuration_is_parsed_or_all_its_faults_are_told(content: dict[str, Any]) -> None:
    try:
        config = parse_config(content, ENVIRONMENT)
    except InvalidInputs as error:
        assert error.faults
        assert "canary-password" not in str(error)
        return
    assert 0 <= config.web.port <= 65535
    assert 0 < config.times.interval_seconds <= 7 * 24 * 3600


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 20_000,
        "a: 2024-99-99",
        "? [a]\n: b",
        "a: !!bool x",
        "a: &a [*a]",
        "a: !!python/object/apply:os.system [touch pwned]",
        "\x00",
        "# " + "x" * 2_000_000,
    ],
    ids=["deep", "date", "key", "tag", "circle", "Python", "NUL", "huge"],
)
def test_a_file_that_is_a_trap_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "monitor.yaml"
    path.write_text(text)
    with pytest.raises(ActionRequired, match=re.escape(str(path))):
        load_config(path, ENVIRONMENT)


@pytest.mark.parametrize("what", ["pipe", "folder", "device", "nothing"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, what: str) -> None:
    path = tmp_path / "monitor.yaml"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "device":
        path.symlink_to("/dev/zero")
    with pytest.raises(ActionRequired, match="cannot be read"):
        load_config(path, ENVIRONMENT)


def test_credentials_that_others_can_read_are_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "credentials.yaml"
    path.write_text("password: canary-password\n")
    path.chmod(0o640)
    with pytest.raises(InvalidInputs, match="chmod 600") as caught:
        parse_config({"tier2": {"ca_cert": "/ca.pem", "credentials_file": str(path)}}, {})
    assert "canary-password" not in str(caught.value)


# --- what Tier 2 holds

HEALING_RECORD = {
    "journals": {
        "manager_3": {
            "instance_id": "manager_3",
            "hostname": "m3",
            "ip": "10.0.0.23",
            "public_ip": "10.0.0.23",
            "diagnosis": "d",
            "started_at": "2026-01-01T00:00:00Z",
            "execution_id": "e",
            "phase": "removed",
            "reached": {"removed": "2026-01-01T00:00:00Z"},
        }
    },
    "tries": {"manager_3": {"count": 1, "last_at": "2026-01-01T00:00:00Z", "healed": False}},
}
GOOD_PROPERTIES = {
    STATUS: {
        "condition": "degraded",
        "reason": "why",
        "observed_at": "2026-01-01T00:00:00Z",
        LAST_BACKUP: {"id": "s", "created_at": "2026-01-01T00:00:00Z"},
    },
    BACKUPS: [{"id": "s", "created_at": "2026-01-01T00:00:00Z", "verified": True}],
    HEALING: HEALING_RECORD,
    HEAL_HISTORY: [{"at": "2026", "member": "m3", "outcome": "failed", "count": 2, "error": "why"}],
    HEALING_PAUSED: {"since": "2026-01-01T00:00:00Z", "until": "2126-01-01T00:00:00Z", "reason": "r"},
}


class Escaped(HTMLParser):
    """Notes the tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)


OUR_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "section", "h1", "h2", "h3"),
    *("p", "small", "span", "ul", "li", "strong", "br"),
}
OUR_ATTRIBUTES = {"lang", "charset", "name", "content", "http-equiv", "class", "role"}


def shown(fleet: Fleet) -> str:
    """The page and the metrics of a fleet, as they are sent."""
    metrics = Metrics()
    metrics.show(fleet, Gauges(lambda: False, lambda: 1.0))
    numbers = metrics.text().decode()
    for line in numbers.strip("\n").split("\n"):
        assert re.match(r"(# |cmom_[a-z0-9_]+(\{.*\})? [0-9.e+-]+(inf|nan)?$)", line, re.IGNORECASE), line
    page = render(fleet, CALM, 0.0)
    found = Escaped(page)
    assert found.tags <= OUR_TAGS
    assert found.attributes <= OUR_ATTRIBUTES
    return page.encode("utf-8", "replace").decode()


@given(properties=changed(GOOD_PROPERTIES), member=odd_json)
@example(properties={**GOOD_PROPERTIES, HEALING: {"journals": {"x": {"phase": "odd"}}}}, member={})
@example(properties={**GOOD_PROPERTIES, HEALING: [1]}, member={})
@example(properties={**GOOD_PROPERTIES, HEALING_PAUSED: {"until": "2026-01-01"}}, member={})
def test_one_odd_cluster_costs_the_others_nothing_and_is_not_healed(properties: Any, member: Any) -> None:
    fleet = Fleet(Times())
    odd = deployment("odd", [replace(instance("manager_3", 3), runtime_properties=member)])
    cluster = replace(odd.instances[0], runtime_properties=properties)
    found = inventory(replace(odd, instances=(cluster, *odd.instances[1:])), deployment("good"))
    fleet.update(found, 0.0)
    fleet.update(found, 1.0)
    key = ClusterKey("default_tenant", "good")
    assert len(fleet.clusters[key].members) == 3
    assert fleet.clusters[key].unread == ""
    page = shown(fleet)
    assert "good" in page
    watched = fleet.clusters[ClusterKey("default_tenant", "odd")]
    watched.unfinished()
    if watched.unread:
        assert watched.policies == () or "cannot be read" in page


@given(word=st.text(max_size=30) | nasty_words)
@example(word='"} evil{x="')
@example(word="a\nevil 1")
def test_the_page_and_the_metrics_escape_all_they_show(word: str) -> None:
    fleet = Fleet(Times())
    status = {"condition": word, "reason": word, "observed_at": word, LAST_BACKUP: {"id": word}}
    history = [{"at": word, "member": word, "outcome": word, "error": word, "count": 3}]
    properties = {STATUS: status, HEAL_HISTORY: history}
    members = [instance("manager_1", 1, hostname=word), instance(word, 2)]
    fleet.update(inventory(deployment(word or "x", members, tenant=word, properties=properties)), 0.0)
    page = shown(fleet)
    assert "<script>" not in page


@given(declared=changed(groups()), inputs=st.dictionaries(st.text(max_size=5), odd_json, max_size=2))
@example(declared={"heal_group": {"members": [["a"]], "policies": {}}}, inputs={})
def test_odd_policies_are_read_or_named(declared: Any, inputs: dict[str, Any]) -> None:
    if not isinstance(declared, dict):
        return
    policies, faults = parse_policies(declared, inputs)
    for policy in policies:
        for trigger in policy.triggers:
            assert re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]*", trigger.workflow_id)
    assert all(isinstance(fault, str) for fault in faults)


def test_groups_within_groups_within_themselves_are_read_once() -> None:
    declared = groups(("g0",))
    for number in range(60):
        declared[f"g{number}"] = {"members": [f"g{number + 1}"] * 2 + ["g0", "heal_group"]}
    declared["g60"] = {"members": ["manager"]}
    [policy], faults = parse_policies(declared, {})
    assert (policy.node_ids, faults) == ({"manager"}, ())


@pytest.mark.parametrize("workflow", ["../../evil", "--help", "a/b", "", "a b", "x\0y", "heal\nme"])
def test_what_is_no_name_of_a_workflow_is_no_file_and_no_argument(tmp_path: Path, workflow: str) -> None:
    _, [fault] = parse_policies(groups(trigger={"workflow": workflow}), {})
    assert fault.endswith("its trigger heal_trigger names no workflow")
    runs = LocalRuns(LocalTier2(tmp_path, cfy="/bin/true"), tmp_path / "deployments")
    with pytest.raises(ActionRequired, match="is not the name of a workflow"):
        runs.start(ClusterKey("", "one"), Order(workflow, {}))
    assert not list(tmp_path.rglob("*evil*"))


# --- the local profile

PLAN = {
    "nodes": {
        "cloudify_cluster": {
            "id": "cloudify_cluster",
            "type_hierarchy": ["cloudify.nodes.Root", CLUSTER_TYPE],
            "properties": {"rest_port": 443},
        },
        "manager": {"id": "manager", "type_hierarchy": [MANAGER_TYPE], "properties": {}},
    },
    "plan": {"groups": {}, "inputs": {}},
    "inputs": {},
}
INSTANCE = {
    "id": "cluster_1",
    "node_id": "cloudify_cluster",
    "state": "started",
    "runtime_properties": {"a": 1},
}
EXECUTIONS = [
    {"id": "e", "workflow_id": "w", "parameters": {"a": 1}, "created_at": {"__datetime__": 1767225600.0}}
]


def profile(folder: Path, name: str, plan: Any, item: Any, executions: Any) -> LocalProfile:
    """A local profile with one good deployment and one that is as given."""
    for where, content in (("good", (PLAN, INSTANCE, EXECUTIONS)), (name, (plan, item, executions))):
        place = folder / ".cloudify" / "profiles" / "local" / "deployments" / where
        (place / "node-instances").mkdir(parents=True, exist_ok=True)
        for path, value in zip(
            ("deployment.json", "node-instances/one.json", "executions.json"), content, strict=True
        ):
            (place / path).write_text(value if isinstance(value, str) else json.dumps(value))
    made = LocalProfile(LocalTier2(folder))
    made._deployments = LocalDeployments(made._folder, sleep=lambda _: None)
    return made


def check_profile(folder: Path, plan: Any, item: Any, executions: Any) -> None:
    found = profile(folder, "odd", plan, item, executions)
    read = found.read()
    assert "good" in {one.key.deployment_id for one in read.deployments}
    fleet = Fleet(Times())
    fleet.update(read, 0.0)
    shown(fleet)
    found.executions(ClusterKey("default_tenant", "odd"))
    assert len(found.executions(ClusterKey("default_tenant", "good"))) == 1
    for ask in (found._deployments.list_nodes, found._deployments.list_instances):
        try:
            ask("odd")
        except CmomError:
            continue


@given(plan=changed(PLAN), item=changed(INSTANCE), executions=changed(EXECUTIONS))
@example(plan=PLAN, item=INSTANCE, executions=[{"created_at": {"__datetime__": 1e300}}])
@example(plan=PLAN, item=INSTANCE, executions=None)
@example(plan={**PLAN, "nodes": {"x": 5}}, item=INSTANCE, executions=[])
@example(plan=PLAN, item={"node_id": "cloudify_cluster"}, executions=[])
def test_an_odd_deployment_of_the_local_profile_costs_the_others_nothing(
    tmp_path: Path, plan: Any, item: Any, executions: Any
) -> None:
    check_profile(tmp_path, plan, item, executions)


@pytest.mark.parametrize("broken", ["", "{", '{"id": ', "[" * 100_000, "\x00", "null"])
def test_half_written_files_of_the_local_profile_cost_the_others_nothing(tmp_path: Path, broken: str) -> None:
    check_profile(tmp_path, PLAN, broken, EXECUTIONS)
    check_profile(tmp_path, broken, INSTANCE, EXECUTIONS)
    check_profile(tmp_path, PLAN, INSTANCE, broken)


def test_a_pipe_in_the_local_profile_is_not_waited_for(tmp_path: Path) -> None:
    found = profile(tmp_path, "odd", PLAN, INSTANCE, EXECUTIONS)
    path = found._folder / "odd" / "node-instances" / "one.json"
    path.unlink()
    os.mkfifo(path)
    read = found.read()
    assert [one.key.deployment_id for one in read.deployments] == ["good"]
    assert "it is not a file" in next(iter(read.unread.values()))


# --- addresses

ODD_ADDRESSES = ["a..b", "x" * 70, "a\0b", "\ud800", "", "a b", "[::1", "10.0.0.1\r\nX: y"]


@pytest.mark.parametrize("address", ODD_ADDRESSES)
def test_an_address_that_is_none_is_no_death(address: str) -> None:
    async def look() -> None:
        for beat in (await ssh_beat(address, 22, 0.5), await rest_beat(address, 443, 0.5)):
            assert beat.heard is not True

    asyncio.run(look())
    assert ssh_greeting(address, 22, 0.5) == ""
    assert rest_answer(address, 443, 0.5) is None


@pytest.mark.parametrize("port", [-1, 65536, 2**40])
def test_a_port_that_is_none_is_no_death(port: int) -> None:
    async def look() -> None:
        assert (await ssh_beat("127.0.0.1", port, 0.5)).heard is None
        assert (await rest_beat("127.0.0.1", port, 0.5)).heard is None

    asyncio.run(look())
    assert ssh_greeting("127.0.0.1", port, 0.5) == ""
    assert rest_answer("127.0.0.1", port, 0.5) is None


@pytest.mark.parametrize("address", ODD_ADDRESSES)
def test_ssh_to_an_address_that_is_none_is_refused_in_words(tmp_path: Path, address: str) -> None:
    key = tmp_path / "key"
    key.write_bytes(key_pem(key_of("p256")))
    with pytest.raises((ActionRequired, MachineUnreachable)):
        open_connection(address, SshAccess("centos", str(key)), None, connect_seconds=0.5, login_seconds=0.5)


@pytest.mark.parametrize("address", ["a..b", "x" * 70, "a\0b", "192.0.2.1", "no such host"])
def test_a_page_that_cannot_be_served_says_so(address: str) -> None:
    async def serve() -> None:
        config = parse_config(GOOD_CONFIG, ENVIRONMENT)
        metrics = Metrics()
        monitor = Monitor(config, None, metrics, logging.getLogger("x"))  # type: ignore[arg-type]
        async with serving(WebSettings(address, 0), monitor, metrics, logging.getLogger("x")):
            pass

    with pytest.raises(ActionRequired, match="cannot be served"):
        asyncio.run(serve())


def test_the_sample_configuration_is_none_of_these() -> None:
    assert parse_config(yaml.safe_load(yaml.safe_dump(GOOD_CONFIG)), ENVIRONMENT).web.port == 9188
