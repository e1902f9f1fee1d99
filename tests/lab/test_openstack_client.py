"""The product's own OpenStack client, and its servers, against the stand-in cloud over real sockets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cmom.clients import openstack_calls as calls
from cmom.clients.openstack import COMPUTE, TIMEOUTS, OpenStack
from cmom.clients.openstack_access import CloudAccess
from cmom.clients.openstack_calls import ServerRequest
from cmom.clients.openstack_errors import CloudRefused, CloudUnreachable
from cmom.errors import AccessRefused, ActionRequired, TryAgainLater
from cmom.models import Secret
from cmom.services.cloud import Patience, ServerKeeper
from cmom.services.cloud_network import NetworkKeeper
from lab.openstack.models import Quota
from lab.openstack.testing import CloudThread

MARK = "cmom test infrastructure_abc123"
LOGGER = logging.getLogger("test")
PATIENCE = Patience(build_seconds=20, delete_seconds=20, interval_seconds=0.02)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudThread]:
    """A cloud for all tests of this file."""
    with CloudThread(tmp_path_factory.mktemp("cloud"), quota=Quota(instances=3)) as cloud:
        yield cloud


@pytest.fixture
def cloud(running: CloudThread) -> Iterator[CloudThread]:
    """The cloud; what a test leaves in it is swept away."""
    running.server.requests.clear()
    yield running
    running.clear_faults()
    running.cloud.build_fault = ""
    for mark in (MARK, "other"):
        keeper_of(running).sweep(mark)
        network_of(running).sweep(mark)
    assert not any(running.holdings().values())


def access_of(cloud: CloudThread, **changes: Any) -> CloudAccess:
    return replace(CloudAccess.read(cloud.client_config()), **changes)


def keeper_of(cloud: CloudThread) -> ServerKeeper:
    return ServerKeeper(OpenStack(access_of(cloud)), LOGGER, PATIENCE)


def network_of(cloud: CloudThread) -> NetworkKeeper:
    return NetworkKeeper(OpenStack(access_of(cloud)), LOGGER)


def request_on(
    cloud: CloudThread, name: str = "manager-1", mark: str = MARK, **changes: Any
) -> ServerRequest:
    """A server that could be made: its port is there."""
    network, _ = cloud.cloud.networks
    port = cloud.call(cloud.cloud.create_port, {"network_id": network.id, "description": mark})
    config = cloud.cloud.config
    wanted = ServerRequest(
        name=name,
        image=config.image,
        flavor=config.flavor,
        port_ids=(port.id,),
        key_name=config.key_name,
        server_group_id="",
        mark=mark,
    )
    return replace(wanted, **changes)


def posts(cloud: CloudThread) -> list[str]:
    return [path for method, path in cloud.server.requests if method == "POST" and "tokens" not in path]


class Recorder:
    """What an operation's runtime properties would hold."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def __call__(self, server_id: str) -> None:
        self.ids.append(server_id)


@pytest.mark.parametrize("suffix", ["/v3", "", "/v3/"])
def test_keystone_is_found_with_and_without_its_version(cloud: CloudThread, suffix: str) -> None:
    url = cloud.server.auth_url.removesuffix("/v3") + suffix

    OpenStack(CloudAccess.read({**cloud.client_config(), "auth_url": url})).log_in()


def test_the_old_keystone_will_do(cloud: CloudThread) -> None:
    url = cloud.server.auth_url.removesuffix("/v3") + "/v2.0"
    old = OpenStack(CloudAccess.read({**cloud.client_config(), "auth_url": url}))

    assert calls.servers_named(old, "anything") == []
    assert "/identity/v2.0/tokens" in posts_of_tokens(cloud)


def posts_of_tokens(cloud: CloudThread) -> list[str]:
    return [path for _, path in cloud.server.requests if "tokens" in path]


def test_domains_may_be_given_by_id(cloud: CloudThread) -> None:
    config = {key: value for key, value in cloud.client_config().items() if not key.endswith("_domain_name")}

    OpenStack(
        CloudAccess.read({**config, "user_domain_id": "default", "project_domain_id": "default"})
    ).log_in()


