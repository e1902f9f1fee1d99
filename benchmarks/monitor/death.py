"""How soon after a death its heal begins, with the monitor's usual numbers and in real time.

    python -m benchmarks.monitor.death [--how kill|partition] [--times 1]

A cluster of three is installed on the lab with the real `cfy`, and watched by the real `cmom-monitor`. Then
a machine dies, and the time runs until the workflow of its heal does: until it holds the lock of heals.
Each time another member dies, so this takes up to four minutes for each. The exit code is 0 when every heal
began 60 to 85 seconds after the death.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from benchmarks.results import Row, add_options, finish
from lab.clock import RealClock
from lab.daemon import ControlServer
from lab.local_profile import LocalProfile
from lab.machine import Machine
from lab.materials import rebuild_command
from lab.settings import LabSettings
from lab.testing import LabThread

DEPLOYMENT = "cluster"
NOT_BEFORE_SECONDS, BAR_SECONDS = 60.0, 85.0
PATIENCE_SECONDS = 300.0
INTERVAL_SECONDS = 10.0


def is_locked(path: Path) -> bool:
    """Tell whether a process holds the lock of a file alone, without taking it: by the kernel's own list."""
    if not path.exists():
        return False
    inode = path.stat().st_ino
    locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return any(f":{inode} " in line and "WRITE" in line for line in locks)


def wait_for(condition: Callable[[], object], what: str) -> float:
    """Wait until something is true; return the seconds that took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise SystemExit(f"{what} did not come true")
        time.sleep(0.05)
    return time.monotonic() - began


def measure(lab: LabThread, profile: LocalProfile, log: Path, machine: Machine, how: str) -> float:
    """Let a machine die; return the seconds until its heal began, and let it end."""
    # At any moment of the interval.
    time.sleep(random.uniform(0.0, INTERVAL_SECONDS))
    heal_lock = profile.storage / DEPLOYMENT / "workdir" / "heal.lock"
    seen = len(log.read_text())
    if how == "kill":
        lab.kill(machine.name)
    else:
        lab.partition(machine.name, "all")
    seconds = wait_for(lambda: is_locked(heal_lock), f"the heal of {machine.name}")
    # The new machine is no longer cut off.
    wait_for(lambda: machine.manager is None, "the rebuild of the machine")
    lab.heal_partition(machine.name)
    wait_for(lambda: "the heal of" in log.read_text()[seen:], "the end of the heal")
    return seconds


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--how", choices=["kill", "partition"], default="kill")
    parser.add_argument("--times", type=int, choices=[1, 2, 3], default=1)
    add_options(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cmom-benchmark-") as name:
        folder = Path(name)
        settings = LabSettings.instant()
        with LabThread(folder / "lab", settings=settings, clock=RealClock()) as lab:
            control = ControlServer(lab.lab)
            server = lab.run(control.serve)
            found = run(lab, folder, options.how, options.times)
            lab.call(server.close)
    print(f"{options.how}: the heal began {', '.join(f'{one:.1f}' for one in found)} s after the death")
    row = Row(
        what=f"death of a member ({options.how}) to the start of its heal",
        bar=f"from {NOT_BEFORE_SECONDS:g} to {BAR_SECONDS:g} s",
        ratio=f"{max(found) / NOT_BEFORE_SECONDS:.2f} times the silence that is demanded",
        measured=", ".join(f"{one:.1f} s" for one in found),
        beside=f"{NOT_BEFORE_SECONDS:g} s of silence, before which nobody is given up",
        held=all(NOT_BEFORE_SECONDS <= one <= BAR_SECONDS for one in found),
    )
    return finish([row], options)


def run(lab: LabThread, folder: Path, how: str, times: int) -> list[float]:
    """Install, watch, and measure."""
    profile = LocalProfile.create(folder / "tier2")
    inputs = {
        **lab.inputs(),
        "rebuild_command": rebuild_command(lab.lab.folder),
        "poll_interval_seconds": 0.5,
    }
    install = ["install", "hosts_blueprint.yaml", "-b", DEPLOYMENT, "-i", str(profile.write_inputs(inputs))]
    done = profile.run(*install, "--task-thread-pool-size", "8")
    if done.returncode:
        raise SystemExit(done.stdout)
    config, log = folder / "monitor.yaml", folder / "monitor.log"
    cfy = str(Path(sys.executable).parent / "cfy")
    tier2 = {"kind": "local", "workdir": str(profile.folder / "state"), "cfy": cfy}
    config.write_text(yaml.safe_dump({"tier2": tier2, "web": {"port": 0}}))
    words = [sys.executable, "-m", "cmom.monitor", "--config", str(config)]
    with log.open("wb") as stream:
        monitor = subprocess.Popen(words, env=profile.environment(), stdout=stream, stderr=stream)
    try:
        wait_for(lambda: log.read_text().count("is healthy") >= 3, "all being healthy")
        return [measure(lab, profile, log, lab.machines[number], how) for number in range(times)]
    finally:
        monitor.terminate()
        monitor.wait()


if __name__ == "__main__":
    sys.exit(main())
