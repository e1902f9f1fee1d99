"""What exactly goes to a manager: bodies that each generation understands, and none that it would misread."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cmom.clients.snapshots import RestoreOptions, SnapshotOptions
from cmom.errors import ManagerRefused, UnexpectedAnswer
from cmom.models import ManagerAccess, Secret, Version
from cmom.services.tier1 import Tier1, connect_alone
from tests.lab.rest import shared_ca
from tests.lab.wire import RawServer, answer

EXECUTION = {"id": "execution-1", "workflow_id": "create_snapshot", "status": "pending"}


class Recorder:
    """Takes requests down, with their bodies, and answers all of them the same."""

    def __init__(self, folder: Path) -> None:
        self.answers: list[bytes] = []
        self.default = answer(json.dumps(EXECUTION).encode(), status="201 Created")
        self.bodies: list[bytes] = []
        self.server = RawServer(folder, shared_ca(), self._answer, ip="127.77.1.10")

    def _answer(self, connection: ssl.SSLSocket, head: bytes) -> None:
        _, _, body = head.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head, re.IGNORECASE)
        chunked = b"Transfer-Encoding: chunked" in head
        while (length and len(body) < int(length.group(1))) or (chunked and not body.endswith(b"0\r\n\r\n")):
            body += connection.recv(65536)
        self.bodies.append(body)
        connection.sendall(self.answers.pop(0) if self.answers else self.default)

    @property
    def lines(self) -> list[str]:
        """The first line of each request."""
        return [head.split(b" HTTP")[0].decode() for head in self.server.requests]

    def connect(self, version: str) -> Tier1:
        access = ManagerAccess("admin", Secret("password"), str(shared_ca()[0]), self.server.port)
        return connect_alone(self.server.ip, access, Version.parse(version))


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    made = Recorder(tmp_path / "server")
    with made.server:
        yield made


def ask(recorder: Recorder, version: str, question: Callable[[Any], Any]) -> Any:
    # Generation 4 is told that it made something by 201, and of a restore by 200.
    with recorder.connect(version) as tier1:
        return tier1.call(question, "asking", wait_seconds=0.0)


@pytest.mark.parametrize("version", ["4.3.0", "4.6.0", "7.0.5"])
def test_a_snapshot_is_asked_for_in_the_words_of_its_generation(recorder: Recorder, version: str) -> None:
    options = SnapshotOptions(include_metrics=True, include_credentials=False, include_events=False)

    execution = ask(recorder, version, lambda api: api.create_snapshot("mine", options))

    assert execution.id == "execution-1"
    assert recorder.lines == ["PUT /api/v3.1/snapshots/mine"]
    body = json.loads(recorder.bodies[0])
    wanted = {"include_credentials": False, "include_logs": True, "include_events": False, "queue": False}
    assert {name: body[name] for name in wanted} == wanted
    assert body.get("include_metrics") is (True if version.startswith("4") else None)


@pytest.mark.parametrize("version", ["4.3.0", "4.6.0", "7.0.5"])
def test_a_restore_is_asked_for_in_the_words_of_its_generation(recorder: Recorder, version: str) -> None:
    recorder.default = answer(json.dumps(EXECUTION).encode())
    options = RestoreOptions(deployment_environments=False, force=True, certificates=True, reboot=False)

    ask(recorder, version, lambda api: api.restore_snapshot("mine", options))

    assert recorder.lines == ["POST /api/v3.1/snapshots/mine/restore"]
    body = json.loads(recorder.bodies[0])
    common = {
        "force": True,
        "restore_certificates": True,
        "no_reboot": True,
        "ignore_plugin_failure": False,
    }
    more = {"recreate_deployments_envs": False, "timeout": 300} if version.startswith("4") else {}
    assert body == {**common, **more}


def test_an_upload_goes_in_chunks_and_is_whole(recorder: Recorder, tmp_path: Path) -> None:
    path = tmp_path / "mine.zip"
    path.write_bytes(b"0123456789" * 100_000)
    recorder.default = answer(json.dumps({"id": "mine", "status": "uploaded"}).encode(), status="201 Created")

    ask(recorder, "4.6.0", lambda api: api.upload_snapshot("mine", path))

    assert recorder.lines == ["PUT /api/v3.1/snapshots/mine/archive"]
    assert b"Transfer-Encoding: chunked" in recorder.server.requests[0]
    pieces = re.findall(rb"[0-9a-f]+\r\n((?:0123456789)*[0-9]*)\r\n", recorder.bodies[0])
    assert b"".join(pieces) == path.read_bytes()


def test_an_upload_that_is_answered_with_nothing_in_it_was_none(recorder: Recorder, tmp_path: Path) -> None:
    path = tmp_path / "mine.zip"
    path.write_bytes(b"content")
    recorder.default = answer(json.dumps({"id": None, "status": None}).encode(), status="201 Created")

    with pytest.raises(ManagerRefused, match="has a snapshot mine already"):
        ask(recorder, "7.0.5", lambda api: api.upload_snapshot("mine", path))


@pytest.mark.parametrize(("version", "kill"), [("4.3.0", False), ("4.6.0", True)])
def test_a_manager_is_not_asked_for_states_that_it_does_not_know(
    recorder: Recorder, version: str, kill: bool
) -> None:
    page = {"items": [], "metadata": {"pagination": {"total": 0, "offset": 0, "size": 1000}}}
    recorder.default = answer(json.dumps(page).encode())

    assert ask(recorder, version, lambda api: api.list_active_executions()) == ()

    (line,) = recorder.lines
    assert "status=started" in line
    assert "_all_tenants=True" in line
    assert "_include_system_workflows=True" in line
    assert ("kill_cancelling" in line) == kill


def test_an_answer_that_names_no_execution_is_said_to_be_odd(recorder: Recorder) -> None:
    recorder.default = answer(b"{}", status="201 Created")
    with pytest.raises(Exception, match="named no execution") as error:
        ask(recorder, "4.6.0", lambda api: api.create_snapshot("mine", SnapshotOptions()))
    assert isinstance(error.value.__cause__, UnexpectedAnswer) or isinstance(error.value, UnexpectedAnswer)
