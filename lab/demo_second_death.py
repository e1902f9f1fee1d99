"""The demo of a second death: another machine loses its power while the first one is healed.

`make demo-second-death` installs a cluster of generation 5, whose databases and brokers need a majority, and
heals by hand what it kills, as somebody would who has no monitor. The second machine dies when the database
and the broker of the first one are back: then two of three live, and the cluster works on.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lab import demo
from lab.children import ChildFailed, end, remember
from lab.control import LabControl
from lab.demo import DEPLOYMENT, check_cluster
from lab.demo_stage import (
    FOLDER,
    HEAL_PID_FILE,
    DemoFailed,
    Program,
    perform,
    run_cfy,
    run_lab,
    say,
    step,
)
from lab.local_profile import LocalProfile

GENERATION = 5
HEALED_SECONDS = 300.0
MISSED_SECONDS = 60.0
LOOK_SECONDS = 3.0
GRACE_SECONDS = 5.0
# What the heal says when the database and the broker of its member are back.
MANAGER_IS_NEXT = "cfy_manager install -c /etc/cloudify/cmom-manager.yaml"
HEALED = "is a working member again"
REFUSED_BECAUSE = "another_heal"
NEXT_STEPS = """
  . .demo/env                                   puts cfy on the path, with the demo's state
  cfy deployments outputs -b demo               shows the cluster and the history of its heals
  make demo-heal                                kills the leader, and lets the monitor heal it
  make demo-down                                stops everything and removes it"""


def heal_words(instance_id: str, *more: str) -> tuple[str, ...]:
    """Return what ``cfy`` is told to heal a member."""
    return (
        "executions",
        "start",
        "heal_tier1_manager",
        "-b",
        DEPLOYMENT,
        "-p",
        f"node_instance_id={instance_id}",
        *more,
    )


@contextmanager
def heal_in_background(profile: LocalProfile, instance_id: str) -> Iterator[Program]:
    """Heal a member while the demo goes on."""
    words = heal_words(instance_id, "--task-retries", "60", "--task-retry-interval", "15")
    say(f"$ cfy {' '.join(words)} &")
    process = profile.start(*words, stdout=subprocess.PIPE)
    remember(process, HEAL_PID_FILE)
    try:
        yield Program(process, "heal")
    finally:
        end(process, GRACE_SECONDS)


def members(profile: LocalProfile) -> list[tuple[str, str]]:
    """Return the lab's name of each member's machine, and the ID of its node instance; the leader first."""
    cluster = properties(profile)
    machines = {row.ip: row.name for row in LabControl(FOLDER / "lab").status()}
    found = {
        one["runtime_properties"]["public_ip"]: one["id"]
        for one in profile.node_instances(DEPLOYMENT)
        if one["node_id"] == "manager"
    }
    master = cluster["cluster_ips"]["Master"]
    return [(machines[ip], found[ip]) for ip in sorted(found, key=lambda ip: ip != master)]


def properties(profile: LocalProfile) -> dict[str, Any]:
    """Return what the deployment remembers of the cluster."""
    (found,) = profile.runtime_properties(DEPLOYMENT, "cloudify_cluster")
    return found


def expect_refusal(profile: LocalProfile, instance_id: str) -> None:
    """Try to heal a member, and show why that is refused.

    Raises:
        DemoFailed: It is not, or for another reason.
    """
    try:
        run_cfy(profile, *heal_words(instance_id, "--task-retries", "0"))
    except ChildFailed:
        refusal = properties(profile)["heal_history"][-1]
        if REFUSED_BECAUSE not in refusal["reasons"]:
            raise DemoFailed(f"It was refused for another reason: {refusal['message']}") from None
    else:
        raise DemoFailed("It was not refused.")


def wait_until_missed(profile: LocalProfile, instance_id: str) -> None:
    """Look at the cluster until it works without one of its members, and says so.

    For some seconds the others still see the dead one, and when it led, nobody leads.

    Raises:
        DemoFailed: It takes too long.
    """
    (ip,) = [
        one["runtime_properties"]["ip"]
        for one in profile.node_instances(DEPLOYMENT)
        if one["id"] == instance_id
    ]
    deadline = time.monotonic() + MISSED_SECONDS
    while time.monotonic() < deadline:
        run_cfy(profile, "executions", "start", "get_status", "-b", DEPLOYMENT)
        status = properties(profile)["status"]
        states = {row["state"] for row in status["cluster_status"] if row["host_ip"] == ip}
        say(f'"condition": "{status["condition"]}"')
        if status["condition"] == "degraded" and "active" not in states:
            return
        time.sleep(LOOK_SECONDS)
    raise DemoFailed(f"The cluster does not work without {ip} after {MISSED_SECONDS:.0f} s.")


def show() -> None:
    """Kill two machines, one after the other, and show what follows."""
    demo.up(GENERATION)
    profile = LocalProfile.create(FOLDER)
    began = time.monotonic()
    (first, first_id), (second, second_id), _ = members(profile)

    step(f"Cutting the power of {first}; in some seconds the others miss it")
    run_lab("kill", first)
    wait_until_missed(profile, first_id)
    step(f"Healing {first}")
    with heal_in_background(profile, first_id) as heal:
        heal.wait_for(MANAGER_IS_NEXT, HEALED_SECONDS)
        step(f"The database and the broker of {first} are back; cutting the power of {second}")
        run_lab("kill", second)
        step(f"Healing {second}, too, is refused: one after the other")
        expect_refusal(profile, second_id)
        step("The cluster works on, without it")
        wait_until_missed(profile, second_id)
        step(f"What the heal of {first} has said meanwhile, and how it ends")
        heal.wait_for(HEALED, HEALED_SECONDS)
        heal.wait_for("workflow execution succeeded", HEALED_SECONDS)

    step(f"Now it is {second}'s turn")
    run_cfy(profile, *heal_words(second_id), timeout_seconds=HEALED_SECONDS)
    run_cfy(profile, "executions", "start", "get_status", "-b", DEPLOYMENT)
    check_cluster(profile)
    for entry in properties(profile)["heal_history"]:
        say(f"  {entry['outcome']:8} {entry['member']} {', '.join(entry.get('reasons') or [])}")
    step(f"The cluster is complete again (done in {time.monotonic() - began:.0f} s). What next?")
    say(NEXT_STEPS)


if __name__ == "__main__":
    sys.exit(perform(show, "make demo-second-death"))
