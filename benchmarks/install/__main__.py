"""`cfy install` of 1, 3 and 4 machines, in one run: what ours adds, and that machines go side by side.

    python -m benchmarks.install [--install-seconds 10]

The lab's `cfy_manager install` takes a known time, everything else of the lab none; what is left is ours and
the engine's. The exit code is 0 when three members cost less than the bar and four machines take less than
twice as long as one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

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


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.install")
    parser.add_argument("--install-seconds", type=float, default=10.0)
    install_seconds = parser.parse_args().install_seconds
    with tempfile.TemporaryDirectory(prefix="cmom-bench-") as folder:
        taken = {count: measure(Path(folder) / str(count), count, install_seconds) for count in (1, 3, 4)}
    for count, seconds in taken.items():
        ours = seconds - install_seconds
        print(f"{count} machines: {seconds:5.1f} s, of which ours {ours:.1f} s")
    ratio = taken[4] / taken[1]
    print(f"four machines take {ratio:.2f} times as long as one")
    good = taken[3] - install_seconds < BAR_SECONDS and ratio < SIDE_BY_SIDE
    bar = f"three members under {BAR_SECONDS:.0f} s of ours, four machines under {SIDE_BY_SIDE:.0f} times one"
    print(f"bar ({bar}): {'held' if good else 'MISSED'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
