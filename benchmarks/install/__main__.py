"""`cfy install` of 1, 3 and 4 machines, in one run: what ours adds, and that machines go side by side.

    python -m benchmarks.install [--install-seconds 10]

The lab's `cfy_manager install` takes a known time, everything else of the lab none; what is left is ours and
the engine's. Beside it stands `cfy install` of as many nodes that do nothing: the engine's. The exit code is
0 when three members cost less than the bar and four machines take less than twice as long as one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.results import Row, add_options, finish
from lab.clock import RealClock
from lab.local_profile import LocalProfile
from lab.settings import LabSettings
from lab.testing import LabThread

BAR_SECONDS = 10.0
SIDE_BY_SIDE = 2.0


def measure(folder: Path, machines: int, install_seconds: float) -> float:
    """Install a cluster and return how long `cfy` took, its own start included."""
    folder.mkdir()
    settings = LabSettings(install_seconds=install_seconds)
    with LabThread(folder / "lab", machines=machines, settings=settings, clock=RealClock()) as lab:
        profile = LocalProfile.create(folder / "tier2")
        inputs = profile.write_inputs({**lab.inputs(), "poll_interval_seconds": 0.2})
        began = time.monotonic()
        result = profile.run(
            "install",
            "hosts_blueprint.yaml",
            "-b",
            "bench",
            "-i",
            str(inputs),
            "--task-thread-pool-size",
            "8",
        )
        seconds = time.monotonic() - began
    if result.returncode != 0:
        raise SystemExit(f"cfy install failed:\n{result.stdout}")
    return seconds


# As many node instances as a cluster of three has, in the same order, and nothing to do for any of them.
_NOTHING = """
tosca_definitions_version: cloudify_dsl_1_3
imports: [http://www.getcloudify.org/spec/cloudify/6.3.1/types.yaml]
node_templates:
  first: {type: cloudify.nodes.Root}
  host: &many
    type: cloudify.nodes.Root
    capabilities: {scalable: {properties: {default_instances: 3}}}
    relationships: [{type: cloudify.relationships.depends_on, target: first}]
  manager:
    <<: *many
    relationships: [{type: cloudify.relationships.depends_on, target: host}]
  cluster: &one
    type: cloudify.nodes.Root
    relationships: [{type: cloudify.relationships.depends_on, target: manager}]
  agents:
    <<: *one
    relationships: [{type: cloudify.relationships.depends_on, target: cluster}]
  resources:
    <<: *one
    relationships: [{type: cloudify.relationships.depends_on, target: agents}]
"""


def measure_engine(folder: Path) -> float:
    """Install nodes that do nothing, and return how long `cfy` took."""
    profile = LocalProfile.create(folder)
    (profile.blueprint_folder / "nothing.yaml").write_text(_NOTHING)
    began = time.monotonic()
    result = profile.run("install", "nothing.yaml", "-b", "bench", "--task-thread-pool-size", "8")
    if result.returncode != 0:
        raise SystemExit(f"cfy install of nothing failed:\n{result.stdout}")
    return time.monotonic() - began


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.install")
    parser.add_argument("--install-seconds", type=float, default=10.0)
    add_options(parser)
    options = parser.parse_args()
    install_seconds = options.install_seconds
    with tempfile.TemporaryDirectory(prefix="cmom-bench-") as folder:
        engine = measure_engine(Path(folder) / "engine")
        taken = {count: measure(Path(folder) / str(count), count, install_seconds) for count in (1, 3, 4)}
    for count, seconds in taken.items():
        ours = seconds - install_seconds
        print(f"{count} machines: {seconds:5.1f} s, of which ours {ours:.1f} s")
    ratio = taken[4] / taken[1]
    print(f"four machines take {ratio:.2f} times as long as one")
    ours = taken[3] - install_seconds
    beside = f"`cfy install` of as many nodes that do nothing {engine:.1f} s"
    rows = [
        Row(
            what="overhead of `cfy install`, 3 members",
            bar=f"under {BAR_SECONDS:g} s",
            ratio=f"{ours / engine:.1f} times the engine alone",
            measured=f"{ours:.1f} s beside the {install_seconds:g} s that the installation itself takes",
            beside=beside,
            held=ours < BAR_SECONDS,
        ),
        Row(
            what="4 members side by side",
            bar=f"under {SIDE_BY_SIDE:g} times one",
            ratio=f"{ratio:.2f} times one",
            measured=f"{taken[4]:.1f} s",
            beside=f"one {taken[1]:.1f} s",
            held=ratio < SIDE_BY_SIDE,
        ),
    ]
    return finish(rows, options)


if __name__ == "__main__":
    sys.exit(main())
