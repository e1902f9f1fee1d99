"""The demo: a cluster of three Tier 1 managers from one command, on machines of the lab.

`make demo` runs the main job as a user would: the real ``cfy``, in its local profile, installs
``hosts_blueprint.yaml``. Only the machines and the managers on them are the lab's.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from lab.demo_stage import (
    FOLDER,
    INSTALL_TIMEOUT_SECONDS,
    DemoFailed,
    perform,
    run_cfy,
    say,
    start_lab,
    step,
    take_down,
    write_environment,
)
from lab.local_profile import LocalProfile
from lab.materials import VERSIONS

DEPLOYMENT = "demo"
MEMBERS = 3
NEXT_STEPS = """
  . .demo/env                                   puts cfy on the path, with the demo's state
  cfy executions start get_status -b demo       looks at the cluster again
  cfy deployments outputs -b demo               shows what was seen
  python -m lab status --folder .demo/lab       the machines
  python -m lab kill m1 --folder .demo/lab      cuts the power of one; then get_status again
  make demo-heal                                kills the leader, and shows how it is healed
  make demo-down                                stops everything and removes it"""


def faults_of(status: Any, ips: Any) -> list[str]:
    """Compare the two outputs with what a whole cluster has; return what is missing.

    Args:
        status: The output ``cluster_status``.
        ips: The output ``cluster_ips``.
    """
    status = status if isinstance(status, dict) else {}
    ips = ips if isinstance(ips, dict) else {}
    members = status.get("cluster_status") or []
    services = any("service" in member for member in members)  # generation 5 has a row for each
    states = sorted(str(member.get("state")) for member in members)
    faults = []
    expected = ["active"] * 3 * MEMBERS if services else ["leader", *["replica"] * (MEMBERS - 1)]
    if states != expected:
        faults.append(f"the members are {', '.join(states) or 'none'}")
    checks = ("status",) if services else ("database", "consul")
    for member in members:
        for check in (*checks, "cloudify services", "heartbeat"):
            if member.get(check) != "OK":
                faults.append(f"{check} of {member.get('name')} is {member.get(check)}")
    if not ips.get("Master") or len(ips.get("Slaves") or []) != MEMBERS - 1:
        faults.append(f"cluster_ips is {ips}")
    if status.get("error"):
        faults.append(f"the error is {status['error']}")
    return faults


def check_cluster(profile: LocalProfile) -> None:
    """Hold what the outputs show against what the demo promises.

    Raises:
        DemoFailed: It is not three members, one leader, two replicas (in generation 5: a database, a broker
            and a manager on each), every check OK.
    """
    found = profile.runtime_properties(DEPLOYMENT, "cloudify_cluster")
    properties = found[0] if found else {}
    faults = faults_of(properties.get("status"), properties.get("cluster_ips"))
    if faults:
        raise DemoFailed(f"The cluster is not whole: {'; '.join(faults)}.")


def up(generation: int = 4) -> None:
    """Start the lab, install the cluster, show its outputs.

    Args:
        generation: Of the managers that are installed.

    Raises:
        DemoFailed: A step failed; what was made is left as it is, to be looked at.
    """
    began = time.monotonic()
    if FOLDER.exists():
        step("Taking the last demo down")
        take_down()
    step(f"Starting {MEMBERS} machines of the lab, on loopback addresses (simulated: see docs/lab.md)")
    FOLDER.mkdir(mode=0o700)
    version = VERSIONS[generation]
    start_lab(MEMBERS, "--version", version)
    profile = LocalProfile.create(FOLDER)
    inputs = FOLDER / "lab" / "inputs.yaml"

    step(f"Installing Cloudify Manager {version} on them and clustering them, with the real cfy (a minute)")
    install = ("install", "hosts_blueprint.yaml", "-b", DEPLOYMENT, "-i", str(inputs))
    run_cfy(profile, *install, "--task-thread-pool-size", "8", timeout_seconds=INSTALL_TIMEOUT_SECONDS)

    step("Asking the cluster how it is")
    run_cfy(profile, "executions", "start", "get_status", "-b", DEPLOYMENT)

    step("What the deployment says of itself")
    run_cfy(profile, "deployments", "outputs", "-b", DEPLOYMENT)
    check_cluster(profile)
    write_environment(profile)
    step(f"A cluster of {MEMBERS} managers runs (done in {time.monotonic() - began:.0f} s). What next?")
    say(NEXT_STEPS)


def down() -> None:
    """Take it down, and say so."""
    take_down()
    say("The demo is down: no process and no file of it is left.")


def add_generation(parser: argparse.ArgumentParser) -> None:
    """Let a demo be told which managers to install."""
    parser.add_argument("--generation", type=int, choices=sorted(VERSIONS), default=4)


def main() -> int:
    """Run ``python -m lab.demo up|down [--generation 5]`` and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description="Set up or take down the demo.")
    parser.add_argument("what", choices=["up", "down"])
    add_generation(parser)
    options = parser.parse_args()
    if options.what == "down":
        return perform(down, "make demo-down")
    return perform(lambda: up(options.generation), "make demo")


if __name__ == "__main__":
    sys.exit(main())