def test_a_token_is_asked_for_once(cloud: CloudThread) -> None:
    session = OpenStack(access_of(cloud))
    for _ in range(3):
        calls.servers_named(session, "x")

    assert len(posts_of_tokens(cloud)) == 1


@pytest.mark.parametrize(
    "changes",
    [{"password": Secret("not-the-one")}, {"username": "nobody"}, {"project": "nothing"}],
    ids=["password", "user", "project"],
)
def test_refused_credentials_say_whose_and_where_and_not_the_password(
    cloud: CloudThread, changes: dict[str, Any]
) -> None:
    access = access_of(cloud, **changes)

    with pytest.raises(AccessRefused) as refused:
        OpenStack(access).log_in()

    assert access.username in str(refused.value)
    assert cloud.server.auth_url in str(refused.value)
    assert access.password.reveal() not in str(refused.value)


def test_a_region_without_servers_is_named(cloud: CloudThread) -> None:
    with pytest.raises(ActionRequired, match="no compute service in the region Mars"):
        OpenStack(access_of(cloud, region="Mars")).log_in()


def test_what_is_no_keystone_is_called_so(cloud: CloudThread) -> None:
    elsewhere = cloud.server.auth_url.removesuffix("/identity/v3")

    with pytest.raises(ActionRequired, match="404"):
        OpenStack(access_of(cloud, auth_url=elsewhere)).log_in()


@pytest.mark.parametrize("url", ["keystone.example:5000/v3", "http://"], ids=["no scheme", "no host"])
def test_a_url_that_is_none_is_the_users_to_mend(cloud: CloudThread, url: str) -> None:
    with pytest.raises(ActionRequired, match="os_auth_url"):
        OpenStack(access_of(cloud, auth_url=url)).log_in()


def test_no_answer_is_tried_again_later(cloud: CloudThread) -> None:
    with pytest.raises(CloudUnreachable, match="no answer"):
        OpenStack(access_of(cloud, auth_url=f"http://{cloud.address(250)}:9/v3")).log_in()


@pytest.mark.parametrize("kind", ["500", "503"])
def test_a_service_that_is_not_well_is_asked_again_later(cloud: CloudThread, kind: str) -> None:
    cloud.fault(kind, "/compute/")

    with pytest.raises(CloudUnreachable, match=kind):
        calls.servers_named(OpenStack(access_of(cloud)), "x")


def test_what_a_service_says_is_in_the_message(cloud: CloudThread) -> None:
    with pytest.raises(CloudRefused, match=r"marker \[nothing\] not found") as refused:
        OpenStack(access_of(cloud)).get(COMPUTE, "/servers/detail", "listing", marker="nothing")

    assert refused.value.status_code == 400


def test_a_server_is_made_and_recorded_before_it_is_waited_for(cloud: CloudThread) -> None:
    recorder = Recorder()

    server = keeper_of(cloud).ensure_server(request_on(cloud), recorder)

    assert server.status == "ACTIVE"
    assert recorder.ids == [server.id]
    assert cloud.holdings()["servers"] == ["manager-1"]
    assert posts(cloud) == ["/compute/v2.1/servers"]


def test_a_server_that_is_recorded_is_left_alone(cloud: CloudThread) -> None:
    wanted, keeper = request_on(cloud), keeper_of(cloud)
    made = keeper.ensure_server(wanted, Recorder())
    cloud.server.requests.clear()

    again = keeper.ensure_server(wanted, Recorder(), made.id)

    assert again.id == made.id
    assert posts(cloud) == []


def test_a_server_that_was_not_recorded_is_adopted(cloud: CloudThread) -> None:
    wanted, keeper, recorder = request_on(cloud), keeper_of(cloud), Recorder()
    made = calls.create_server(OpenStack(access_of(cloud)), wanted)

    assert keeper.ensure_server(wanted, recorder).id == made
    assert recorder.ids == [made]


