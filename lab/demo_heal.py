"""The demo of watching and healing: the leader's machine loses its power, and the monitor has it healed.

`make demo-heal` uses the cluster of `make demo` when that runs, of whatever generation, and sets one up when
not. The monitor runs as in the field, with its usual numbers: suspect after 30 seconds of silence, failed
after 60 if the others miss it, too.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from lab import demo
from lab.children import end, remember
from lab.control import LabControl
from lab.daemon import process_start_time
from lab.demo import DEPLOYMENT, check_cluster
from lab.demo_stage import (
    FOLDER,
    HEAL_PID_FILE,
    MONITOR_PID_FILE,
    DemoFailed,
    Program,
    perform,
    run_cfy,
    run_lab,
    say,
    step,
)
from lab.folder import LabFolder
from lab.local_profile import LocalProfile
from lab.network import AddressTakenError, check_free
from lab.ports import free_port

READY_SECONDS = 60.0
HEALED_SECONDS = 600.0
GRACE_SECONDS = 5.0
# Where the monitor has its page unless told otherwise.
MONITOR_IP = "127.0.0.1"
USUAL_PORT = 9188
# Of what cfy_manager says, one by one, about the twenty services that it installs.
INSTALLER_CHATTER = "] - NOTICE - "
# What the monitor says, in the order in which it has to.
MILESTONES = (
    ("the first heartbeat is missed", "missed a heartbeat"),
    ("suspect", "is suspect"),
    ("the second witness: its peers miss it, too", "second witness: Its peers miss it"),
    ("failed", "has failed"),
    ("the heal is started", "started heal_tier1_manager"),
    ("the heal has succeeded", "has succeeded"),
)
NEXT_STEPS = """
  . .demo/env                                   puts cfy on the path, with the demo's state
  cfy deployments outputs -b demo               shows the cluster and the history of its heals
  python -m cmom.monitor --config .demo/monitor.yaml      watches on, and shows the page again
  make demo-heal                                kills the leader once more
  make demo-down                                stops everything and removes it"""


@dataclass
class Timeline:
    """When what was said, in seconds since the power was cut."""

    began: float = field(default_factory=time.monotonic)
    reached: dict[str, float] = field(default_factory=dict)

    def note(self, line: str) -> None:
        """Look whether a line is a milestone."""
        for name, words in MILESTONES:
            if words in line:
                self.reached.setdefault(name, time.monotonic() - self.began)

    def show(self) -> None:
        """Print it."""
        say("   0 s  the power of the leader is cut")
        for name, seconds in self.reached.items():
            say(f"{seconds:4.0f} s  {name}")


@contextmanager
def monitor(profile: LocalProfile) -> Iterator[Program]:
    """Run the monitor on the demo's deployment."""
    try:
        port = USUAL_PORT
        check_free([MONITOR_IP], port)
    except AddressTakenError:
        port = free_port([MONITOR_IP])
    config = FOLDER / "monitor.yaml"
    cfy = str(Path(sys.executable).parent / "cfy")
    tier2 = {"kind": "local", "workdir": str(profile.folder / "state"), "cfy": cfy, "refresh_seconds": 3}
    config.write_text(yaml.safe_dump({"tier2": tier2, "web": {"port": port}}), encoding="utf-8")
    words = [sys.executable, "-m", "cmom.monitor", "--config", str(config)]
    process = subprocess.Popen(
        words,
        env=profile.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    remember(process, MONITOR_PID_FILE)
    try:
        yield Program(process, "monitor")
    finally:
        process.terminate()
        end(process, GRACE_SECONDS)


def leader_of(profile: LocalProfile) -> tuple[str, str]:
    """Return the address of the leader as the last get_status saw it, and the ID of its node instance."""
    (cluster,) = profile.runtime_properties(DEPLOYMENT, "cloudify_cluster")
    address = cluster["cluster_ips"]["Master"]
    for instance in profile.node_instances(DEPLOYMENT):
        if instance["node_id"] == "manager" and instance["runtime_properties"]["public_ip"] == address:
            return address, instance["id"]
    raise DemoFailed(f"The leader {address} is none of the deployment's managers.")


def running_demo() -> LocalProfile | None:
    """Return the profile of a demo that runs and whose leader was not healed before; None for none.

    The same member is healed once in ten minutes only, and the demo is not to wait for that.
    """
    if LabFolder(FOLDER / "lab").process() is None or not (FOLDER / "env").exists():
        return None
    profile = LocalProfile.create(FOLDER)
    if not (profile.storage / DEPLOYMENT).is_dir():
        return None
    run_cfy(profile, "executions", "start", "get_status", "-b", DEPLOYMENT)
    check_cluster(profile)
    _, instance_id = leader_of(profile)
    executions = json.loads((profile.storage / DEPLOYMENT / "executions.json").read_text(encoding="utf-8"))
    healed = {one["parameters"].get("node_instance_id") for one in executions if "heal" in one["workflow_id"]}
    return None if instance_id in healed else profile


def follow_heal(started: str) -> None:
    """Show what the heal does, from its log."""
    pid, path = re.search(r"process (\d+), which writes (\S+\.log)", started).groups()  # type: ignore[union-attr]
    HEAL_PID_FILE.write_text(f"{pid} {process_start_time(int(pid))}", encoding="ascii")

    def read() -> None:
        with open(path, encoding="utf-8", errors="replace") as log:
            while True:
                line = log.readline()
                if not line:
                    if not process_start_time(int(pid)):
                        return
                    time.sleep(0.2)
                elif " LOG <" in line and INSTALLER_CHATTER not in line:
                    say(f"     heal: {line.rstrip()}")

    threading.Thread(target=read, daemon=True).start()


def show(generation: int) -> None:
    """Kill the leader, and show what follows.

    Args:
        generation: Of the managers, where no demo runs yet.

    Raises:
        DemoFailed: A step failed; what was made is left as it is, to be looked at.
    """
    profile = running_demo()
    if profile is None:
        demo.up(generation)
        profile = LocalProfile.create(FOLDER)
    address, _ = leader_of(profile)

    step("Starting the monitor on it")
    with monitor(profile) as watching:
        watching.wait_for(f"Watching {demo.MEMBERS} members", READY_SECONDS)
        # Who was never heard is given time to begin, so everybody is to be heard first.
        for _ in range(demo.MEMBERS):
            watching.wait_for("is healthy", READY_SECONDS)
        (machine,) = [row.name for row in LabControl(FOLDER / "lab").status() if row.ip == address]
        step(
            f"Cutting the power of the leader's machine, {machine} ({address}); it takes a minute to be sure"
        )
        timeline = Timeline()
        run_lab("kill", machine)
        for line in watching.lines(HEALED_SECONDS):
            timeline.note(line)
            if "started heal_tier1_manager" in line:
                follow_heal(line)
            if "the heal of" in line:
                break
    if MILESTONES[-1][0] not in timeline.reached:
        raise DemoFailed("The heal did not succeed; the monitor's last line says why, and where its log is.")

    step("What the deployment says of itself")
    run_cfy(profile, "executions", "start", "get_status", "-b", DEPLOYMENT)
    run_cfy(profile, "deployments", "outputs", "-b", DEPLOYMENT)
    check_cluster(profile)
    step("What happened when")
    timeline.show()
    step("The cluster is complete again, with another leader. What next?")
    say(NEXT_STEPS)


def main() -> int:
    """Run ``python -m lab.demo_heal [--generation 5]`` and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.demo_heal", description="Kill the leader of the demo."
    )
    demo.add_generation(parser)
    generation: int = parser.parse_args().generation
    return perform(lambda: show(generation), "make demo-heal")


if __name__ == "__main__":
    sys.exit(main())
