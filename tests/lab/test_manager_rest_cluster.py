"""The cluster of generation 4 over REST, as a client lives through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cloudify_rest_client.exceptions import NotClusterMaster, RemovedFromCluster

from lab.clock import ManualClock
from lab.manager import samples
from lab.manager.host import Settings
from lab.manager.standalone import LoopThread, StandaloneManager
from tests.lab.rest import connect, manager_of, refused, upload_blueprint

# The real client forgets to close the archives it uploads.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SETTINGS = Settings(
    initialise_seconds=5,
    join_seconds=5,
    replicate_seconds=5,
    election_seconds=10,
    offline_seconds=2,
    removed_replica_seconds=3,
)
NAMES = ("one", "two", "three")


class Fleet:
    """Some managers with one clock, and the cluster they make."""

    def __init__(self, folder: Path, count: int, version: str = "4.6.0") -> None:
        self.clock = ManualClock()
        self.thread = LoopThread()
        self.folder = folder
        self.managers = [
            self.make(name, f"127.78.0.{number}", version) for number, name in enumerate(NAMES[:count], 1)
        ]

    def make(self, name: str, ip: str, version: str = "4.6.0") -> StandaloneManager:
        manager = manager_of(
            self.folder / f"{name}-{self.clock.now()}",
            version,
            SETTINGS,
            ip=ip,
            name=name,
            clock=self.clock,
            thread=self.thread,
        )
        manager.install()
        return manager

    def api(self, number: int) -> Any:
        return connect(self.managers[number]).secrets.api

    def advance(self, seconds: float) -> None:
        self.thread.run(self.clock.advance_stepwise(seconds))

    def start(self) -> None:
        self.api(0).put("/cluster", {"host_ip": self.managers[0].ip, "node_name": "one"})
        self.advance(5)

    def add(self, number: int, leader: int = 0, name: str = "") -> dict[str, Any]:
        name = name or NAMES[number]
        node = self.api(leader).put(
            f"/cluster/nodes/{name}", {"host_ip": self.managers[number].ip, "node_name": name}
        )
        return dict(node)

    def join(self, number: int, node: dict[str, Any], **changes: Any) -> Any:
        return self.api(number).put(
            "/cluster",
            {
                "host_ip": node["host_ip"],
                "node_name": node["name"],
                "credentials": node["credentials"],
                "required": node["required"],
                "join_addrs": [self.managers[0].ip],
                "options": {},
                **changes,
            },
        )

    def whole(self) -> None:
        self.start()
        for number in range(1, len(self.managers)):
            self.join(number, self.add(number))
        self.advance(10)

    def nodes(self, number: int = 0) -> dict[str, Any]:
        return {n["name"]: n for n in self.api(number).get("/cluster/nodes")["items"]}

    def states(self, number: int = 0) -> dict[str, str]:
        return {
            name: "offline" if not n["online"] else "leader" if n["master"] else "replica"
            for name, n in self.nodes(number).items()
        }

    def close(self) -> None:
        for manager in self.managers:
            manager.close()
        self.thread.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    made: list[Fleet] = []

    def build(count: int = 3, version: str = "4.6.0") -> Fleet:
        made.append(Fleet(tmp_path, count, version))
        return made[-1]

    yield build
    for fleet in made:
        fleet.close()


def test_a_cluster_takes_its_time_to_start(make: Callable[..., Fleet]) -> None:
    fleet = make(1)
    assert fleet.api(0).get("/cluster") == {"initialized": False, "logs": [], "error": None}
    with refused(404, "not_found_error"):
        fleet.nodes()
    body = {"host_ip": fleet.managers[0].ip, "node_name": "one"}
    fleet.api(0).put("/cluster", body)
    assert not fleet.api(0).get("/cluster")["initialized"]
    with refused(409, "conflict_error"):
        fleet.api(0).put("/cluster", body)
    fleet.advance(5)
    state = fleet.api(0).get("/cluster")
    assert state["initialized"]
    assert set(state["logs"][0]) == {"message", "timestamp", "cursor"}
    with refused(409, "conflict_error"):
        fleet.api(0).put("/cluster", body)
    assert fleet.states() == {"one": "leader"}
    names = {s["display_name"] for s in connect(fleet.managers[0]).manager.get_status()["services"]}
    assert {"Consul", "Syncthing", "PostgreSQL"} <= names


def test_a_start_with_the_address_of_another_ends_in_an_error(make: Callable[..., Fleet]) -> None:
    fleet = make(1)
    fleet.api(0).put("/cluster", {"host_ip": "127.78.0.99", "node_name": "one"})
    fleet.advance(5)
    state = fleet.api(0).get("/cluster")
    assert (state["initialized"], "127.78.0.99" in state["error"]) == (False, True)
    fleet.start()
    assert fleet.states() == {"one": "leader"}


def test_a_joining_manager_answers_until_it_has_joined_and_is_online_when_replicated(
    make: Callable[..., Fleet],
) -> None:
    fleet = make(2)
    fleet.start()
    node = fleet.add(1)
    assert fleet.nodes()["two"]["checks"] == {}
    fleet.join(1, node)
    with refused(409, "conflict_error"):
        fleet.join(1, node)
    assert fleet.api(1).get("/cluster")["error"] is None
    fleet.advance(5)
    with pytest.raises(NotClusterMaster):
        fleet.api(1).get("/cluster")
    two = fleet.nodes()["two"]
    assert (two["online"], two["checks"]["consul"], two["checks"]["database"]) == (
        False,
        True,
        False,
    )
    fleet.advance(5)
    assert fleet.states() == {"one": "leader", "two": "replica"}
    assert set(fleet.nodes()["two"]["checks"].values()) == {True}


def test_a_joining_nobody_watches_is_seen_by_the_leader(make: Callable[..., Fleet]) -> None:
    fleet = make(2)
    fleet.start()
    fleet.join(1, fleet.add(1))
    fleet.advance(10)
    assert fleet.states() == {"one": "leader", "two": "replica"}


def test_a_replica_answers_everything_with_not_cluster_master(make: Callable[..., Fleet]) -> None:
    fleet = make(2)
    fleet.whole()
    for path in ("/cluster", "/cluster/nodes", "/status", "/version", "/secrets", "/no-such"):
        with pytest.raises(NotClusterMaster) as caught:
            fleet.api(1).get(path)
        assert caught.value.status_code == 400


def test_a_name_or_an_address_is_taken_once(make: Callable[..., Fleet]) -> None:
    fleet = make(2)
    fleet.start()
    fleet.add(1)
    with refused(409, "conflict_error"):
        fleet.add(1)
    with refused(409, "conflict_error"):
        fleet.add(1, name="other")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"credentials": {"cluster_token": "no", "node_secret": "no"}}, "bad credentials"),
        ({"join_addrs": ["127.78.0.99"]}, "Could not connect"),
        ({"node_name": "stranger"}, "not expected"),
    ],
)
def test_a_wrong_join_ends_in_an_error_and_can_be_repeated(
    make: Callable[..., Fleet], changes: dict[str, Any], words: str
) -> None:
    fleet = make(2)
    fleet.start()
    node = fleet.add(1)
    fleet.join(1, node, **changes)
    fleet.advance(5)
    assert words in fleet.api(1).get("/cluster")["error"]
    fleet.join(1, node)
    fleet.advance(10)
    assert fleet.states()["two"] == "replica"


def test_a_manager_of_another_version_does_not_join(make: Callable[..., Fleet]) -> None:
    fleet = make(1)
    fleet.managers.append(fleet.make("two", "127.78.0.2", "4.3.0"))
    fleet.start()
    fleet.join(1, fleet.add(1))
    fleet.advance(5)
    assert "4.3.0" in fleet.api(1).get("/cluster")["error"]


def test_a_dead_leader_is_replaced_with_its_data_and_files(
    make: Callable[..., Fleet], tmp_path: Path
) -> None:
    fleet = make(3)
    fleet.whole()
    client = connect(fleet.managers[0])
    client.secrets.create("key", "value")
    plugin = client.plugins.upload(str(samples.make_plugin(tmp_path)))
    upload_blueprint(client, samples.make_blueprint(tmp_path), "sample")
    fleet.managers[0].kill()
    fleet.advance(9)
    with pytest.raises(NotClusterMaster):
        fleet.api(1).get("/cluster")
    fleet.advance(1)
    assert fleet.states(1) == {"one": "offline", "two": "leader", "three": "replica"}
    client = connect(fleet.managers[1])
    assert client.secrets.get("key").value == "value"
    client.plugins.download(plugin.id, str(tmp_path / "down.wgn"))
    client.blueprints.download("sample", str(tmp_path / "down.tar.gz"))


def test_a_leader_that_comes_back_is_a_replica(make: Callable[..., Fleet]) -> None:
    fleet = make(3)
    fleet.whole()
    fleet.managers[0].kill()
    fleet.advance(10)
    fleet.api(1).get("/cluster")
    fleet.managers[0].start()
    with pytest.raises(NotClusterMaster):
        fleet.api(0).get("/cluster")
    assert fleet.states(1)["one"] == "offline"
    fleet.advance(5)
    assert fleet.states(1)["one"] == "replica"


def test_a_leader_that_is_back_before_the_election_still_leads(make: Callable[..., Fleet]) -> None:
    fleet = make(3)
    fleet.whole()
    fleet.managers[0].kill()
    fleet.advance(9)
    fleet.managers[0].start()
    fleet.advance(20)
    assert fleet.states() == {"one": "leader", "two": "replica", "three": "replica"}


def test_of_two_members_the_one_that_is_left_leads(make: Callable[..., Fleet]) -> None:
    fleet = make(2)
    fleet.whole()
    fleet.managers[0].kill()
    fleet.advance(10)
    assert fleet.states(1) == {"one": "offline", "two": "leader"}


def test_a_leader_that_is_cut_off_is_replaced_and_comes_back_as_a_replica(
    make: Callable[..., Fleet],
) -> None:
    fleet = make(2)
    fleet.whole()
    fleet.managers[0].machine.cut_off = True
    assert fleet.states()["two"] == "replica"
    fleet.advance(2)
    assert fleet.nodes()["two"]["checks"] == dict.fromkeys(
        ("consul", "services", "database", "heartbeat"), False
    )
    fleet.advance(8)
    assert fleet.states(1) == {"one": "offline", "two": "leader"}
    fleet.advance(60)
    assert fleet.states(1) == {"one": "offline", "two": "leader"}
    with pytest.raises(NotClusterMaster):
        fleet.api(0).get("/cluster")
    fleet.managers[0].machine.cut_off = False
    assert fleet.states(1) == {"one": "replica", "two": "leader"}


def test_a_dead_replica_is_shown_offline_after_a_while(make: Callable[..., Fleet]) -> None:
    fleet = make(3)
    fleet.whole()
    fleet.managers[2].kill()
    fleet.advance(1)
    assert fleet.states()["three"] == "replica"
    fleet.advance(1)
    assert fleet.states()["three"] == "offline"
    assert set(fleet.nodes()["three"]["checks"].values()) == {False}


def test_a_removed_node_is_a_replica_for_a_moment_and_then_removed(
    make: Callable[..., Fleet],
) -> None:
    fleet = make(3)
    fleet.whole()
    fleet.api(0).delete("/cluster/nodes/three")
    assert set(fleet.states()) == {"one", "two"}
    with pytest.raises(NotClusterMaster):
        fleet.api(2).get("/cluster")
    fleet.advance(3)
    with pytest.raises(RemovedFromCluster):
        fleet.api(2).get("/cluster")
    with refused(404, "not_found_error"):
        fleet.api(0).delete("/cluster/nodes/three")


def test_the_leader_is_not_removed(make: Callable[..., Fleet]) -> None:
    fleet = make(2)
    fleet.whole()
    with refused(400, "illegal_action_error"):
        fleet.api(0).delete("/cluster/nodes/one")


def test_a_rebuilt_member_has_to_be_removed_before_it_joins_anew(
    make: Callable[..., Fleet], tmp_path: Path
) -> None:
    fleet = make(3)
    fleet.whole()
    connect(fleet.managers[0]).plugins.upload(str(samples.make_plugin(tmp_path)))
    fleet.managers[2].close()
    fleet.advance(10)
    fleet.managers[2] = fleet.make("three", "127.78.0.3")
    assert not fleet.api(2).get("/cluster")["initialized"]
    assert fleet.states()["three"] == "offline"
    with refused(409, "conflict_error"):
        fleet.add(2)
    fleet.api(0).delete("/cluster/nodes/three")
    fleet.join(2, fleet.add(2))
    fleet.advance(10)
    assert fleet.states()["three"] == "replica"
    resources = fleet.managers[2].machine.path("/opt/manager/resources")
    assert list(resources.rglob("*.wgn"))


def test_another_member_is_made_leader(make: Callable[..., Fleet]) -> None:
    fleet = make(3)
    fleet.whole()
    with refused(404, "not_found_error"):
        fleet.api(0).patch("/cluster", {"master": "nobody"})
    fleet.api(0).patch("/cluster", {"master": "three"})
    fleet.advance(10)
    with pytest.raises(NotClusterMaster):
        fleet.api(0).get("/cluster")
    assert fleet.states(2) == {"one": "replica", "two": "replica", "three": "leader"}


def test_a_power_cut_ends_a_joining(make: Callable[..., Fleet]) -> None:
    fleet = make(2)
    fleet.start()
    node = fleet.add(1)
    fleet.join(1, node)
    fleet.managers[1].kill()
    fleet.advance(60)
    fleet.managers[1].start()
    assert "interrupted" in fleet.api(1).get("/cluster")["error"]
    fleet.join(1, fleet.nodes()["two"])
    fleet.advance(10)
    assert fleet.states()["two"] == "replica"


def test_a_restore_is_refused_with_more_than_one_node(make: Callable[..., Fleet]) -> None:
    fleet = make(2)
    fleet.whole()
    client = connect(fleet.managers[0])
    client.snapshots.create("snap", include_credentials=True)
    with refused(400, "illegal_action_error"):
        client.snapshots.api.post("/snapshots/snap/restore", {"recreate_deployments_envs": True})