def test_an_answer_that_was_lost_is_no_second_server(cloud: CloudThread) -> None:
    cloud.fault("hang", r"/compute/v2.1/servers$", method="POST", times=1)
    wanted, recorder = request_on(cloud), Recorder()
    impatient = OpenStack(access_of(cloud), replace(TIMEOUTS, read_seconds=0.5))
    with pytest.raises(CloudUnreachable):
        ServerKeeper(impatient, LOGGER, PATIENCE).ensure_server(wanted, recorder)
    assert recorder.ids == []

    keeper_of(cloud).ensure_server(wanted, recorder)

    assert recorder.ids == list(cloud.cloud.servers)
    assert posts(cloud) == ["/compute/v2.1/servers"]


def test_a_server_of_the_same_name_that_is_not_ours_is_refused(cloud: CloudThread) -> None:
    keeper_of(cloud).ensure_server(request_on(cloud, mark="other"), Recorder())

    with pytest.raises(ActionRequired, match="was not made by this deployment"):
        keeper_of(cloud).ensure_server(request_on(cloud), Recorder())

    assert len(cloud.holdings()["servers"]) == 1


def test_a_name_that_only_contains_ours_is_another_name(cloud: CloudThread) -> None:
    keeper_of(cloud).ensure_server(request_on(cloud, name="manager-10", mark="other"), Recorder())

    keeper_of(cloud).ensure_server(request_on(cloud, name="manager-1"), Recorder())

    assert sorted(cloud.holdings()["servers"]) == ["manager-1", "manager-10"]


def test_a_server_that_cannot_be_built_says_why_and_is_made_again(cloud: CloudThread) -> None:
    cloud.cloud.build_fault = "No valid host was found."
    wanted, recorder = request_on(cloud), Recorder()
    with pytest.raises(ActionRequired, match="No valid host was found"):
        keeper_of(cloud).ensure_server(wanted, recorder)

    cloud.cloud.build_fault = ""
    server = keeper_of(cloud).ensure_server(wanted, recorder, recorder.ids[-1])

    assert server.status == "ACTIVE"
    assert recorder.ids == [recorder.ids[0], server.id]
    assert cloud.holdings()["servers"] == ["manager-1"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"flavor": "m9"}, "os_flavor: no flavor is called 'm9'"),
        ({"image": "Minix"}, "os_image: no image is called 'Minix'"),
        ({"image": "6e1f1b1e-5c4b-4f1f-9d1b-7c0d4e5f6a7b"}, "os_image: no image"),
        ({"image": "", "more": {}}, "Invalid imageRef"),
        ({"key_name": "nobodys"}, "Invalid key_name"),
        ({"server_group_id": "gone"}, "Instance group gone could not be found"),
    ],
)
def test_what_nova_refuses_is_said_in_its_words(
    cloud: CloudThread, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ActionRequired, match=said):
        keeper_of(cloud).ensure_server(request_on(cloud, **changes), Recorder())


def test_a_full_quota_is_refused_with_its_figures(cloud: CloudThread) -> None:
    keeper = keeper_of(cloud)
    for number in range(3):
        keeper.ensure_server(request_on(cloud, name=f"m{number}"), Recorder())

    with pytest.raises(ActionRequired, match="already used 3 of 3 instances"):
        keeper.ensure_server(request_on(cloud, name="m3"), Recorder())


def test_a_server_boots_from_a_volume(cloud: CloudThread) -> None:
    device = {"boot_index": "0", "uuid": cloud.cloud.image_id, "source_type": "image"}
    wanted = request_on(cloud, image="", more={"block_device_mapping_v2": [device]})

    assert keeper_of(cloud).ensure_server(wanted, Recorder()).status == "ACTIVE"


def test_ids_will_do_for_names(cloud: CloudThread) -> None:
    wanted = request_on(cloud, image=cloud.cloud.image_id, flavor=cloud.cloud.flavor_id)

    assert keeper_of(cloud).ensure_server(wanted, Recorder()).status == "ACTIVE"


