"""The leader dies while resources are made: it goes on with the next one, and nothing is made twice."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cmom.clients.cluster_api import ClusterApi
from cmom.clients.limits import Timeouts
from cmom.errors import TryAgainLater
from cmom.models import Version
from cmom.services.cluster import ClusterService
from cmom.services.inputs import parse_resources
from cmom.services.leader import ClusterConnection
from cmom.services.relay import Relay
from cmom.services.resources.filler import ResourceFiller
from cmom.services.resources.report import Report
from cmom.services.tier1 import Tier1
from lab.manager.samples import make_blueprint, make_wagon, plugin_yaml
from tests.lab.fleet import Fleet
from tests.lab.rest import connect

MakeFleet = Callable[..., Fleet]
LOGGER = logging.getLogger("test.failover")
# A manager whose power is cut while connections are being made leaves its own ends of them to the collector.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:Exception ignored in. {what}:pytest.PytestUnraisableExceptionWarning")
    for what in (r"<socket.socket .*laddr=\('127.77.", "<function _SelectorTransport.__del__")
]
REQUESTS = Timeouts(connect_seconds=2.0, read_seconds=5.0, total_seconds=5.0)


class Power:
    """Cuts a machine's power at a request, before it is sent or when it was answered.

    Args:
        cut: Cuts it.
        at: At which request.
        answered: Whether the manager has done what was asked, and only the answer is lost.
    """

    def __init__(self, cut: Callable[[], None], at: int, *, answered: bool) -> None:
        self._cut = cut
        self._at = at
        self._answered = answered
        self._lock = threading.Lock()
        self.count = 0

    def pass_through(self, send: Callable[[], Any]) -> Any:
        with self._lock:
            self.count += 1
            fatal = self.count == self._at
        if not fatal:
            return send()
        if not self._answered:
            self._cut()
            return send()
        send()
        self._cut()
        return send()


def client_class(power: Power) -> type[ClusterApi]:
    class Cut(ClusterApi):
        def call(self, function: Any, doing: str, **arguments: Any) -> Any:
            return power.pass_through(lambda: super(Cut, self).call(function, doing, **arguments))

        def request(self, method: str, path: str, doing: str, **arguments: Any) -> Any:
            if path.startswith("/cluster"):
                return super().request(method, path, doing, **arguments)
            return power.pass_through(lambda: super(Cut, self).request(method, path, doing, **arguments))

    return Cut


@pytest.fixture
def wanted(tmp_path: Path) -> dict[str, Any]:
    yaml = tmp_path / "plugin.yaml"
    yaml.write_text(plugin_yaml())
    return {
        "tenants": ["blue", "green"],
        "secrets": [{"key": f"secret-{number}", "string": "x", "tenant": "blue"} for number in range(4)],
        "plugins": [{"wagon": str(make_wagon(tmp_path)), "yaml": str(yaml), "tenant": "blue"}],
        "blueprints": [
            {"path": str(make_blueprint(tmp_path, name)), "tenant": "blue"} for name in ("shop", "store")
        ],
        "deployments": [
            {"blueprint_id": "shop", "deployment_id": f"shop-{number}", "tenant": "blue"}
            for number in range(4)
        ],
    }


@pytest.fixture
def fleet(make_fleet: MakeFleet) -> Fleet:
    fleet = make_fleet(3, election_seconds=10.0)
    connection = ClusterConnection(
        [host.public_ip for host in fleet.hosts],
        lambda address: ClusterApi(address, fleet.access, timeouts=REQUESTS),
        clock=fleet.services_clock,
    )
    service = ClusterService(fleet.hosts, connection, LOGGER, clock=fleet.services_clock)
    service.ensure_started(fleet.hosts[0])
    for host in fleet.hosts[1:]:
        service.ensure_joined(host)
    connection.close()
    return fleet


def fill(fleet: Fleet, wanted: dict[str, Any], power: Power) -> Report:
    made = client_class(power)
    relay = Relay(LOGGER)
    connection = ClusterConnection(
        [host.public_ip for host in fleet.hosts],
        lambda address: made(address, fleet.access, timeouts=REQUESTS),
        clock=fleet.services_clock,
        logger=relay,
    )
    with Tier1(connection, Version.parse("4.6.0")) as tier1:
        filler = ResourceFiller(tier1, relay, clock=fleet.services_clock)
        return filler.fill(parse_resources(wanted))


@pytest.mark.parametrize("answered", [False, True], ids=["before", "answered"])
@pytest.mark.parametrize("at", [1, 6, 13, 20])
def test_the_leader_dies_in_the_middle_and_nothing_is_made_twice(
    fleet: Fleet, wanted: dict[str, Any], at: int, answered: bool
) -> None:
    power = Power(lambda: fleet.switch_off(fleet.hosts[0]), at, answered=answered)
    report = fill(fleet, wanted, power)
    assert power.count > at
    assert report.good, report.table()
    assert len(report.rows) == 13
    new_leader = next(fleet[host] for host in fleet.hosts[1:] if fleet[host].manager.seat.is_leader)
    client = connect(new_leader, tenant="blue")
    try:
        assert len(client.secrets.list()) == 4
        assert len(client.plugins.list()) == 1
        assert {blueprint.id for blueprint in client.blueprints.list()} == {"shop", "store"}
        created = [
            execution.deployment_id
            for execution in client.executions.list(include_system_workflows=True)
            if execution.workflow_id == "create_deployment_environment"
        ]
        assert sorted(created) == [f"shop-{number}" for number in range(4)]
    finally:
        client._client._session.close()


def test_a_cluster_that_dies_as_a_whole_does_not_cost_a_wait_for_each_entry(
    fleet: Fleet, wanted: dict[str, Any]
) -> None:
    def all_off() -> None:
        for host in fleet.hosts:
            fleet.switch_off(host)

    began = fleet.clock.now()
    report = fill(fleet, wanted, Power(all_off, 4, answered=False))
    assert fleet.clock.now() - began < 2 * 120.0
    assert not report.good
    failure = report.failure()
    assert isinstance(failure, TryAgainLater)
    assert "the cluster did not answer before" in str(failure)
