"""Damage on the way: uploads cut, managers that are busy, slow or somebody else's, refused credentials."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cmom.clients.cluster_api import ClusterApi
from cmom.clients.resource_uploads import upload_blueprint
from cmom.errors import AccessRefused, ManagerBusy, TryAgainLater
from cmom.models import Secret
from cmom.services.inputs import parse_resources
from cmom.services.resources.filler import ResourceFiller
from cmom.services.tier1 import ActiveManagers, Tier1, connect
from lab.manager.host import Settings
from lab.manager.samples import make_blueprint, make_wagon, pack, plugin_yaml
from tests.lab.filled import VERSIONS, Filled

CANARY = "canary-31d0-value"


@pytest.fixture(params=VERSIONS)
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Filled]:
    """A manager of each version in turn."""
    with Filled(tmp_path, request.param) as found:
        yield found


def plugin(folder: Path, padding_bytes: int = 3_000_000) -> dict[str, str]:
    yaml = folder / "plugin.yaml"
    yaml.write_text(plugin_yaml())
    return {"wagon": str(make_wagon(folder, padding_bytes=padding_bytes)), "yaml": str(yaml)}


def test_an_upload_that_is_cut_is_begun_again(filled: Filled, tmp_path: Path) -> None:
    filled.manager.fault("cut", path="/plugins$", method="POST", times=2, after_bytes=1_000_000)
    assert filled.outcomes({"plugins": [plugin(tmp_path)]}) == ["created"]
    assert len(filled.client.plugins.list()) == 1


def test_an_answer_that_is_cut_does_not_make_a_blueprint_twice(filled: Filled, tmp_path: Path) -> None:
    path = make_blueprint(tmp_path, "shop")
    filled.manager.fault("broken-json", path="/blueprints/shop$", method="PUT", times=1)
    report = filled.fill({"blueprints": [{"path": str(path)}]})
    assert report.good, report.table()
    assert len(filled.client.blueprints.list()) == 1


def test_a_manager_that_fails_for_a_while_is_asked_again(filled: Filled) -> None:
    filled.manager.fault("500", path="/secrets", times=5)
    secrets = [{"key": f"key-{number}", "string": CANARY} for number in range(6)]
    report = filled.fill({"secrets": secrets})
    assert [row.outcome.value for row in report.rows] == ["created"] * 6


def test_a_manager_that_keeps_failing_is_reported_without_a_secret(filled: Filled) -> None:
    filled.manager.fault("500", path="/secrets/", times=10_000)
    report = filled.fill({"secrets": [{"key": "one", "string": CANARY}]})
    failure = report.failure()
    assert isinstance(failure, TryAgainLater)
    assert "500" in str(failure)
    assert CANARY not in str(failure)
    assert CANARY not in "\n".join(filled.log.lines)


def test_a_wrong_password_is_tried_once_and_not_by_every_thread(filled: Filled) -> None:
    access = replace(filled.access, password=Secret("wrong"))
    wanted = parse_resources({"secrets": [{"key": f"key-{n}", "string": "x"} for n in range(20)]})
    with connect([filled.manager.ip], access, filled.version, filled.relay, clock=filled.clock) as tier1:
        filler = ResourceFiller(tier1, filled.relay, clock=filled.clock)
        with pytest.raises(AccessRefused, match="manager_admin_password"):
            filler.fill(wanted)
    # An account is locked after four failures; ours still opens.
    assert filled.outcomes({"secrets": [{"key": "key-0", "string": "x"}]}) == ["created"]


class Counted(ClusterApi):
    """A client that counts how often it was told that the manager is busy."""

    busy = 0
    sent = 0

    def call(self, *arguments: Any, **options: Any) -> Any:
        return self._count(super().call, *arguments, **options)

    def request(self, *arguments: Any, **options: Any) -> Any:
        return self._count(super().request, *arguments, **options)

    @staticmethod
    def _count(send: Any, *arguments: Any, **options: Any) -> Any:
        with LOCK:
            Counted.sent += 1
        try:
            return send(*arguments, **options)
        except ManagerBusy:
            with LOCK:
                Counted.busy += 1
            raise


LOCK = threading.Lock()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> type[Counted]:
    monkeypatch.setattr(Counted, "busy", 0)
    monkeypatch.setattr(Counted, "sent", 0)
    return Counted


def many_secrets() -> dict[str, Any]:
    return {"secrets": [{"key": f"key-{number}", "string": "x"} for number in range(150)]}


def test_generation_5_is_asked_no_faster_than_it_allows(tmp_path: Path, counted: type[Counted]) -> None:
    with Filled(tmp_path, "7.0.5") as filled, filled.connected(counted) as tier1:
        began = filled.clock.monotonic()
        report = ResourceFiller(tier1, filled.relay, clock=filled.clock).fill(parse_resources(many_secrets()))
        seconds = filled.clock.monotonic() - began
    assert report.good
    assert counted.sent > 150
    assert counted.busy == 0
    assert seconds <= counted.sent / 10 * 1.2


def test_where_others_use_up_the_rate_no_503_reaches_the_user(tmp_path: Path, counted: type[Counted]) -> None:
    with Filled(tmp_path, "7.0.5") as filled:
        # A monitor, a status and another operation, which come from the same address.
        crowd = [filled.connected(counted) for _ in range(3)]
        reports = []

        def fill(tier1: Tier1, number: int) -> None:
            wanted = {"secrets": [{"key": f"key-{number}-{n}", "string": "x"} for n in range(60)]}
            filler = ResourceFiller(tier1, filled.relay, clock=filled.clock)
            reports.append(filler.fill(parse_resources(wanted)))

        threads = [threading.Thread(target=fill, args=(tier1, n)) for n, tier1 in enumerate(crowd)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(240)
        for tier1 in crowd:
            tier1.close()
        filled.clock.sleep(10)  # the crowd's requests count for this one, too
        assert len(filled.client.secrets.list()) == 180
    assert counted.busy > 0, "nobody was told to wait: this test tests nothing"
    assert [report.good for report in reports] == [True] * 3
    assert all(row.outcome.value == "created" for report in reports for row in report.rows)


def test_a_blueprint_that_is_being_parsed_is_waited_for(tmp_path: Path) -> None:
    with Filled(tmp_path, "7.0.5", Settings(blueprint_seconds=30.0)) as filled:
        path = make_blueprint(tmp_path, "shop")
        wanted = {"blueprints": [{"path": str(path)}], "deployments": [{"blueprint_id": "shop"}]}
        assert filled.outcomes(wanted) == ["created", "created"]


def test_one_that_somebody_else_is_uploading_is_waited_for_and_not_sent_again(tmp_path: Path) -> None:
    with Filled(tmp_path, "7.0.5", Settings(blueprint_seconds=30.0)) as filled:
        path = make_blueprint(tmp_path, "shop")
        archive = pack(path, tmp_path / "shop.zip")
        filled.tier1.call(
            lambda api: upload_blueprint(api, "", "shop", archive, path.name, "tenant"), "uploading"
        )
        assert filled.outcomes({"blueprints": [{"path": str(path)}]}) == ["already so"]


def test_members_of_generation_5_stand_in_for_each_other(tmp_path: Path) -> None:
    with Filled(tmp_path, "7.0.5") as filled:
        dead = "127.77.3.1"
        active = ActiveManagers(
            [dead, filled.manager.ip], lambda ip: ClusterApi(ip, filled.access), clock=filled.clock
        )
        with Tier1(active, filled.version, clock=filled.clock) as tier1:
            filler = ResourceFiller(tier1, filled.relay, clock=filled.clock)
            assert filler.fill(parse_resources({"tenants": ["blue"]})).good
