"""Ports, floating IPs and server groups, made and found again, on the stand-in cloud over real sockets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cmom.clients.openstack import TIMEOUTS, OpenStack
from cmom.clients.openstack_access import CloudAccess
from cmom.clients.openstack_errors import CloudRefused, CloudUnreachable
from cmom.clients.openstack_network import PortRequest, ports_marked
from cmom.errors import ActionRequired
from cmom.services.cloud_network import NetworkKeeper
from lab.openstack.models import Quota
from lab.openstack.testing import CloudThread

MARK = "cmom test infrastructure_abc12"
# Begins with it, and is another installation's.
OTHER = "cmom test infrastructure_abc123"
POLICY = "soft-anti-affinity"
EMPTY: dict[str, list[str]] = {"servers": [], "ports": [], "floating_ips": [], "server_groups": []}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudThread]:
    """A cloud for all tests of this file."""
    quota = Quota(ports=3, floating_ips=2)
    with CloudThread(tmp_path_factory.mktemp("cloud"), quota=quota) as cloud:
        yield cloud


@pytest.fixture
def cloud(running: CloudThread) -> Iterator[CloudThread]:
    """The cloud; what a test leaves in it is swept away."""
    running.server.requests.clear()
    yield running
    running.clear_faults()
    for mark in (MARK, OTHER, "foreign"):
        keeper_of(running).sweep(mark)
    assert running.holdings() == EMPTY


def session(cloud: CloudThread) -> OpenStack:
    return OpenStack(CloudAccess.read(cloud.client_config()))


def keeper_of(cloud: CloudThread) -> NetworkKeeper:
    return NetworkKeeper(session(cloud), logging.getLogger("test"))


def port_on(cloud: CloudThread, name: str = "manager-1", mark: str = MARK, last: int = 0) -> PortRequest:
    """A port that could be made; `last` is the last number of its address, 0 for one of neutron's choice."""
    network, _ = cloud.cloud.networks
    _, group = cloud.cloud.security_groups
    address = cloud.address(last) if last else ""
    return PortRequest(name, mark, network.id, network.subnet_id, (group.id,), address)


def floating(cloud: CloudThread, name: str = "manager-1", mark: str = MARK, recorded: str = "") -> str:
    external = cloud.cloud.config.floating_network
    return keeper_of(cloud).ensure_floating_ip(external, name, mark, recorded).id


def made(cloud: CloudThread) -> int:
    """How often something was asked to be made."""
    return len([one for one in cloud.server.requests if one[0] == "POST" and "tokens" not in one[1]])


MAKERS: dict[str, tuple[str, Callable[..., str]]] = {
    "port": (
        r"/network/v2.0/ports$",
        lambda cloud, recorded="": keeper_of(cloud).ensure_port(port_on(cloud, last=21), recorded).id,
    ),
    "floating IP": (
        r"/network/v2.0/floatingips$",
        lambda cloud, recorded="": floating(cloud, recorded=recorded),
    ),
    "server group": (
        r"/compute/v2.1/os-server-groups$",
        lambda cloud, recorded="": keeper_of(cloud).ensure_server_group(MARK, POLICY, recorded),
    ),
}
each_kind = pytest.mark.parametrize(("path", "make"), MAKERS.values(), ids=MAKERS)


@each_kind
def test_what_is_recorded_is_left_alone(cloud: CloudThread, path: str, make: Callable[..., str]) -> None:
    first = make(cloud)

    assert make(cloud, recorded=first) == first
    assert made(cloud) == 1


