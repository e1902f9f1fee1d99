"""`get_status` of a cluster of three, one of which is black-holed: its packets are swallowed, none refused.

    python -m benchmarks.status

The cluster is installed on the lab with the real `cfy`, and asked with it: `cfy`'s own start is in the
figures. Beside it stand the same with all members well, and curl asking the black-holed member, which waits
for as long as it is let. The exit code is 0 when the answer came within the bar, whether the leader or a
replica was cut off.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.results import Row, add_options, finish
from lab.clock import RealClock
from lab.local_profile import LocalProfile
from lab.machine import Machine
from lab.settings import LabSettings
from lab.testing import LabThread

DEPLOYMENT = "bench"
BAR_SECONDS = 8.0
CURL_SECONDS = 20
_CURL_TIMED_OUT = 28


class Asked:
    """A cluster that can be asked how it is."""

    def __init__(self, lab: LabThread, folder: Path) -> None:
        self.lab = lab
        self.profile = LocalProfile.create(folder)
        inputs = self.profile.write_inputs({**lab.inputs(), "poll_interval_seconds": 0.2})
        words = ("install", "hosts_blueprint.yaml", "-b", DEPLOYMENT, "-i", str(inputs))
        self._cfy(*words, "--task-thread-pool-size", "8")

    def _cfy(self, *words: str) -> None:
        done = self.profile.run(*words)
        if done.returncode:
            raise SystemExit(f"cfy {' '.join(words[:2])}: {done.stdout}")

    def status(self) -> tuple[float, dict[str, Any]]:
        """Ask; return the seconds it took and the status."""
        began = time.monotonic()
        self._cfy("executions", "start", "get_status", "-b", DEPLOYMENT)
        seconds = time.monotonic() - began
        (properties,) = self.profile.runtime_properties(DEPLOYMENT, "cloudify_cluster")
        return seconds, properties["status"]

    def without(self, machine: Machine) -> tuple[float, float]:
        """Black-hole a member; return the seconds of our status, and those that curl waited."""
        self.lab.partition(machine.name, "all")
        try:
            seconds, status = self.status()
            if status["condition"] not in ("degraded", "down"):
                raise SystemExit(f"the status does not say that {machine.name} is out of reach: {status}")
            words = [
                "curl",
                "--silent",
                "--insecure",
                "--max-time",
                str(CURL_SECONDS),
                f"https://{machine.ip}:{machine.rest_port}/",
            ]
            began = time.monotonic()
            ended = subprocess.run(words, check=False, capture_output=True).returncode
            if ended != _CURL_TIMED_OUT:
                raise SystemExit(f"{machine.name} swallows nothing: curl ended with {ended}")
            return seconds, time.monotonic() - began
        finally:
            self.lab.heal_partition(machine.name)


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.status")
    add_options(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cmom-bench-") as name:
        folder = Path(name)
        settings = LabSettings.instant()
        with LabThread(folder / "lab", machines=3, settings=settings, clock=RealClock()) as lab:
            asked = Asked(lab, folder / "tier2")
            well, status = asked.status()
            leader = next(row["host_ip"] for row in status["cluster_status"] if row["state"] == "leader")
            machines = sorted(lab.machines, key=lambda one: one.ip == leader)
            seconds = {}
            for kind, machine in (("replica", machines[0]), ("leader", machines[-1])):
                seconds[kind], curl = asked.without(machine)
                print(f"{kind} black-holed: {seconds[kind]:.1f} s; curl waited {curl:.0f} s", flush=True)
                asked.status()  # which must find all of them back
    worst = max(seconds.values())
    row = Row(
        what="`get_status`, one member of three black-holed, `cfy`'s start included",
        bar=f"under {BAR_SECONDS:g} s",
        ratio=f"{worst / well:.1f} times a status with all well",
        measured=f"replica {seconds['replica']:.1f} s, leader {seconds['leader']:.1f} s",
        beside=f"all well {well:.1f} s; curl to the black-holed member: nothing in {curl:.0f} s",
        held=worst < BAR_SECONDS,
    )
    return finish([row], options)


if __name__ == "__main__":
    sys.exit(main())
