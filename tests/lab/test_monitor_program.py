"""The program cmom-monitor, as a process: what it prints, how it ends, and that killing it loses nothing."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cmom.services import activity
from lab.ports import free_port
from tests.lab.given_watched import PASSWORD, Watched, eventually

ENVIRONMENT = {"PYTHONWARNINGS": "ignore::DeprecationWarning"}


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A cluster that is watched."""
    with Watched(tmp_path) as found:
        yield found


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [sys.executable, "-m", "cmom.monitor", *arguments],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class Program:
    """It, while it runs.

    Args:
        folder: For its log.
        arguments: Of the program.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._log = folder / f"monitor-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cmom.monitor", *arguments],
                env={**os.environ, **ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text(errors="replace")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it has said something."""

        def found() -> re.Match[str] | None:
            assert self.process.poll() is None, self.log
            return re.search(pattern, self.log)

        match = eventually(found, f"{pattern} in the log")
        assert isinstance(match, re.Match)
        return match

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """End it with a signal; return its exit code, and how long that took."""
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(60)
        return code, time.monotonic() - began


@contextmanager
def running(watched: Watched, folder: Path, *arguments: str, **changes: Any) -> Iterator[Program]:
    """Run it on a profile."""
    program = Program(folder, "--config", str(watched.write_config(**changes)), *arguments)
    try:
        yield program
    finally:
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait()
    assert PASSWORD not in program.log


def all_healthy(program: Program) -> None:
    for number in (1, 2, 3):
        program.wait_for(f"manager-{number} .* is healthy")


def test_once_looks_at_everybody_once_and_tells(watched: Watched) -> None:
    config = str(watched.write_config(heartbeat={"timeout_seconds": 20.0}))
    (cluster,) = watched.clusters
    done = run("--config", config, "--once")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    assert all("  heard  (SSH: SSH-2.0-" in line for line in done.stdout.splitlines())
    watched.lab.kill(cluster.machines[1].name)
    cluster.change(cluster.instance_of(cluster.machines[2]), state="deleted", runtime_properties={})
    done = run("--config", config, "--once")
    assert done.returncode == 1
    assert "silent  (SSH: connection refused; REST: connection refused)" in done.stdout
    assert "not installed (deleted)" in done.stdout
    assert watched.heals == []


def test_what_it_cannot_work_with_is_said_in_a_sentence(tmp_path: Path) -> None:
    done = run("--config", str(tmp_path / "none.yaml"))
    assert (done.returncode, "cannot be read: No such file" in done.stderr) == (2, True)
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text("tier2: {kind: cloud}\nweb: {port: x}\n")
    done = run("--config", str(faulty))
    assert done.returncode == 2
    assert "faults in the inputs" in done.stderr
    assert "web.port: must be a number" in done.stderr
    assert "Traceback" not in done.stderr


def test_once_says_when_tier_2_cannot_be_read(tmp_path: Path) -> None:
    config = tmp_path / "monitor.yaml"
    (tmp_path / ".cloudify/profiles/local").mkdir(parents=True)
    (tmp_path / ".cloudify/profiles/local/deployments").write_text("not a folder")
    config.write_text(f"tier2: {{kind: local, workdir: {tmp_path}}}\n")
    done = run("--config", str(config), "--once")
    assert (done.returncode, "cannot be read: Not a directory" in done.stderr) == (2, True)


def test_a_port_that_is_taken_is_said_and_ends_it(watched: Watched, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("--config", str(watched.write_config(web={"port": taken.getsockname()[1]})))
    assert done.returncode == 2
    assert "cannot be served on 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_sigterm_ends_it_at_once_also_while_it_waits_for_the_dead(watched: Watched, tmp_path: Path) -> None:
    with running(watched, tmp_path, heartbeat={"timeout_seconds": 60.0}) as program:
        all_healthy(program)
        for machine in watched.lab.machines:
            watched.lab.partition(machine.name, "all")
        time.sleep(1.0)
        code, seconds = program.end()
        assert code == 0
        assert seconds < 10
        assert "cmom-monitor ends" in program.log
        assert "Traceback" not in program.log
        assert "never" not in program.log


def test_the_heal_goes_on_when_the_monitor_ends_and_no_second_one_is_started(
    watched: Watched, tmp_path: Path
) -> None:
    (cluster,) = watched.clusters
    watched.hold_heals()
    for number in (signal.SIGKILL, signal.SIGTERM):
        with running(watched, tmp_path) as program:
            if not watched.heals:
                all_healthy(program)
                watched.lab.kill(cluster.machines[1].name)
            program.wait_for("started heal_tier1_manager|is not healed .another_heal")
            time.sleep(1.0)
            program.end(number)
    folder = activity.deployment_folder(watched.deployments, cluster.name)
    assert activity.is_healing(folder)
    assert len(watched.heals) == 1
    watched.finish_heals()
    eventually(lambda: not activity.is_healing(folder), "the end of the heal")
    with running(watched, tmp_path) as program:
        program.wait_for("is not healed .interval")
    assert len(watched.heals) == 1


def test_it_serves_its_page_and_its_metrics(watched: Watched, tmp_path: Path) -> None:
    port = free_port(["127.0.0.1"])
    with running(watched, tmp_path, "--dry-run", web={"port": port}) as program:
        all_healthy(program)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
            page = answer.read().decode()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            metrics = answer.read().decode()
    assert "manager-1" in page
    assert "This is a dry run" in page
    assert 'cmom_monitor_members{state="healthy"} 3.0' in metrics
    assert PASSWORD not in page + metrics
    assert "_created" not in metrics
    assert "is below what is good" in program.log or "sooner than is good" in program.log


def test_systemd_is_told_that_it_is_ready_and_alive(watched: Watched, tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(60)
        ENVIRONMENT.update(NOTIFY_SOCKET=path, WATCHDOG_USEC="600000")
        try:
            with running(watched, tmp_path) as program:
                told = [sock.recv(100) for _ in range(4)]
                assert {b"READY=1", b"WATCHDOG=1"} == set(told)
                program.end()
        finally:
            del ENVIRONMENT["NOTIFY_SOCKET"], ENVIRONMENT["WATCHDOG_USEC"]
        sock.settimeout(5)
        while sock.recv(100) != b"STOPPING=1":
            pass
