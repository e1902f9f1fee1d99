"""What is different in generation 5, as the real REST client sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cloudify_rest_client.exceptions import CloudifyClientError

from lab.manager import samples
from lab.manager.host import Settings
from lab.manager.standalone import StandaloneManager
from tests.lab.rest import connect, manager_of, refused, served

# The real client forgets to close the archives it uploads.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[StandaloneManager]:
    settings = Settings(blueprint_seconds=3, status_settle_seconds=10, rate_limit=False)
    with manager_of(tmp_path / "m", "7.0.5", settings, name="tier-one") as running:
        yield running


@pytest.fixture
def client(manager: StandaloneManager) -> Any:
    return connect(manager)


def test_a_blueprint_goes_through_its_states(client: Any, manager: StandaloneManager, tmp_path: Path) -> None:
    main = samples.make_blueprint(tmp_path, file_name="main.yaml")
    client.blueprints.upload(str(main), "sample", async_upload=True, visibility="private")
    seen = []
    for _ in range(4):
        blueprint = client.blueprints.get("sample")
        seen.append(blueprint.state)
        manager.advance(1)
    assert seen == ["uploading", "extracting", "parsing", "uploaded"]
    assert (blueprint.main_file_name, blueprint["visibility"]) == ("main.yaml", "private")
    execution = client.executions.get(blueprint.upload_execution["id"])
    assert (execution.workflow_id, execution.status) == ("upload_blueprint", "terminated")
    assert [item["id"] for item in client.executions.list()] == []


@pytest.mark.parametrize(
    ("content", "state"),
    [("a: [", "failed_parsing"), ("tosca_definitions_version: cloudify_dsl_1_4", "invalid")],
)
def test_a_bad_blueprint_stays_with_its_reason_and_can_be_replaced(
    client: Any, manager: StandaloneManager, tmp_path: Path, content: str, state: str
) -> None:
    path = samples.make_blueprint(tmp_path, content=content)
    client.blueprints.upload(str(path), "sample", async_upload=True)
    with refused(409, "conflict_error"):
        client.blueprints.upload(str(path), "sample", async_upload=True)
    manager.advance(3)
    blueprint = client.blueprints.get("sample")
    assert blueprint.state == state
    assert "Invalid blueprint" in blueprint["error"]
    with refused(404, "not_found_error"):
        client.deployments.create("sample", "dep")
    good = samples.make_blueprint(tmp_path, "good")
    client.blueprints.upload(str(good), "sample", async_upload=True)
    manager.advance(3)
    assert client.blueprints.get("sample").state == "uploaded"


def test_a_synchronous_upload_of_a_bad_blueprint_is_a_400_and_the_record_stays(
    tmp_path: Path,
) -> None:
    with manager_of(tmp_path / "m", "7.0.5") as manager:
        client = connect(manager)
        with refused(400, "invalid_blueprint_error"):
            client.blueprints.upload(str(samples.make_blueprint(tmp_path, content="x")), "bad")
        assert client.blueprints.get("bad").state == "invalid"


def test_a_blueprint_comes_from_a_url(client: Any, manager: StandaloneManager, tmp_path: Path) -> None:
    samples.pack(samples.make_blueprint(tmp_path), tmp_path / "b.zip")
    with served(tmp_path) as url:
        client.blueprints.publish_archive(f"{url}/b.zip", "sample", async_upload=True)
    manager.advance(3)
    assert client.blueprints.get("sample").state == "uploaded"


def test_status_and_cluster_status(client: Any, manager: StandaloneManager) -> None:
    assert client.cluster_status.get_status()["status"] == "Fail"
    with pytest.raises(CloudifyClientError) as caught:
        client.cluster_status.get_status(summary_format=True)
    assert caught.value.status_code == 500
    manager.advance(10)
    status = client.cluster_status.get_status()
    assert (status["status"], set(status["services"])) == ("OK", {"broker", "db", "manager"})
    assert status["services"]["db"]["nodes"] == {}
    node = status["services"]["manager"]["nodes"]["tier-one"]
    assert (node["private_ip"], node["version"], node["failures"]) == (manager.ip, "7.0.5", [])
    service = node["services"]["Manager REST"]["extra_info"]["supervisord"]
    assert service["instances"][0]["state"] == "running"
    assert client.cluster_status.get_status(summary_format=True) == {"status": "OK", "services": {}}
    plain = client.manager.get_status()
    assert plain["services"]["Webserver"]["status"] == "Active"


def test_members_are_listed(client: Any, manager: StandaloneManager) -> None:
    (only,) = client.manager.get_managers()
    assert (only["hostname"], only["private_ip"], only["edition"]) == (
        "tier-one",
        manager.ip,
        "premium",
    )
    assert len(client.manager.get_brokers()) == 1
    assert len(client.manager.get_db_nodes()) == 0


def test_there_is_no_cluster_of_generation_4(client: Any) -> None:
    with refused(404, None, "Not Found"):
        client.secrets.api.get("/cluster")


def test_tokens_are_made_used_listed_and_revoked(client: Any, manager: StandaloneManager) -> None:
    token = client.tokens.create(description="mine")
    bearer = connect(manager, username=None, password=None, token=token.value)
    assert bearer.manager.get_version()["version"] == "7.0.5"
    (listed,) = client.tokens.list()
    assert (listed.id, listed.value == token.value) == (token.id, False)
    client.tokens.delete(token.id)
    with refused(401, "unauthorized_error"):
        bearer.manager.get_version()


def test_who_asks_too_fast_is_told_to_come_later(tmp_path: Path) -> None:
    with manager_of(tmp_path, "7.0.5") as manager, requests.Session() as session:
        session.auth = ("admin", manager.password)
        url = f"https://{manager.ip}:{manager.port}/api/v3.1/version"

        def ask(**headers: str) -> int:
            answer = session.get(url, timeout=60, verify=str(manager.ca_cert), headers=headers)
            return answer.status_code

        assert [ask() for _ in range(35)] == [200] * 31 + [503] * 4
        assert ask(**{"Execution-Token": "x"}) == 200
        manager.advance(1)
        assert [ask() for _ in range(12)] == [200] * 10 + [503] * 2


def test_a_refusal_by_the_limit_is_a_page(tmp_path: Path) -> None:
    with manager_of(tmp_path, "7.0.5") as manager:
        client = connect(manager)
        for _ in range(31):
            client.manager.get_version()
        with refused(503, None, "503 Service Temporarily"):
            client.manager.get_version()