def test_a_former_server_that_is_still_going_is_waited_for(cloud: CloudThread) -> None:
    wanted, keeper = request_on(cloud), keeper_of(cloud)
    keeper.ensure_server(wanted, Recorder())
    (server,) = cloud.cloud.servers.values()
    server.task = "deleting"

    with pytest.raises(TryAgainLater, match="still being deleted"):
        keeper.ensure_server(wanted, Recorder())

    server.task = None


def test_a_server_is_deleted_and_gone_when_it_is_said_to_be(cloud: CloudThread) -> None:
    wanted, keeper = request_on(cloud), keeper_of(cloud)
    made = keeper.ensure_server(wanted, Recorder())

    assert keeper.ensure_no_server(made.id, wanted.name, MARK)
    assert cloud.holdings()["servers"] == []
    assert not keeper.ensure_no_server(made.id, wanted.name, MARK)


def test_a_server_that_was_not_recorded_is_deleted_by_its_name(cloud: CloudThread) -> None:
    wanted, keeper = request_on(cloud), keeper_of(cloud)
    keeper.ensure_server(wanted, Recorder())

    assert keeper.ensure_no_server("", wanted.name, MARK)
    assert cloud.holdings()["servers"] == []


def test_nothing_is_deleted_by_its_name_alone(cloud: CloudThread) -> None:
    wanted = request_on(cloud, mark="other")
    keeper_of(cloud).ensure_server(wanted, Recorder())

    assert not keeper_of(cloud).ensure_no_server("", wanted.name, MARK)
    assert not keeper_of(cloud).ensure_no_server("", wanted.name, "")
    assert cloud.holdings()["servers"] == ["manager-1"]


def test_a_sweep_takes_everything_with_the_mark_and_nothing_else(cloud: CloudThread) -> None:
    keeper = keeper_of(cloud)
    for mark in (MARK, "other"):
        keeper.ensure_server(request_on(cloud, name=f"server-of-{mark[:5]}", mark=mark), Recorder())

    assert keeper.sweep(MARK) == 1
    assert cloud.holdings()["servers"] == ["server-of-other"]
    assert keeper.sweep(MARK) == 0
    assert keeper.sweep("other") == 1


def test_all_pages_of_servers_are_looked_at(cloud: CloudThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.openstack.nova.PAGE", 1)
    keeper = keeper_of(cloud)
    for number in range(3):
        keeper.ensure_server(request_on(cloud, name=f"m{number}"), Recorder())

    found = calls.servers_marked(OpenStack(access_of(cloud)), MARK)

    assert sorted(server.name for server in found) == ["m0", "m1", "m2"]


def test_a_server_whose_machine_lost_its_power_is_shut_off(cloud: CloudThread) -> None:
    made = keeper_of(cloud).ensure_server(request_on(cloud), Recorder())
    (server,) = cloud.cloud.servers.values()
    cloud.run(lambda: cloud.lab.kill(server.machine))

    found = calls.find_server(OpenStack(access_of(cloud)), made.id)

    assert found is not None
    assert found.status == "SHUTOFF"


def test_access_without_what_every_cloud_needs_names_all_that_is_missing() -> None:
    with pytest.raises(ActionRequired) as refused:
        CloudAccess.read({"username": "u"})

    for name in ("os_auth_url", "os_password", "os_project (or os_tenant)"):
        assert f"{name}: missing" in str(refused.value)
    assert "os_username" not in str(refused.value)


def test_a_certificate_is_checked_unless_told_otherwise(tmp_path: Path) -> None:
    config = {"auth_url": "https://x.example", "username": "u", "password": "p", "tenant_name": "t"}

    assert CloudAccess.read(config).verify is True
    assert CloudAccess.read({**config, "ca_cert": str(tmp_path)}).verify == str(tmp_path)
    assert CloudAccess.read({**config, "insecure": "true"}).verify is False