@each_kind
def test_what_was_made_and_not_recorded_is_adopted(
    cloud: CloudThread, path: str, make: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cmom.clients.openstack.TIMEOUTS", replace(TIMEOUTS, read_seconds=0.5))
    cloud.fault("hang", path, method="POST", times=1)
    with pytest.raises(CloudUnreachable):
        make(cloud)
    before = cloud.holdings()

    make(cloud)

    assert cloud.holdings() == before != EMPTY
    assert made(cloud) == 1


@each_kind
def test_what_is_recorded_and_gone_is_made_again(
    cloud: CloudThread, path: str, make: Callable[..., str]
) -> None:
    first = make(cloud)
    keeper_of(cloud).sweep(MARK)

    assert make(cloud, recorded=first) != first


def test_a_port_has_the_address_and_the_security_groups_it_is_to_have(cloud: CloudThread) -> None:
    wanted = port_on(cloud, last=21)

    port = keeper_of(cloud).ensure_port(wanted)

    assert port.ipv4 == [cloud.address(21)]
    assert port.ipv6 == []
    assert cloud.cloud.ports[port.id].security_groups == list(wanted.security_group_ids)


def test_two_tries_at_once_end_with_one_port(cloud: CloudThread) -> None:
    """As when a former try's request arrives after the next one has looked."""
    wanted = port_on(cloud, last=21)

    with ThreadPoolExecutor(2) as both:
        ports = list(both.map(lambda _: keeper_of(cloud).ensure_port(wanted), range(2)))

    assert ports[0] == ports[1]
    assert len(cloud.holdings()["ports"]) == 1


def test_an_address_that_is_taken_says_by_whom(cloud: CloudThread) -> None:
    foreign = keeper_of(cloud).ensure_port(port_on(cloud, "database", "foreign", last=21))

    with pytest.raises(ActionRequired) as refused:
        keeper_of(cloud).ensure_port(port_on(cloud, last=21))

    told = str(refused.value)
    assert f"IP address {cloud.address(21)} already allocated" in told
    assert f"the port database, {foreign.id}" in told


def test_a_port_of_our_name_in_another_installation_is_not_ours(cloud: CloudThread) -> None:
    other = keeper_of(cloud).ensure_port(port_on(cloud, mark=OTHER))

    port = keeper_of(cloud).ensure_port(port_on(cloud))

    assert port.id != other.id
    assert not keeper_of(cloud).ensure_no_port("", "manager-2", MARK)
    assert keeper_of(cloud).ensure_no_port("", "manager-1", MARK)
    assert list(cloud.cloud.ports) == [other.id]


def test_a_full_quota_of_ports_is_the_users_to_mend(cloud: CloudThread) -> None:
    for number in range(3):
        keeper_of(cloud).ensure_port(port_on(cloud, f"manager-{number}"))

    with pytest.raises(ActionRequired, match=r"Making the port manager-3.*Quota exceeded.*'port'"):
        keeper_of(cloud).ensure_port(port_on(cloud, "manager-3"))


def test_a_full_quota_of_floating_ips_is_the_users_to_mend(cloud: CloudThread) -> None:
    for number in range(2):
        floating(cloud, f"manager-{number}")

    with pytest.raises(CloudRefused, match=r"Making a floating IP.*Quota exceeded.*'floatingip'"):
        floating(cloud, "manager-2")


@pytest.mark.parametrize("by", ["name", "ID"])
def test_a_floating_network_is_found_by_name_and_by_id(cloud: CloudThread, by: str) -> None:
    _, external = cloud.cloud.networks

    one = keeper_of(cloud).ensure_floating_ip(external.name if by == "name" else external.id, "m", MARK)

    assert one.network_id == external.id
    assert [one.address] == cloud.holdings()["floating_ips"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "os_floating_network: no network is called 'nowhere'"),
        ("management", "is not a valid external network"),
    ],
)
def test_a_floating_network_that_will_not_do_is_named(cloud: CloudThread, name: str, said: str) -> None:
    with pytest.raises(ActionRequired, match=said):
        keeper_of(cloud).ensure_floating_ip(name, "m", MARK)


def test_each_machine_has_its_own_floating_ip(cloud: CloudThread) -> None:
    first, second = floating(cloud, "manager-1"), floating(cloud, "manager-2")

    assert first != second
    assert floating(cloud, "manager-1") == first
    assert keeper_of(cloud).ensure_no_floating_ip("", "manager-1", MARK)
    assert list(cloud.cloud.floating_ips) == [second]


@pytest.mark.parametrize("policy", ["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"])
def test_a_server_group_has_its_policy(cloud: CloudThread, policy: str) -> None:
    group = keeper_of(cloud).ensure_server_group(MARK, policy)

    assert cloud.cloud.server_groups[group].policy == policy
    assert keeper_of(cloud).ensure_no_server_group(group, MARK)
    assert not keeper_of(cloud).ensure_no_server_group(group, MARK)


def test_a_sweep_takes_everything_with_the_mark_and_nothing_else(cloud: CloudThread) -> None:
    for mark in (MARK, OTHER):
        keeper_of(cloud).ensure_port(port_on(cloud, f"port-of-{mark[-5:]}", mark))
        floating(cloud, mark=mark)
        keeper_of(cloud).ensure_server_group(mark, POLICY)

    assert keeper_of(cloud).sweep(MARK) == 3
    held = cloud.holdings()
    assert held["ports"] == [f"port-of-{OTHER[-5:]}"]
    assert len(held["floating_ips"]) == 1
    assert held["server_groups"] == [OTHER]
    assert keeper_of(cloud).sweep(MARK) == 0
    assert keeper_of(cloud).sweep(OTHER) == 3


def test_all_pages_of_a_list_are_looked_at(cloud: CloudThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.openstack.neutron.PAGE", 1)
    names = {f"manager-{number}" for number in range(3)}
    for name in names:
        keeper_of(cloud).ensure_port(replace(port_on(cloud), name=name))

    assert {port.name for port in ports_marked(session(cloud), MARK)} == names
