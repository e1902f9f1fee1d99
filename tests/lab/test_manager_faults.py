"""Faults on the wire, as whoever talks to a manager meets them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from lab.manager.standalone import StandaloneManager
from tests.lab.rest import manager_of, wait_until


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneManager]:
    with manager_of(tmp_path_factory.mktemp("m"), "4.6.0") as running:
        yield running


@pytest.fixture
def manager(shared: StandaloneManager) -> Iterator[StandaloneManager]:
    yield shared

    async def clear() -> None:
        shared.machine.faults.clear()

    shared.thread.run(clear())


def get(manager: StandaloneManager, path: str = "/status", timeout: float = 60) -> requests.Response:
    return requests.get(
        f"https://{manager.ip}:{manager.port}/api/v3.1{path}",
        timeout=timeout,
        verify=str(manager.ca_cert),
        auth=("admin", manager.password),
    )


@pytest.mark.parametrize(("kind", "words"), [("500", "Internal Server Error"), ("503", "nginx")])
def test_an_error_is_nginxs_own_page(manager: StandaloneManager, kind: str, words: str) -> None:
    manager.fault(kind)
    answer = get(manager)
    assert (answer.status_code, words in answer.text) == (int(kind), True)
    assert answer.headers["Content-Type"].startswith("text/html")


def test_a_fault_hits_the_call_it_is_meant_for(manager: StandaloneManager) -> None:
    manager.fault("500", path="/status$", method="get", nth=2)
    assert [get(manager, "/version").status_code, get(manager).status_code] == [200, 200]
    assert [get(manager).status_code, get(manager).status_code] == [500, 200]


def test_refused_is_no_answer_at_all(manager: StandaloneManager) -> None:
    manager.fault("refuse")
    with pytest.raises(requests.ConnectionError):
        get(manager)


def test_hanging_is_silence(manager: StandaloneManager) -> None:
    manager.fault("hang", times=1)
    with pytest.raises(requests.Timeout):
        get(manager, timeout=0.5)
    assert get(manager).status_code == 200


def test_slow_answers_when_its_time_has_come(manager: StandaloneManager) -> None:
    manager.fault("slow", seconds=30)
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(get(manager).status_code))
    thread.start()
    clock = manager.machine.clock
    wait_until(lambda: clock.sleepers > 0)  # type: ignore[attr-defined]
    assert answers == []
    manager.advance(31)
    thread.join(60)
    assert answers == [200]


def test_broken_json_is_a_200_that_cannot_be_read(manager: StandaloneManager) -> None:
    manager.fault("broken-json")
    answer = get(manager)
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_a_cut_answer_ends_in_its_middle(manager: StandaloneManager) -> None:
    whole = len(get(manager).content)
    manager.fault("cut", after_bytes=whole - 10)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        get(manager)


def test_a_call_that_hangs_does_not_keep_others_waiting(manager: StandaloneManager) -> None:
    manager.fault("hang", path="/status")
    with pytest.raises(requests.Timeout):
        get(manager, timeout=0.3)
    started = time.monotonic()
    assert get(manager, "/version").status_code == 200
    assert time.monotonic() - started < 30


def test_a_silent_call_ends_when_the_other_side_goes(manager: StandaloneManager) -> None:
    async def handlers() -> int:
        return sum("RequestHandler.start" in repr(task) for task in asyncio.all_tasks())

    wait_until(lambda: manager.thread.run(handlers()) == 0)
    manager.fault("hang", path="/status")
    with pytest.raises(requests.Timeout):
        get(manager, timeout=0.5)
    wait_until(lambda: manager.thread.run(handlers()) == 0)


class BrokenSettings:
    """Settings that cannot be read."""

    @property
    def edition(self) -> str:
        raise ValueError("broken on purpose")


def test_a_bug_of_the_lab_is_a_500_as_a_manager_writes_it(
    manager: StandaloneManager, caplog: pytest.LogCaptureFixture
) -> None:
    settings, manager.machine.settings = manager.machine.settings, BrokenSettings()  # type: ignore[assignment]
    try:
        answer = get(manager, "/version")
    finally:
        manager.machine.settings = settings
    assert (answer.status_code, answer.json()["error_code"]) == (500, "internal_server_error")
    assert "broken on purpose" in caplog.text


def test_a_connection_that_was_being_made_when_the_power_went_is_not_served(tmp_path: Path) -> None:
    with manager_of(tmp_path, "4.6.0") as manager:
        context = ssl.create_default_context(cafile=str(manager.ca_cert))
        with socket.create_connection((manager.ip, manager.port), timeout=10) as waiting:
            manager.thread.run(asyncio.sleep(0.05))  # for it to be accepted
            manager.kill()
            with contextlib.suppress(OSError):
                speaking = context.wrap_socket(waiting, server_hostname=manager.ip)
                with speaking:
                    speaking.sendall(b"GET /api/v3.1/version HTTP/1.1\r\nHost: manager\r\n\r\n")
                    assert speaking.recv(1) == b""
