"""Forming a cluster and changing it, against managers of the lab; killed and damaged wherever possible."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest

from cmom.clients.cluster_api import ClusterApi
from cmom.clients.limits import Timeouts
from cmom.errors import (
    AccessRefused,
    ActionRequired,
    DeadlinePassed,
    ManagerUnreachable,
    RemovedFromCluster,
    TryAgainLater,
)
from cmom.models import Host, Secret
from cmom.services.cluster import ClusterService
from cmom.services.cluster_times import ClusterTimes
from cmom.services.leader import ClusterConnection, NoLeader
from tests.lab.fleet import CANARY, Fleet

MakeFleet = Callable[..., Fleet]
LOGGER = logging.getLogger("test.cluster")
REQUESTS = Timeouts(connect_seconds=20.0, read_seconds=20.0, total_seconds=20.0)
SLOW = {"initialise_seconds": 20.0, "join_seconds": 30.0, "replicate_seconds": 15.0, "election_seconds": 10.0}


class Killed(BaseException):
    """Tier 2 dies here."""


class Wire:
    """Makes clients whose requests are counted, and, on demand, are the last thing a process does.

    Args:
        fleet: Whose managers.
        die_at: At which request of the main thread; None for never.
        before: Die before it is sent, or when it was answered and nobody has read the answer yet.
    """

    def __init__(self, fleet: Fleet, die_at: int | None = None, *, before: bool = True) -> None:
        self.fleet = fleet
        self.sent: list[str] = []
        self._die_at = die_at
        self._before = before

    def connect(self, address: str) -> ClusterApi:
        wire = self

        class Counted(ClusterApi):
            def request(self, method: str, path: str, doing: str, **arguments: Any) -> Any:
                if threading.current_thread() is not threading.main_thread():
                    return super().request(method, path, doing, **arguments)
                wire.sent.append(f"{method} {path}")
                fatal = len(wire.sent) - 1 == wire._die_at
                if fatal and wire._before:
                    raise Killed
                try:
                    return super().request(method, path, doing, **arguments)
                finally:
                    if fatal:
                        raise Killed

        return Counted(address, self.fleet.access, timeouts=REQUESTS)

    def changes(self) -> list[str]:
        """The requests that change something."""
        return [request for request in self.sent if not request.startswith("GET")]


class Cluster:
    """A service with its connection, as one process of Tier 2 would make it."""

    def __init__(
        self,
        fleet: Fleet,
        wire: Wire | None = None,
        *,
        hosts: tuple[Host, ...] | None = None,
        times: ClusterTimes | None = None,
        lock: Callable[[], AbstractContextManager[object]] | None = None,
    ) -> None:
        self.wire = wire or Wire(fleet)
        self.hosts = hosts or fleet.hosts
        self.connection = ClusterConnection(
            [host.public_ip for host in self.hosts],
            self.wire.connect,
            clock=fleet.services_clock,
            logger=LOGGER,
        )
        fleet.at_the_end.append(self.connection.close)
        self.service = ClusterService(
            self.hosts, self.connection, LOGGER, clock=fleet.services_clock, times=times, lock=lock
        )

    def form(self) -> list[bool]:
        """Bring everybody in."""
        changed = [self.service.ensure_started(self.hosts[0])]
        return changed + [self.service.ensure_joined(host) for host in self.hosts[1:]]

    def states(self) -> dict[str, str]:
        return {member.name: member.state for member in self.service.members()}


WHOLE = {"member-1": "leader", "member-2": "replica", "member-3": "replica"}


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert CANARY not in caplog.text


# Forming


def test_three_managers_become_a_cluster(make_fleet: MakeFleet, caplog: pytest.LogCaptureFixture) -> None:
    fleet = make_fleet(3, **SLOW)
    cluster = Cluster(fleet)
    assert cluster.form() == [True, True, True]
    assert cluster.states() == WHOLE
    assert all(member.healthy for member in cluster.service.members())
    assert "127.77.0.21: Cluster initialized" in caplog.text
    assert "127.77.0.22: Joining the cluster" in caplog.text
    assert "127.77.0.22 is replica, all checks OK." in caplog.text


def test_a_cluster_that_is_as_wanted_is_left_alone(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    Cluster(fleet).form()
    again = Cluster(fleet)
    assert again.form() == [False, False, False]
    assert again.wire.changes() == []


def test_one_manager_is_a_cluster_of_one_that_can_grow(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    alone = Cluster(fleet, hosts=fleet.hosts[:1])
    assert alone.form() == [True]
    assert alone.states() == {"member-1": "leader"}
    both = Cluster(fleet)
    assert both.form() == [False, True]
    assert both.states() == {"member-1": "leader", "member-2": "replica"}


def test_a_cluster_led_by_another_member_is_joined_and_not_made_a_second_time(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    first, second = fleet.hosts
    Cluster(fleet, hosts=(second,)).form()
    cluster = Cluster(fleet)
    assert cluster.service.ensure_started(first) is True
    assert cluster.states() == {"member-2": "leader", "member-1": "replica"}


def test_nothing_is_started_while_a_silent_machine_may_be_leading(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    fleet.switch_off(fleet.hosts[1])
    cluster = Cluster(fleet)
    with pytest.raises(TryAgainLater, match="Nobody can tell whether there is a cluster already"):
        cluster.service.ensure_started(fleet.hosts[0])
    assert cluster.wire.changes() == []


def test_members_that_are_not_ours_are_named_and_left_alone(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    Cluster(fleet, hosts=fleet.hosts[1:]).form()
    overlapping = Cluster(fleet, hosts=fleet.hosts[:2])
    with pytest.raises(ActionRequired, match=r"not ours: member-3 \(127\.77\.0\.23\)"):
        overlapping.form()
    assert overlapping.wire.changes() == []


def test_a_manager_of_another_cluster_is_not_taken_into_ours(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    first, second, third = fleet.hosts
    Cluster(fleet, hosts=(second, third)).form()
    Cluster(fleet, hosts=(first,)).form()
    ours = Cluster(fleet, hosts=(first, third))
    for host in (third, second):
        with pytest.raises(ActionRequired, match="it belongs to another one, or was removed"):
            ours.service.ensure_joined(host)
    assert ours.wire.changes() == []


def test_a_replica_of_another_cluster_does_not_start_ours(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    first, second, third = fleet.hosts
    Cluster(fleet, hosts=(second, third)).form()
    ours = Cluster(fleet, hosts=(third, first))
    with pytest.raises(ActionRequired, match="is a replica of a cluster that none of"):
        ours.form()
    assert ours.wire.changes() == []


def test_nothing_is_started_beside_a_cluster_that_is_electing_its_leader(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3, election_seconds=60.0)
    Cluster(fleet).form()
    fleet.switch_off(fleet.hosts[0])
    fleet.rebuild(fleet.hosts[0])
    cluster = Cluster(fleet)
    with pytest.raises(TryAgainLater, match="Nobody can tell whether there is a cluster already"):
        cluster.service.ensure_started(fleet.hosts[0])
    assert cluster.wire.changes() == []


def test_a_hostname_that_another_member_has_is_refused(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    twin = Host(fleet.hosts[1].ip, fleet.hosts[1].public_ip, fleet.hosts[0].hostname)
    cluster = Cluster(fleet, hosts=(fleet.hosts[0], twin))
    with pytest.raises(ActionRequired, match="has a member named member-1 already"):
        cluster.form()


def test_a_manager_without_the_cluster_api_is_refused_clearly(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(1, edition="community")
    with pytest.raises(ActionRequired, match="missing_premium_package_error"):
        Cluster(fleet).form()


def test_a_wrong_password_is_refused_at_once(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    began = fleet.clock.now()
    fleet.access = type(fleet.access)("admin", Secret("wrong"), fleet.access.ca_cert_path, fleet.port)
    with pytest.raises(AccessRefused):
        Cluster(fleet).form()
    assert fleet.clock.now() == began


def test_a_version_that_does_not_match_fails_the_join_with_the_managers_own_words(
    make_fleet: MakeFleet,
) -> None:
    fleet = make_fleet(2)
    fleet.rebuild(fleet.hosts[1], version="4.5.5")
    with pytest.raises(ActionRequired, match=r"runs version 4\.6\.0, this manager is of version 4\.5\.5"):
        Cluster(fleet).form()


def test_an_address_that_is_not_the_managers_fails_the_start(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(1)
    (host,) = fleet.hosts
    wrong = Host("127.77.0.99", host.public_ip, host.hostname)
    with pytest.raises(ActionRequired, match=r"failed: Could not bind to 127\.77\.0\.99"):
        Cluster(fleet, hosts=(wrong,)).form()


def test_a_start_that_takes_too_long_may_be_waited_for_again(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(1, initialise_seconds=1000.0)
    with pytest.raises(DeadlinePassed, match=r"Waited 900 s for the cluster on 127\.77\.0\.21 to start"):
        Cluster(fleet).form()
    again = Cluster(fleet)
    assert again.form() == [False]
    assert again.wire.changes() == []


def test_the_waits_are_those_of_the_field(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(1, initialise_seconds=10.0)
    began = fleet.clock.now()
    Cluster(fleet).form()
    assert fleet.clock.now() - began == 12.0  # looked at each 3 s


# Killed and run again


def kill_points(run: Callable[[Wire], None], fleet_for: Callable[[], Fleet]) -> Iterator[tuple[int, bool]]:
    wire = Wire(fleet_for())
    run(wire)
    yield from itertools.product(range(len(wire.sent)), (True, False))


def test_a_start_killed_at_any_request_completes_when_run_again(make_fleet: MakeFleet) -> None:
    def run(wire: Wire) -> None:
        Cluster(wire.fleet, wire).service.ensure_started(wire.fleet.hosts[0])

    points = list(kill_points(run, lambda: make_fleet(1, initialise_seconds=5.0)))
    assert len(points) >= 8
    for point, before in points:
        fleet = make_fleet(1, initialise_seconds=5.0)
        with pytest.raises(Killed):
            run(Wire(fleet, point, before=before))
        run(Wire(fleet))
        assert Cluster(fleet).states() == {"member-1": "leader"}, (point, before)


def test_a_join_killed_at_any_request_completes_when_run_again(make_fleet: MakeFleet) -> None:
    def prepared() -> Fleet:
        fleet = make_fleet(2, join_seconds=5.0, replicate_seconds=5.0)
        Cluster(fleet).service.ensure_started(fleet.hosts[0])
        return fleet

    def run(wire: Wire) -> None:
        Cluster(wire.fleet, wire).service.ensure_joined(wire.fleet.hosts[1])

    points = list(kill_points(run, prepared))
    assert len(points) >= 14
    for point, before in points:
        fleet = prepared()
        with pytest.raises(Killed):
            run(Wire(fleet, point, before=before))
        run(Wire(fleet))
        assert Cluster(fleet).states() == {"member-1": "leader", "member-2": "replica"}, (point, before)


def test_a_leave_killed_at_any_request_completes_when_run_again(make_fleet: MakeFleet) -> None:
    def prepared() -> Fleet:
        fleet = make_fleet(2)
        Cluster(fleet).form()
        fleet.change_settings(election_seconds=5.0)
        return fleet

    def run(wire: Wire) -> None:
        Cluster(wire.fleet, wire).service.ensure_left(wire.fleet.hosts[0])

    for point, before in kill_points(run, prepared):
        fleet = prepared()
        with pytest.raises(Killed):
            run(Wire(fleet, point, before=before))
        run(Wire(fleet))
        assert Cluster(fleet).states() == {"member-2": "leader"}, (point, before)


@pytest.mark.parametrize("kind", ["refuse", "503", "500", "broken-json"])
@pytest.mark.parametrize(
    ("path", "method"),
    [("/cluster$", "PUT"), ("/cluster$", "GET"), ("/cluster/nodes$", "GET"), ("/cluster/nodes/.*", "PUT")],
)
def test_one_damaged_answer_does_not_keep_a_cluster_from_forming(
    make_fleet: MakeFleet, kind: str, path: str, method: str
) -> None:
    fleet = make_fleet(2, initialise_seconds=5.0, join_seconds=5.0)
    for host in fleet.hosts:
        fleet[host].fault(kind, path=path, method=method, nth=2 if method == "GET" else 1)
    cluster = Cluster(fleet)
    for _ in range(3):  # as Cloudify repeats an operation that may be repeated
        try:
            cluster.form()
            break
        except TryAgainLater:
            continue
    assert cluster.states() == {"member-1": "leader", "member-2": "replica"}


def test_an_answer_cut_after_the_change_was_made_does_not_confuse(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2, initialise_seconds=5.0, join_seconds=5.0)
    for host in fleet.hosts:
        fleet[host].fault("broken-json", path="/cluster", method="PUT", times=2)
    cluster = Cluster(fleet)
    assert cluster.form() is not None
    assert cluster.states() == {"member-1": "leader", "member-2": "replica"}


# Deaths


def test_the_death_of_the_leader_in_the_middle_of_a_join_is_survived(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3, **SLOW)
    first, second, third = fleet.hosts
    cluster = Cluster(fleet)
    cluster.service.ensure_started(first)
    cluster.service.ensure_joined(second)
    wire = Wire(fleet)
    real = wire.connect
    died = threading.Event()

    def connect(address: str) -> ClusterApi:
        client = real(address)
        join = client.join

        def join_and_die(*arguments: Any, **options: Any) -> Any:
            state = join(*arguments, **options)
            if not died.is_set():
                died.set()
                fleet.switch_off(first)
            return state

        client.join = join_and_die  # type: ignore[method-assign]
        return client

    wire.connect = connect  # type: ignore[method-assign]
    assert Cluster(fleet, wire).service.ensure_joined(third) is True
    assert died.is_set()
    assert cluster.states() == {"member-1": "offline", "member-2": "leader", "member-3": "replica"}


def test_a_join_that_failed_is_tried_once_more(
    make_fleet: MakeFleet, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = make_fleet(2, join_seconds=10.0)
    first, second = fleet.hosts
    Cluster(fleet).service.ensure_started(first)
    fleet[first].machine.cut_off = True  # the two cannot talk to each other, for a while
    clock = fleet.services_clock
    cluster = Cluster(fleet)

    def heal() -> None:
        fleet[first].machine.cut_off = False

    sleep, slept = clock.sleep, itertools.count(1)

    def sleep_and_heal(seconds: float) -> None:
        sleep(seconds)
        if next(slept) == 5:
            heal()

    clock.sleep = sleep_and_heal  # type: ignore[method-assign]
    assert cluster.service.ensure_joined(second) is True
    assert cluster.states() == {"member-1": "leader", "member-2": "replica"}
    assert "It failed before: Could not connect to any of 127.77.0.21" in caplog.text


def test_a_request_in_flight_when_the_leader_dies_is_made_again_on_the_next(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3, election_seconds=10.0)
    cluster = Cluster(fleet)
    cluster.form()
    tried: list[str] = []

    def work(leader: ClusterApi) -> str:
        tried.append(leader.address)
        if len(tried) == 1:
            fleet.switch_off(fleet.hosts[0])
        return leader.version().text

    assert cluster.connection.call(work, "working") == "4.6.0"
    assert tried[0] == fleet.hosts[0].ip
    assert tried[-1] == fleet.hosts[1].ip


def test_what_must_not_be_repeated_is_not(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    cluster = Cluster(fleet)
    cluster.form()
    tried: list[str] = []

    def work(leader: ClusterApi) -> None:
        tried.append(leader.address)
        fleet.switch_off(fleet.hosts[0])
        leader.version()

    with pytest.raises(ManagerUnreachable):
        cluster.connection.call(work, "working", repeatable=False)
    assert tried == [fleet.hosts[0].ip]


def test_a_replica_that_was_taken_for_the_leader_is_left_for_the_real_one(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    cluster = Cluster(fleet)
    cluster.form()
    Cluster(fleet).service.hand_over_leadership(fleet.hosts[0])
    tried: list[str] = []

    def work(leader: ClusterApi) -> str:
        tried.append(leader.address)
        return leader.version().text

    assert cluster.connection.call(work, "working", repeatable=False) == "4.6.0"
    assert tried == [fleet.hosts[0].ip, fleet.hosts[1].ip]


def test_a_black_holed_member_does_not_hold_up_who_looks_for_the_leader(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    cluster = Cluster(fleet)
    cluster.form()
    Cluster(fleet).service.hand_over_leadership(fleet.hosts[0])
    fleet.black_hole(fleet.hosts[0])
    fresh = Cluster(fleet)
    leader = fresh.connection.find_leader()
    assert leader is not None
    assert leader.address == fleet.hosts[1].ip


def test_without_a_leader_everybodys_answer_is_told(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3, election_seconds=100_000.0)
    cluster = Cluster(fleet)
    cluster.form()
    fleet.switch_off(fleet.hosts[0])
    fresh = Cluster(fleet, times=ClusterTimes(leader_seconds=30.0))
    with pytest.raises(NoLeader) as caught:
        fresh.service.members()
    text = str(caught.value)
    assert "none of the members" in text
    assert "127.77.0.21 gave no answer (connection refused)" in text
    assert "127.77.0.22 is a replica" in text


def test_a_member_that_is_dead_does_not_hide_that_the_living_refuse_us(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    fleet.switch_off(fleet.hosts[0])
    fleet.access = type(fleet.access)("admin", Secret("wrong"), fleet.access.ca_cert_path, fleet.port)
    with pytest.raises(AccessRefused):
        Cluster(fleet).service.members()


def test_a_leader_whose_password_has_changed_is_not_asked_again_until_it_locks_us_out(
    make_fleet: MakeFleet,
) -> None:
    fleet = make_fleet(3)
    Cluster(fleet).form()
    fleet.access = type(fleet.access)("admin", Secret("wrong"), fleet.access.ca_cert_path, fleet.port)
    began = fleet.clock.now()

    with pytest.raises(AccessRefused):
        Cluster(fleet).service.members()

    assert fleet.clock.now() == began


# Leaving


def test_a_replica_leaves(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    cluster = Cluster(fleet)
    cluster.form()
    assert cluster.service.ensure_left(fleet.hosts[2]) is True
    assert cluster.states() == {"member-1": "leader", "member-2": "replica"}
    assert cluster.service.ensure_left(fleet.hosts[2]) is False


def test_the_leader_hands_over_before_it_leaves(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    cluster = Cluster(fleet)
    cluster.form()
    fleet.change_settings(election_seconds=10.0)
    assert cluster.service.ensure_left(fleet.hosts[0]) is True
    assert cluster.states() == {"member-2": "leader", "member-3": "replica"}
    changes = cluster.wire.changes()
    assert changes[-2:] == ["PATCH /cluster", "DELETE /cluster/nodes/member-1"]


def test_a_leader_that_may_not_hand_over_stays(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    cluster = Cluster(fleet)
    cluster.form()
    with pytest.raises(ActionRequired, match="Hand over leadership first"):
        cluster.service.ensure_left(fleet.hosts[0], hand_over=False)
    assert cluster.states() == {"member-1": "leader", "member-2": "replica"}


def test_a_leader_with_only_dead_replicas_stays(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    cluster = Cluster(fleet)
    cluster.form()
    fleet.switch_off(fleet.hosts[1])
    with pytest.raises(ActionRequired, match="No member can take over"):
        cluster.service.ensure_left(fleet.hosts[0])
    assert cluster.states() == {"member-1": "leader", "member-2": "offline"}


def test_a_replica_that_is_still_catching_up_does_not_take_over_yet(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    cluster = Cluster(fleet)
    cluster.form()
    fleet.change_settings(replicate_seconds=1000.0)
    for host in fleet.hosts[1:]:
        fleet.switch_off(host)
        fleet[host].start()
    with pytest.raises((ActionRequired, TryAgainLater), match="No member can take over"):
        cluster.service.hand_over_leadership(fleet.hosts[0])


def test_the_last_member_stays(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(1)
    cluster = Cluster(fleet)
    cluster.form()
    assert cluster.service.ensure_left(fleet.hosts[0]) is False
    assert cluster.states() == {"member-1": "leader"}


def test_a_dead_member_leaves_by_the_word_of_the_survivors(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3, election_seconds=10.0)
    cluster = Cluster(fleet)
    cluster.form()
    fleet.switch_off(fleet.hosts[0])
    assert Cluster(fleet).service.ensure_left(fleet.hosts[0]) is True
    assert cluster.states() == {"member-2": "leader", "member-3": "replica"}


def test_who_never_was_in_a_cluster_has_left_already(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    began = fleet.clock.now()
    assert Cluster(fleet).service.ensure_left(fleet.hosts[1]) is False
    assert fleet.clock.now() == began


def test_leadership_is_handed_over_only_by_who_has_it(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    cluster = Cluster(fleet)
    cluster.form()
    assert cluster.service.hand_over_leadership(fleet.hosts[1]) is False
    assert cluster.service.hand_over_leadership(fleet.hosts[0]) is True
    assert cluster.states() == {"member-1": "replica", "member-2": "leader"}


def test_a_hand_over_that_does_not_come_true_is_said(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    cluster = Cluster(fleet)
    cluster.form()
    fleet.change_settings(election_seconds=1000.0)
    with pytest.raises(DeadlinePassed, match=r"member-2 to lead the cluster instead of 127\.77\.0\.21"):
        cluster.service.hand_over_leadership(fleet.hosts[0])


# Coming back


def test_a_removed_manager_must_be_installed_anew(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    cluster = Cluster(fleet)
    cluster.form()
    cluster.service.ensure_left(fleet.hosts[1])
    with pytest.raises(ActionRequired, match="cfy_manager remove -f"):
        cluster.service.ensure_joined(fleet.hosts[1])
    with pytest.raises(RemovedFromCluster):
        cluster.connection.member(fleet.hosts[1].ip).get_cluster()


def test_a_rebuilt_machine_rejoins_under_its_old_name(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3, election_seconds=10.0)
    first = fleet.hosts[0]
    cluster = Cluster(fleet)
    cluster.form()
    fleet.switch_off(first)
    cluster.service.ensure_left(first)
    fleet.rebuild(first)
    assert cluster.service.ensure_joined(first) is True
    assert cluster.states() == {"member-2": "leader", "member-3": "replica", "member-1": "replica"}


def test_a_rebuilt_machine_whose_old_entry_is_still_listed_rejoins(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    second = fleet.hosts[1]
    cluster = Cluster(fleet)
    cluster.form()
    fleet.rebuild(second)
    assert cluster.service.ensure_joined(second) is True
    assert cluster.states() == {"member-1": "leader", "member-2": "replica"}


# Several at once


class Together:
    """Runs joins in threads that share the clock of the fleet."""

    def __init__(self, jobs: Mapping[str, Callable[[], object]]) -> None:
        self.errors: dict[str, BaseException] = {}
        self._threads = [threading.Thread(target=self._run, args=item, daemon=True) for item in jobs.items()]

    def _run(self, name: str, job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException as error:
            self.errors[name] = error

    def run(self) -> None:
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()


@pytest.mark.parametrize("locked", [True, False], ids=["with a lock", "without a lock"])
def test_managers_that_join_at_the_same_time_all_become_members(make_fleet: MakeFleet, locked: bool) -> None:
    fleet = make_fleet(4, join_seconds=10.0, replicate_seconds=10.0)
    lock = threading.Lock()
    Cluster(fleet).service.ensure_started(fleet.hosts[0])

    def job(host: Host) -> Callable[[], object]:
        cluster = Cluster(fleet, lock=(lambda: lock) if locked else None)
        return lambda: cluster.service.ensure_joined(host)

    together = Together({host.hostname: job(host) for host in fleet.hosts[1:]})
    together.run()
    assert together.errors == {}
    assert Cluster(fleet).states() == {**WHOLE, "member-4": "replica"}


def test_a_cluster_that_is_started_twice_at_the_same_time_is_one_cluster(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(1, initialise_seconds=10.0)
    together = Together(
        {name: lambda: Cluster(fleet).service.ensure_started(fleet.hosts[0]) for name in ("a", "b", "c")}
    )
    together.run()
    assert together.errors == {}
    assert Cluster(fleet).states() == {"member-1": "leader"}


def test_somebody_who_was_announced_and_never_comes_does_not_hold_up_the_others_for_ever(
    make_fleet: MakeFleet, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = make_fleet(3)
    first, second, third = fleet.hosts
    cluster = Cluster(fleet)
    cluster.service.ensure_started(first)
    cluster.connection.get_leader().add_node(second.ip, second.hostname)
    assert cluster.service.ensure_joined(third) is True
    assert "member-2 was announced to the cluster and did not join." in caplog.text
    assert cluster.service.ensure_joined(second) is True
    assert cluster.states() == WHOLE | {"member-3": "replica"}
