"""The page and the metrics over HTTP, and the page in a browser."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cmom.errors import ActionRequired
from cmom.monitor import page
from cmom.monitor.config import Config, LocalTier2, WebSettings
from cmom.monitor.fleet import Refusal
from cmom.monitor.metrics import Metrics
from cmom.monitor.tier2 import ClusterKey
from cmom.monitor.tier2_local import LocalProfile
from cmom.monitor.verdict import State, Verdict
from cmom.monitor.watch import Monitor
from cmom.monitor.web import serving
from lab.manager.standalone import LoopThread
from lab.ports import free_port
from tests.lab.given_watched import eventually
from tests.unit.cmom.monitor.given_fleet import deployment, inventory

EVIL = "<b onclick=evil()>O'Neill & sons</b>"
LOGGER = logging.Logger("tests.web")
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="needs the Debian packages chromium and chromium-driver"
)
PHONE = (360, 740)


class Site:
    """A monitor that watches nobody, and its page."""

    def __init__(self, folder: Path, thread: LoopThread, address: str = "127.0.0.1") -> None:
        self._thread = thread
        self._settings = WebSettings(address, 0)
        tier2 = LocalTier2(folder)
        self.metrics = Metrics()
        self.monitor = Monitor(Config(tier2), LocalProfile(tier2), self.metrics, LOGGER, clock=time.monotonic)
        self.port = 0
        self._stop = asyncio.Event()
        self._done: Any = None

    def __enter__(self) -> Site:
        self._done = asyncio.run_coroutine_threadsafe(self._serve(), self._thread.loop)
        eventually(lambda: self.port or self._done.done(), "the site")
        if self._done.done():
            self._done.result()
        return self

    async def _serve(self) -> None:
        async with serving(self._settings, self.monitor, self.metrics, LOGGER) as port:
            self.port = port
            await self._stop.wait()

    def __exit__(self, *_: object) -> None:
        self._thread.loop.call_soon_threadsafe(self._stop.set)
        self._done.result(30)

    def show(self, **changes: Any) -> None:
        """Let the fleet be one cluster."""
        self.monitor.fleet.update(inventory(deployment(**changes)), 0.0)

    def ask(self, path: str = "/", method: str = "GET") -> tuple[int, dict[str, str], str]:
        """Ask it; return status, headers and body."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read().decode()


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    """An event loop beside the test."""
    found = LoopThread()
    yield found
    found.close()


@pytest.fixture
def site(tmp_path: Path, thread: LoopThread) -> Iterator[Site]:
    """The site, with one cluster to show."""
    with Site(tmp_path, thread) as found:
        found.show()
        yield found


def test_the_page_and_the_metrics_are_there(site: Site) -> None:
    status, headers, body = site.ask()
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "m1 (10.0.0.21)" in body
    status, headers, body = site.ask("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert 'cmom_monitor_members{state="starting"} 3.0' in body
    assert site.ask(method="HEAD")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/metrics"])
def test_nothing_can_be_changed(site: Site, method: str, path: str) -> None:
    status, headers, _ = site.ask(path, method)
    assert status == 405
    assert headers["Allow"] == "GET,HEAD"


@pytest.mark.parametrize("path", ["/favicon.ico", "/metrics/", "/../etc/passwd", "/?x=1/.."])
def test_there_is_nothing_else(site: Site, path: str) -> None:
    assert site.ask(path)[0] == (200 if path.startswith("/?") else 404)


def test_a_browser_is_told_to_load_nothing(site: Site) -> None:
    _, headers, _ = site.ask()
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline'; ")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_it_is_bound_to_loopback_unless_told_otherwise(site: Site) -> None:
    assert WebSettings().address == "127.0.0.1"
    with socket.socket() as probe:
        probe.settimeout(5)
        # Every address in 127.0.0.0/8 is this machine's, but only one is listened on.
        assert probe.connect_ex(("127.0.0.2", site.port)) != 0


def test_an_address_that_is_not_ours_is_said(tmp_path: Path, thread: LoopThread) -> None:
    with (
        pytest.raises(ActionRequired, match=r"cannot be served on 192\.0\.2\.1"),
        Site(tmp_path, thread, "192.0.2.1"),
    ):
        pass


class Browser:
    """A headless Chromium, by the WebDriver protocol.

    Args:
        port: Of its driver.
        session: Of the browser.
    """

    def __init__(self, port: int, session: str) -> None:
        self._url = f"http://127.0.0.1:{port}/session/{session}"

    def open(self, url: str) -> None:
        """Go to a page."""
        call(f"{self._url}/url", {"url": url})

    def run(self, script: str) -> Any:
        """Run a script in it, and return what it returns."""
        return call(f"{self._url}/execute/sync", {"script": script, "args": []})

    def quit(self) -> None:
        """End it."""
        call(self._url, None, "DELETE")


def call(url: str, body: Any, method: str = "POST") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read())["value"]


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Run one, the size of a phone."""
    port = free_port(["127.0.0.1"])
    assert DRIVER is not None
    log = (folder / "driver.log").open("wb")
    driver = subprocess.Popen([DRIVER, f"--port={port}"], stdout=log, stderr=subprocess.STDOUT)
    width, height = PHONE
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--no-first-run", "--disable-dev-shm-usage"]
    flags += [
        "--disable-default-apps",
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},{height}",
    ]
    emulation = {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 2.0, "mobile": True}}
    options = {"binary": BROWSER, "args": flags, "mobileEmulation": emulation}
    try:
        eventually(lambda: is_up(port), "the driver")
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        found = Browser(port, call(f"http://127.0.0.1:{port}/session", wanted)["sessionId"])
        try:
            yield found
        finally:
            found.quit()
    finally:
        driver.terminate()
        driver.wait(30)
        log.close()


def is_up(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@needs_browser
def test_in_a_browser_it_is_readable_on_a_phone_and_refreshes_by_itself(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "REFRESH_SECONDS", 1)
    site.show(name=EVIL, properties={"status": {"condition": "degraded", "reason": "x" * 300}})
    member = site.monitor.fleet.clusters[ClusterKey("default_tenant", EVIL)].members["manager_1"]
    with browser(tmp_path) as chromium:
        chromium.open(f"http://127.0.0.1:{site.port}/")
        assert chromium.run("return document.title") == "cmom"
        assert EVIL in chromium.run("return document.body.innerText")
        assert chromium.run("return document.querySelectorAll('b').length") == 0
        assert chromium.run("return document.querySelectorAll('li').length") == 3
        # Nothing is wider than the phone, no letter is too small to read, and nothing was fetched beside it.
        assert chromium.run("return window.innerWidth") == PHONE[0]
        assert chromium.run("return document.documentElement.scrollWidth") <= PHONE[0]
        every = "[...document.querySelectorAll('body *')]"
        sizes = chromium.run(f"return {every}.map(e => parseFloat(getComputedStyle(e).fontSize))")
        assert min(sizes) >= 12
        fetched = chromium.run("return performance.getEntriesByType('resource').map(e => e.name)")
        assert [name for name in fetched if not name.endswith("/favicon.ico")] == []
        member.verdict = Verdict(State.FAILED, "Silent for 61 s.")
        member.refused = (Refusal("interval", "It was healed a moment ago."),)
        eventually(lambda: chromium.run("return document.title") == "1 failed - cmom", "the page being fresh")
        text = chromium.run("return document.body.innerText")
        assert "Silent for 61 s." in text
        assert "Not healed (interval): It was healed a moment ago." in text
