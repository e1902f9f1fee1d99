"""A Tier 2 that is a manager of 7.0: read, asked what runs, told to start a heal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from cloudify_rest_client.client import CloudifyClient

from cmom.errors import AccessRefused, ManagerRefused, TryAgainLater
from cmom.models import ManagerAccess, Secret
from cmom.monitor.config import ManagerTier2
from cmom.monitor.fleet import Fleet
from cmom.monitor.pulse import Times
from cmom.monitor.tier2 import ClusterKey, Order, Outcome, StartRefused
from cmom.monitor.tier2_rest import RestTier2, parse_time
from cmom.services.deployed import find_cluster
from lab.manager.engine import Script
from lab.manager.host import Settings
from lab.manager.samples import make_blueprint
from lab.manager.standalone import StandaloneManager
from tests.lab.given_watched import eventually

# cloudify_rest_client leaves the archive of a blueprint open that it has uploaded.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

BLUEPRINT = """
tosca_definitions_version: cloudify_dsl_1_3
imports: [cloudify/types/types.yaml]
inputs:
  heal_interval: {default: 450}
node_types:
  cloudify.nodes.CloudifyTier1Cluster:
    derived_from: cloudify.nodes.Root
    properties: {ca_cert: {}, rest_port: {}, manager_admin_password: {}, heartbeat_interval: {}}
  cloudify.nodes.CloudifyTier1Manager:
    derived_from: cloudify.nodes.Root
    properties: {ssh_port: {}, rest_port: {}}
node_templates:
  cloudify_cluster:
    type: cloudify.nodes.CloudifyTier1Cluster
    properties: {ca_cert: /ca.pem, rest_port: 4443, manager_admin_password: canary, heartbeat_interval: 20}
  manager:
    type: cloudify.nodes.CloudifyTier1Manager
    properties: {ssh_port: 2222, rest_port: 4443}
    capabilities: {scalable: {properties: {default_instances: 3}}}
  other:
    type: cloudify.nodes.Root
groups:
  heal_group:
    members: [manager]
    policies:
      host_failure_policy:
        type: cloudify.policies.types.host_failure
        properties: {interval_between_workflows: {get_input: heal_interval}}
        triggers:
          heal_trigger:
            type: cloudify.policies.triggers.execute_workflow
            parameters:
              workflow: heal_tier1_manager
              workflow_parameters:
                node_instance_id: {get_property: [SELF, node_id]}
                diagnose_value: {get_property: [SELF, diagnose]}
workflows:
  heal_tier1_manager:
    mapping: cmom.cmom.workflows.heal.heal_tier1_manager
    parameters: {node_instance_id: {}, diagnose_value: {default: none}}
  backup:
    mapping: cmom.cmom.workflows.snapshots.backup
"""
PLAIN = """
tosca_definitions_version: cloudify_dsl_1_3
imports: [cloudify/types/types.yaml]
node_templates:
  manager: {type: cloudify.nodes.Root}
"""
ONE = ClusterKey("default_tenant", "one")
ORDER = Order("heal_tier1_manager", {"node_instance_id": "manager_x", "diagnose_value": "heart-beat-failure"})


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[StandaloneManager]:
    """A Tier 2 with a cluster in one tenant, another one in the other, and something else."""
    settings = Settings(rate_limit=False, execution_seconds=0.0)
    with StandaloneManager(tmp_path / "tier2", version="7.0.5", settings=settings) as manager:
        client = CloudifyClient(**manager.client_arguments())
        client.tenants.create("blue")
        for tenant, name in (("default_tenant", "one"), ("blue", "two")):
            install(CloudifyClient(**manager.client_arguments(tenant)), tmp_path, name, BLUEPRINT)
        install(client, tmp_path, "plain", PLAIN)
        manager.thread.run(fill(manager))
        yield manager


def install(client: CloudifyClient, folder: Path, name: str, blueprint: str) -> None:
    client.blueprints.upload(str(make_blueprint(folder, name, blueprint)), name, async_upload=True)
    eventually(lambda: client.blueprints.get(name)["state"] == "uploaded", f"the upload of {name}")
    client.deployments.create(name, name)
    eventually(lambda: idle(client, name), f"the environment of {name}")


def idle(client: CloudifyClient, name: str) -> bool:
    return all(one["status"] == "terminated" for one in client.executions.list(deployment_id=name))


async def fill(manager: StandaloneManager) -> None:
    """Let the managers look installed."""
    for deployment in manager.manager.database.deployments.seen_by("", everywhere=True):
        deployment.set_states("started")
        for number, instance in enumerate(deployment.instances):
            if instance.node_id == "manager":
                instance.runtime_properties = {"ip": f"10.0.0.{20 + number}", "manager_version": "4.6.0"}


def access(manager: StandaloneManager, password: str = "") -> ManagerAccess:
    return ManagerAccess("admin", Secret(password or manager.password), str(manager.ca_cert), manager.port)


@pytest.fixture
def tier2(manager: StandaloneManager) -> Iterator[RestTier2]:
    """The monitor's view of it."""
    found = RestTier2(ManagerTier2(manager.ip, access(manager), ("default_tenant", "blue")))
    yield found
    found.close()


