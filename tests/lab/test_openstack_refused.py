"""What OpenStack refuses reaches the user, with the node and the value; the deployment can be uninstalled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab.local_profile import LocalProfile
from lab.openstack.models import Quota
from lab.openstack.testing import CloudThread, local_profile
from tests.lab.engine import Engine

EMPTY: dict[str, list[str]] = {"servers": [], "ports": [], "floating_ips": [], "server_groups": []}


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LocalProfile]:
    """The blueprint, staged once for each mode that is used here."""
    folder = tmp_path_factory.mktemp("profiles")
    return {
        mode: local_profile(folder / mode, mode) for mode in ("private_ip", "floating_ip", "private_fixed_ip")
    }


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudThread]:
    """A cloud with room for no server at all; no test leaves anything in it."""
    with CloudThread(tmp_path_factory.mktemp("cloud"), quota=Quota(instances=0)) as cloud:
        yield cloud


@pytest.fixture
def cloud(running: CloudThread) -> Iterator[CloudThread]:
    """The cloud, empty before and after."""
    running.server.requests.clear()
    yield running
    assert running.holdings() == EMPTY


def refused(engine: Engine, capfd: pytest.CaptureFixture[str]) -> str:
    """Install, which fails; return what is said from the first failed task on."""
    with pytest.raises(Exception, match=r"Task failed|operation errors"):
        engine.run("install", task_retries=0)
    lines = capfd.readouterr().out.splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if "Task failed" in line)
    return "".join(lines[first:])


@pytest.mark.parametrize(
    ("mode", "changes", "words"),
    [
        pytest.param("private_ip", {"os_project": ""}, ["infrastructure_", "os_project"], id="no project"),
        pytest.param(
            "private_ip", {"os_project": "x"}, ["infrastructure_", "os_project", "401"], id="project"
        ),
        pytest.param(
            "private_ip", {"os_user_domain": "x"}, ["infrastructure_", "domains", "401"], id="domain"
        ),
        pytest.param(
            "private_ip", {"os_region": "Mars"}, ["infrastructure_", "os_region", "Mars"], id="region"
        ),
        pytest.param("private_ip", {"os_network": "no-net"}, ["[network_", "no-net"], id="network"),
        pytest.param("private_ip", {"os_subnet": "no-sub"}, ["[subnet_", "no-sub"], id="subnet"),
        pytest.param("private_ip", {"os_keypair": "no-key"}, ["[keypair_", "no-key"], id="key pair"),
        pytest.param(
            "private_ip", {"os_security_group": "nil"}, ["[security_group_", "nil"], id="security group"
        ),
        pytest.param("private_ip", {"os_flavor": "m9"}, ["[server_", "os_flavor", "m9"], id="flavor"),
        pytest.param("private_ip", {"os_image": "Minix"}, ["[server_", "os_image", "Minix"], id="image"),
        pytest.param(
            "private_ip",
            {"os_device_mapping": [{"boot_index": "0", "source_type": "image", "uuid": "x"}]},
            ["[server_", "Block Device Mapping"],
            id="an image and a device to boot from",
        ),
        pytest.param(
            "private_ip",
            {"os_device_mapping": [{"boot_index": "0", "sourcetype": "image"}]},
            ["[infrastructure_", "os_device_mapping[0].sourcetype", "did you mean 'source_type'?"],
            id="a mistyped device",
        ),
        pytest.param("private_ip", {}, ["[server_", "Quota exceeded", "0 of 0 instances"], id="quota"),
        pytest.param(
            "floating_ip",
            {"os_floating_network": "no-net"},
            ["[floating_ip_", "os_floating_network: no network is called 'no-net'"],
            id="no floating network",
        ),
        pytest.param(
            "floating_ip",
            {"os_floating_network": ""},
            ["[infrastructure_", "os_floating_network is missing"],
            id="a floating network not given",
        ),
        pytest.param(
            "floating_ip",
            {"os_floating_network": "management"},
            ["[floating_ip_", "not a valid external network"],
            id="a floating network that is not external",
        ),
    ],
)
def test_what_is_wrong_is_named_and_the_deployment_can_be_uninstalled(
    cloud: CloudThread,
    profiles: dict[str, LocalProfile],
    capfd: pytest.CaptureFixture[str],
    mode: str,
    changes: dict[str, Any],
    words: list[str],
) -> None:
    engine = Engine(profiles[mode], "blueprint.yaml", {**cloud.inputs(1), **changes})

    told = refused(engine, capfd)

    for word in words:
        assert word in told
    engine.run("uninstall")
    for node in ("server", "port", "address", "server_group", "infrastructure", "network"):
        assert not any(engine.properties(node)), node


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        pytest.param([], ["resource_pool", "num_of_instances"], id="none"),
        pytest.param(
            [{"ip_address": 21, "hostname": "a"}], ["1 entry", "num_of_instances is 2"], id="too small"
        ),
        pytest.param(
            [{"ip_address": 21, "hostname": "a"}, {"ip_address": 21, "hostname": "b"}],
            ["resource_pool[1].ip_address"],
            id="an address twice",
        ),
        pytest.param(
            [{"ip_address": 21, "hostname": "a"}, {"ip_address": 22, "hostname": "a"}],
            ["resource_pool[1].hostname"],
            id="a name twice",
        ),
        pytest.param(
            [{"ip_address": 21, "hostname": "a"}, {"ip": 22, "hostnme": "b"}],
            ["resource_pool[1].ip_address: missing", "hostnme"],
            id="malformed",
        ),
    ],
)
def test_a_pool_that_will_not_do_is_refused_before_anything_is_made(
    cloud: CloudThread,
    profiles: dict[str, LocalProfile],
    capfd: pytest.CaptureFixture[str],
    pool: list[dict[str, Any]],
    words: list[str],
) -> None:
    given = [
        {key: cloud.address(value) if isinstance(value, int) else value for key, value in entry.items()}
        for entry in pool
    ]
    inputs = {**cloud.inputs(2), "resource_pool": given}
    engine = Engine(profiles["private_fixed_ip"], "blueprint.yaml", inputs)

    told = refused(engine, capfd)

    assert "[preflight_" in told
    for word in words:
        assert word in told
    assert cloud.server.requests == []


def test_an_empty_pool_is_no_fault_where_the_network_chooses_the_addresses(
    cloud: CloudThread, profiles: dict[str, LocalProfile], capfd: pytest.CaptureFixture[str]
) -> None:
    inputs = {**cloud.inputs(2), "resource_pool": [], "os_network": "no-net"}

    engine = Engine(profiles["private_ip"], "blueprint.yaml", inputs)

    assert "resource_pool" not in refused(engine, capfd)
    engine.run("uninstall")


def test_a_floating_network_may_be_given_by_its_uuid(
    cloud: CloudThread, profiles: dict[str, LocalProfile], capfd: pytest.CaptureFixture[str]
) -> None:
    _, external = cloud.cloud.networks
    engine = Engine(
        profiles["floating_ip"], "blueprint.yaml", {**cloud.inputs(1), "os_floating_network": external.id}
    )

    refused(engine, capfd)  # for want of room for a server

    (floating,) = engine.properties("floating_ip")
    assert [floating["floating_ip_address"]] == cloud.holdings()["floating_ips"]
    engine.run("uninstall")


def test_addresses_that_are_taken_all_at_once_are_each_handed_out_once(
    cloud: CloudThread, profiles: dict[str, LocalProfile], capfd: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(profiles["private_fixed_ip"], "blueprint.yaml", cloud.inputs(16))

    refused(engine, capfd)  # there is room for no server; the addresses come before

    (infrastructure,) = engine.properties("infrastructure")
    held = [entry["ip_address"] for entry in infrastructure["allocations"].values()]
    own = [properties["ip"] for properties in engine.properties("address") if properties]
    assert sorted(held) == sorted(set(held)) == sorted(own)
    assert len(held) > 1
    engine.run("uninstall")
    assert engine.properties("address") == [{}] * 16
