"""What is kept when Tier 2 is read again."""

from __future__ import annotations

from cmom.clients.tier2 import Node
from cmom.monitor.fleet import Fleet, WatchedMember
from cmom.monitor.pulse import Pulse, Times
from cmom.monitor.tier2 import ClusterKey, Inventory
from cmom.monitor.verdict import State
from tests.unit.cmom.monitor.given_fleet import deployment, groups, instance, inventory

ONE = ClusterKey("default_tenant", "one")


def a_fleet() -> Fleet:
    fleet = Fleet(Times())
    fleet.update(inventory(deployment()), 0.0)
    return fleet


def first(fleet: Fleet) -> WatchedMember:
    return fleet.clusters[ONE].members["manager_1"]


def test_members_that_are_installed_are_watched_from_then_on() -> None:
    fleet = a_fleet()
    assert [member.name for member in fleet.members()] == [
        "m1 (10.0.0.21)",
        "m2 (10.0.0.22)",
        "m3 (10.0.0.23)",
    ]
    assert {member.verdict.state for member in fleet.members()} == {State.STARTING}
    assert first(fleet).pulse == Pulse(watched_since=0.0)
    assert (first(fleet).ssh_port, first(fleet).rest_port) == (22, 443)


def test_what_was_heard_is_kept_when_tier_2_says_the_same_again() -> None:
    fleet = a_fleet()
    member = first(fleet)
    member.pulse = Pulse(0.0).listen(True, 5.0, Times())
    fleet.update(inventory(deployment()), 10.0)
    assert first(fleet) is member
    assert member.pulse.heard_at == 5.0


def test_who_is_uninstalled_is_not_watched_and_begins_anew_when_it_is_back() -> None:
    fleet = a_fleet()
    others = [instance("manager_2", 2), instance("manager_3", 3)]
    fleet.update(inventory(deployment(members=[instance("manager_1", 1, "deleted"), *others])), 10.0)
    assert (first(fleet).pulse, first(fleet).verdict.state) == (None, State.ABSENT)
    fleet.update(inventory(deployment()), 20.0)
    assert first(fleet).pulse == Pulse(watched_since=20.0)


def test_an_instance_on_another_machine_is_another_member() -> None:
    fleet = a_fleet()
    moved = instance("manager_1", 1, ip="10.0.0.99", public_ip="10.0.0.99")
    fleet.update(inventory(deployment(members=[moved])), 10.0)
    assert first(fleet).pulse == Pulse(watched_since=10.0)
    assert len(list(fleet.members())) == 1


def test_an_instance_that_is_being_installed_is_watched_only_where_the_policy_says_so() -> None:
    configuring = instance("manager_1", 1, state="configuring", ip="10.0.0.21", public_ip="10.0.0.21")
    fleet = Fleet(Times())
    fleet.update(inventory(deployment(members=[configuring])), 0.0)
    assert first(fleet).pulse is None
    declared = groups(is_node_started_before_workflow=False)
    fleet.update(inventory(deployment(members=[configuring], declared=declared)), 0.0)
    assert first(fleet).pulse is not None


def test_a_deployment_says_its_own_heartbeat_interval() -> None:
    fleet = Fleet(Times(interval_seconds=10.0))
    unsaid = deployment("two", settings={"heartbeat_interval": {"get_secret": "x"}})
    fleet.update(inventory(deployment(settings={"heartbeat_interval": 30}), unsaid), 0.0)
    intervals = [cluster.times.interval_seconds for cluster in fleet.clusters.values()]
    assert intervals == [30.0, 10.0]


def test_a_deployment_that_is_gone_is_forgotten_and_one_that_cannot_be_read_is_not() -> None:
    fleet = Fleet(Times())
    fleet.update(inventory(deployment(), deployment("two")), 0.0)
    two = ClusterKey("default_tenant", "two")
    fleet.update(Inventory((), {two: "It is half-written."}), 10.0)
    assert list(fleet.clusters) == [two]
    assert fleet.clusters[two].unread == "It is half-written."
    fleet.update(inventory(deployment("two")), 20.0)
    assert fleet.clusters[two].unread == ""


def test_the_same_name_in_two_tenants_is_two_clusters() -> None:
    fleet = Fleet(Times())
    fleet.update(inventory(deployment(), deployment(tenant="blue")), 0.0)
    assert [str(key) for key in fleet.clusters] == ["one", "blue/one"]


def test_a_cluster_with_an_odd_policy_is_watched_all_the_same() -> None:
    fleet = Fleet(Times())
    fleet.update(inventory(deployment(declared=groups(interval_between_workflows="soon"))), 0.0)
    cluster = fleet.clusters[ONE]
    assert (cluster.policies, len(cluster.faults)) == ((), 1)
    assert all(member.pulse is not None for member in cluster.members.values())


def test_ports_that_are_no_numbers_are_the_usual_ones() -> None:
    odd = deployment()
    nodes = (odd.nodes[0], Node("manager", odd.nodes[1].types, {"ssh_port": None, "rest_port": "x"}))
    fleet = Fleet(Times())
    fleet.update(inventory(type(odd)(odd.key, odd.groups, nodes, odd.instances)), 0.0)
    assert (first(fleet).ssh_port, first(fleet).rest_port) == (22, 443)
