"""The demo of the meta plugin: two clusters, one of which dies, and the fleet as it is seen.

`make demo-meta` runs it as `make demo` runs its own: the real ``cfy`` in its local profile, machines of the
lab, all of it in the folder ``.demo``; `make demo-down` removes it.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import yaml

from lab.demo_stage import (
    FOLDER,
    INSTALL_TIMEOUT_SECONDS,
    DemoFailed,
    perform,
    run_cfy,
    run_lab,
    say,
    start_lab,
    step,
    take_down,
    write_environment,
)
from lab.local_profile import LocalProfile

META = "meta"
CLUSTERS = ("north", "south")
MACHINES = 4
MEMBERS = MACHINES // len(CLUSTERS)
# The first cluster's machines, as the lab calls them.
KILLED = ("m1", "m2")
STATUS_TIMEOUT = "deployment_timeout=60"
NEXT_STEPS = """
  . .demo/env                                        puts cfy on the path, with the demo's state
  python -m lab start m1 --folder .demo/lab          switches a machine on again; m2 too
  cfy executions start get_status -b meta            looks at the fleet again
  cfy deployments outputs -b meta                    shows all of what was seen
  cfy executions start fleet_execute -b meta -p workflow_id=list_backups
  make demo-down                                     stops everything and removes it"""


def write_inputs(profile: LocalProfile) -> dict[str, str]:
    """Deal the lab's machines out to the clusters; return the inputs file of each."""
    given: dict[str, Any] = yaml.safe_load((FOLDER / "lab" / "inputs.yaml").read_text(encoding="utf-8"))
    files = {}
    for number, name in enumerate(CLUSTERS):
        hosts = given["hosts"][number * MEMBERS : (number + 1) * MEMBERS]
        own = {**given, "hosts": hosts, "num_of_instances": MEMBERS}
        files[name] = str(profile.write_inputs(own, f"{name}.yaml"))
    return files


def start(profile: LocalProfile, workflow: str, *parameters: str) -> None:
    """Run a workflow of the meta deployment."""
    words = [word for one in parameters for word in ("-p", one)]
    run_cfy(profile, "executions", "start", workflow, "-b", META, *words, timeout_seconds=300)


def show_fleet(profile: LocalProfile) -> dict[str, str]:
    """Print the fleet as a table; return the condition of each cluster that answered."""
    found = profile.runtime_properties(META, "meta_manager")
    status = (found[0] if found else {}).get("status") or {"summary": {}, "clusters": []}
    summary = status["summary"]
    shown = ("clusters", "fresh", "conditions", "no_answer", "need_somebody", "being_healed")
    for name in shown:
        say(f"  {name:14} {summary.get(name)}")
    say()
    for row in status["clusters"]:
        seen = "now" if row["fresh"] else f"{row['problem']}, last known {row['age_seconds']} s ago"
        say(f"  {row['deployment_id']:8} {row['condition']:9} ({seen}) {row['detail']}")
    return {row["deployment_id"]: row["condition"] for row in status["clusters"] if row["fresh"]}


def expect(seen: dict[str, str], wanted: dict[str, str]) -> None:
    """Hold what is seen against what has to be.

    Raises:
        DemoFailed: They differ.
    """
    if seen != wanted:
        raise DemoFailed(f"The fleet is {seen}, where it has to be {wanted}.")


def up() -> None:
    """Install the clusters, attach them, kill one, and show the fleet before and after."""
    began = time.monotonic()
    if FOLDER.exists():
        step("Taking the last demo down")
        take_down()
    step(f"Starting {MACHINES} machines of the lab, on loopback addresses (simulated: see docs/lab.md)")
    FOLDER.mkdir(mode=0o700)
    start_lab(MACHINES)
    profile = LocalProfile.create(FOLDER)

    for name, inputs in write_inputs(profile).items():
        step(f"Installing the cluster {name}: {MEMBERS} managers")
        install = ("install", "hosts_blueprint.yaml", "-b", name, "-i", inputs)
        run_cfy(profile, *install, "--task-thread-pool-size", "8", timeout_seconds=INSTALL_TIMEOUT_SECONDS)

    step("Making a fleet of the clusters")
    run_cfy(profile, "install", "meta_blueprint.yaml", "-b", META)
    for name in CLUSTERS:
        start(profile, "add_deployment", f"deployment_id={name}")

    step("Which of them needs me?")
    start(profile, "get_status", STATUS_TIMEOUT)
    expect(show_fleet(profile), dict.fromkeys(CLUSTERS, "ready"))

    step(f"Cutting the power of all machines of {CLUSTERS[0]}")
    for machine in KILLED:
        run_lab("kill", machine)

    step("Which of them needs me now?")
    start(profile, "get_status", STATUS_TIMEOUT)
    expect(show_fleet(profile), {CLUSTERS[0]: "down", CLUSTERS[1]: "ready"})
    write_environment(profile)
    step(
        f"The dead one stands first, the other answers (done in {time.monotonic() - began:.0f} s). What next?"
    )
    say(NEXT_STEPS)


if __name__ == "__main__":
    sys.exit(perform(up, "make demo-meta"))
