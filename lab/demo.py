"""The demo: a cluster of three Tier 1 managers from one command, on machines of the lab.

`make demo` runs the main job as a user would: the real ``cfy``, in its local profile, installs
``hosts_blueprint.yaml``. Only the machines and the managers on them are the lab's. Everything lies in one
folder, ``.demo``; `make demo-down` stops the lab and removes it.
"""

from __future__ import annotations

import argparse
import fcntl
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from lab.children import ChildFailed, end_remembered, remember, watch
from lab.core import FIRST_HOST, LabConfig
from lab.local_profile import PROJECT, LocalProfile
from lab.provision import remove_disk

FOLDER = PROJECT / ".demo"
CFY_PID_FILE = FOLDER / "cfy.pid"
# Of what `make demo-heal` starts, and of what that starts in turn.
MONITOR_PID_FILE = FOLDER / "monitor.pid"
HEAL_PID_FILE = FOLDER / "heal.pid"
DEPLOYMENT = "demo"
MEMBERS = 3
# The Tier 1 that is installed, by generation.
VERSIONS = {4: "4.6.0", 5: "7.0.5"}
NEXT_STEPS = """
  . .demo/env                                   puts cfy on the path, with the demo's state
  cfy executions start get_status -b demo       looks at the cluster again
  cfy deployments outputs -b demo               shows what was seen
  python -m lab status --folder .demo/lab       the machines
  python -m lab kill m1 --folder .demo/lab      cuts the power of one; then get_status again
  make demo-heal                                kills the leader, and shows how it is healed
  make demo-down                                stops everything and removes it"""
LAB_TIMEOUT_SECONDS = 120.0
LAB_GRACE_SECONDS = 10.0
INSTALL_TIMEOUT_SECONDS = 900.0
WORKFLOW_TIMEOUT_SECONDS = 120.0


class DemoFailed(Exception):  # noqa: N818 - ends the demo; its text says what went wrong and what to do
    """A step did not end as it has to."""


def say(text: str = "") -> None:
    """Print at once, also into a pipe, so that the order with ``cfy``'s own output is kept."""
    print(text, flush=True)


def step(text: str) -> None:
    """Announce what comes next."""
    say(f"\n==> {text}")


@contextmanager
def only_one() -> Iterator[None]:
    """Let one demo of this checkout run at a time.

    The lock is on this file, so that nothing is left behind, and the system frees it whatever happens.

    Raises:
        DemoFailed: Another one runs.
    """
    with open(__file__, encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFailed(
                "Another `make demo` or `make demo-down` of this checkout runs; wait for it."
            ) from None
        yield


def free_subnet(machines: int = MEMBERS) -> str:
    """Return the first three numbers of addresses that no other lab uses, such as ``127.77.1``.

    Raises:
        DemoFailed: All are taken.
    """
    defaults = LabConfig()
    start = defaults.subnet.rpartition(".")[0]
    for number in range(1, 255):
        subnet = f"{start}.{number}"
        addresses = [f"{subnet}.{FIRST_HOST + machine}" for machine in range(machines)]
        if all(is_free(ip, port) for ip in addresses for port in (defaults.ssh_port, defaults.rest_port)):
            return subnet
    raise DemoFailed(f"All addresses of {start}.* are taken by other labs.")


def is_free(ip: str, port: int) -> bool:
    """Tell whether nobody listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError:
            return False
    return True


def run_lab(*arguments: str, timeout_seconds: float = LAB_TIMEOUT_SECONDS) -> None:
    """Run ``python -m lab ARGUMENTS`` on the demo's lab."""
    words = [sys.executable, "-m", "lab", *arguments, "--folder", str(FOLDER / "lab")]
    process = subprocess.Popen(words, cwd=PROJECT, stdin=subprocess.DEVNULL, start_new_session=True)
    watch(
        process, f"`{shlex.join(['python', *words[1:]])}`", timeout_seconds, grace_seconds=LAB_GRACE_SECONDS
    )


def run_cfy(
    profile: LocalProfile, *arguments: str, timeout_seconds: float = WORKFLOW_TIMEOUT_SECONDS
) -> None:
    """Run ``cfy ARGUMENTS`` and show its output as it comes."""
    line = shlex.join(["cfy", *arguments])
    say(f"$ {line}")
    process = profile.start(*arguments)
    remember(process, CFY_PID_FILE)
    watch(process, f"`{line}`", timeout_seconds)


def take_down() -> None:
    """Stop the lab and remove all that the demo wrote; fine when there is nothing."""
    # Of a demo that was killed by force and could not do it any more.
    for path in (CFY_PID_FILE, MONITOR_PID_FILE, HEAL_PID_FILE):
        end_remembered(path)
    if (FOLDER / "lab").exists():
        run_lab("down")
    remove_disk(FOLDER)


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


def write_environment(profile: LocalProfile) -> None:
    """Write the file to source for going on by hand: ``cfy`` on the path, with the demo's state."""
    own = profile.environment()
    lines = [f"export {name}={shlex.quote(own[name])}" for name in ("CFY_WORKDIR", "PYTHONWARNINGS")]
    lines.append(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"')
    (FOLDER / "env").write_text("\n".join(lines) + "\n", encoding="utf-8")


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
    run_lab("up", "--machines", str(MEMBERS), "--subnet", free_subnet(), "--version", version)
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


def interrupt(_signal: int, _frame: object) -> NoReturn:
    """Treat a polite kill like Ctrl-C."""
    raise KeyboardInterrupt


def add_generation(parser: argparse.ArgumentParser) -> None:
    """Let a demo be told which managers to install."""
    parser.add_argument("--generation", type=int, choices=sorted(VERSIONS), default=4)


def main() -> int:
    """Run ``python -m lab.demo up|down [--generation 5]`` and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description="Set up or take down the demo.")
    parser.add_argument("what", choices=["up", "down"])
    add_generation(parser)
    options = parser.parse_args()
    what = options.what
    signal.signal(signal.SIGTERM, interrupt)
    try:
        with only_one():
            if what == "down":
                take_down()
                say("The demo is down: no process and no file of it is left.")
                return 0
            try:
                up(options.generation)
            except KeyboardInterrupt:
                say("\nInterrupted; taking the demo down.")
                take_down()
                return 130
    except KeyboardInterrupt:
        say("\nInterrupted. `make demo-down` removes what is still there.")
        return 130
    except (DemoFailed, ChildFailed) as failure:
        say(f"\nThe demo failed. {failure}")
        say("`make demo` begins again from nothing; `make demo-down` removes what is there.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