def test_the_deployments_with_clusters_are_read_in_all_tenants(tier2: RestTier2) -> None:
    fleet = Fleet(Times())
    fleet.update(tier2.read(), 0.0)
    assert sorted(str(key) for key in fleet.clusters) == ["blue/two", "one"]
    cluster = fleet.clusters[ONE]
    assert cluster.times.interval_seconds == 20.0
    assert [policy.interval_seconds for policy in cluster.policies] == [450.0]
    assert cluster.faults == ()
    members = list(cluster.members.values())
    assert len(members) == 3
    assert {(member.ssh_port, member.rest_port, member.instance_state) for member in members} == {
        (2222, 4443, "started")
    }
    assert all(member.pulse is not None and member.address.startswith("10.0.0.") for member in members)


def test_a_tier_2_without_clusters_is_empty(tmp_path: Path) -> None:
    with StandaloneManager(tmp_path, version="7.0.5", settings=Settings(rate_limit=False)) as manager:
        tier2 = RestTier2(ManagerTier2(manager.ip, access(manager)))
        assert tier2.read().deployments == ()
        tier2.close()


def test_how_a_cluster_is_talked_to_is_asked_when_it_is_needed(tier2: RestTier2) -> None:
    found = find_cluster(tier2.deployments("default_tenant"), "one")
    assert (found.access.password.reveal(), found.access.port, len(found.hosts)) == ("canary", 4443, 3)


def test_a_heal_is_started_followed_and_remembered(tier2: RestTier2) -> None:
    assert tier2.running(ONE, "heal_tier1_manager").heal == ""
    ticket = tier2.start(ONE, ORDER)
    assert eventually(lambda: tier2.outcome(ticket), "the end of the heal") is Outcome.SUCCEEDED
    newest = tier2.executions(ONE)[0]
    assert (newest.id, newest.workflow_id) == (ticket.id, "heal_tier1_manager")
    assert newest.parameters["node_instance_id"] == "manager_x"
    assert newest.created_at is not None
    assert abs((datetime.now(timezone.utc) - newest.created_at).total_seconds()) < 600


def test_a_heal_that_fails_or_is_cancelled_is_known_to_have(
    manager: StandaloneManager, tier2: RestTier2
) -> None:
    manager.script(Script("heal_tier1_manager", error="it broke"))
    failed = tier2.start(ONE, ORDER)
    assert eventually(lambda: tier2.outcome(failed), "its end") is Outcome.FAILED
    manager.script(Script("heal_tier1_manager", seconds=300.0))
    cancelled = tier2.start(ONE, ORDER)
    assert tier2.outcome(cancelled) is None
    CloudifyClient(**manager.client_arguments()).executions.cancel(cancelled.id)
    assert eventually(lambda: tier2.outcome(cancelled), "its end") is Outcome.CANCELLED


def test_two_heals_or_a_heal_beside_something_else_are_never_started(
    manager: StandaloneManager, tier2: RestTier2
) -> None:
    manager.script(Script("heal_tier1_manager", seconds=300.0))
    tier2.start(ONE, ORDER)
    assert "heal_tier1_manager" in tier2.running(ONE, "heal_tier1_manager").heal
    with pytest.raises(StartRefused, match="existing_running_execution_error") as caught:
        tier2.start(ONE, ORDER)
    assert caught.value.reason == "another_execution"
    two = ClusterKey("blue", "two")
    manager.script(Script("backup", seconds=300.0))
    CloudifyClient(**manager.client_arguments("blue")).executions.start("two", "backup")
    running = tier2.running(two, "heal_tier1_manager")
    assert (running.heal, "backup" in running.other) == ("", True)
    with pytest.raises(StartRefused):
        tier2.start(two, ORDER)


def test_a_workflow_that_there_is_not_is_refused_in_words(tier2: RestTier2) -> None:
    with pytest.raises(ManagerRefused, match="nonexistent_workflow_error"):
        tier2.start(ONE, Order("no_such_workflow", {}))


def test_an_execution_that_is_gone_has_failed(tier2: RestTier2) -> None:
    ticket = tier2.start(ONE, ORDER)
    assert tier2.outcome(type(ticket)(ONE, "no-such-execution", "nowhere")) is Outcome.FAILED


def test_wrong_credentials_and_a_dead_tier_2_are_told_apart(manager: StandaloneManager) -> None:
    refused = RestTier2(ManagerTier2(manager.ip, access(manager, "canary-wrong")))
    with pytest.raises(AccessRefused) as caught:
        refused.read()
    assert "canary" not in str(caught.value)
    refused.close()
    unknown = RestTier2(ManagerTier2(manager.ip, access(manager), ("no-such-tenant",)))
    with pytest.raises(ManagerRefused, match="forbidden_error"):
        unknown.read()
    unknown.close()
    tier2 = RestTier2(ManagerTier2(manager.ip, access(manager)))
    manager.kill()
    began = time.monotonic()
    with pytest.raises(TryAgainLater):
        tier2.read()
    assert time.monotonic() - began < 60
    tier2.close()
    manager.start()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-01T12:00:00.123Z", datetime(2026, 5, 1, 12, 0, 0, 123000, timezone.utc)),
        ("2026-05-01T12:00:00", datetime(2026, 5, 1, 12, tzinfo=timezone.utc)),
        (None, None),
        ("soon", None),
    ],
)
def test_times_of_tier_2_are_utc(text: str | None, expected: datetime | None) -> None:
    assert parse_time(text) == expected
