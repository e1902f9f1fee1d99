"""Ten thousand members at ten seconds, on one core: CPU, memory, lateness, false suspects.

    python -m benchmarks.monitor [--members 10000] [--interval 10] [--seconds 120]

The exit code is 0 when it took less than one core and 500 MB, and nobody was suspect.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import resource
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass

from benchmarks.monitor.fleet import GREETING, MemoryTier2, greeter
from benchmarks.results import Row, add_options, finish
from cmom.monitor.config import Config, LocalTier2, WebSettings
from cmom.monitor.fleet import WatchedMember
from cmom.monitor.metrics import Metrics
from cmom.monitor.pulse import Times
from cmom.monitor.verdict import State
from cmom.monitor.watch import Monitor

MOST_MEGABYTES = 500
CURLS = 100
# REST is not asked: TLS for as many simulated managers would be the benchmark of the simulation.
_NEVER_SECONDS = 1e9


@dataclass(frozen=True)
class Watched:
    """What it took."""

    cores: float
    megabytes: float
    looks_a_second: float
    suspects: int


class Lateness(Metrics):
    """Also remembers the largest lateness, and how often members were heard."""

    def __init__(self) -> None:
        super().__init__()
        self.largest_seconds = 0.0
        self.looks = 0

    def late(self, seconds: float) -> None:
        """Note it."""
        super().late(seconds)
        self.largest_seconds = max(self.largest_seconds, seconds)
        self.looks += 1


async def watch(members: int, interval_seconds: float, seconds: float, port: int) -> Watched:
    """Watch for some time, and say what it took."""
    tier2 = MemoryTier2(members, port, interval_seconds)
    config = Config(
        tier2=LocalTier2("/nowhere"),  # type: ignore[arg-type]
        times=Times(interval_seconds=interval_seconds),
        rest_interval_seconds=_NEVER_SECONDS,
        web=WebSettings(port=0),
    )
    metrics = Lateness()
    logger = logging.getLogger("benchmark")
    monitor = Monitor(config, tier2, metrics, logger)
    bad: set[str] = set()
    running = asyncio.create_task(monitor.run())
    await asyncio.sleep(interval_seconds * 1.5)  # everybody was heard once
    metrics.largest_seconds, metrics.looks = 0.0, 0
    before = resource.getrusage(resource.RUSAGE_SELF)
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() - began < seconds:
        await asyncio.sleep(5.0)
        bad |= {name(one) for one in monitor.fleet.members() if one.verdict.state is not State.HEALTHY}
    took = loop.time() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    states = Counter(one.verdict.state.value for one in monitor.fleet.members())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    cores = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / took
    megabytes = after.ru_maxrss / 1024
    print(f"members {members}, every {interval_seconds:g} s, for {took:.0f} s")
    print(f"looks: {metrics.looks / took:.0f} a second")
    print(f"CPU: {cores:.2f} of a core")
    print(f"memory: {megabytes:.0f} MB at most")
    print(f"largest lateness of a heartbeat: {metrics.largest_seconds:.2f} s")
    print(f"members by state at the end: {dict(states)}; suspects on the way: {len(bad)}")
    return Watched(cores, megabytes, metrics.looks / took, len(bad))


def curl_seconds(port: int) -> float:
    """Return how much of the processor one curl needs that listens to a greeting as the monitor does."""
    before = os.times()
    for number in range(CURLS):
        words = ["curl", "--silent", "--max-time", "5", f"telnet://127.100.0.{1 + number % 254}:{port}"]
        done = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        if GREETING.strip() not in done.stdout:
            raise SystemExit(f"curl did not hear the greeting: {done.returncode} {done.stdout!r}")
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used / CURLS


def name(member: WatchedMember) -> str:
    """Tell members apart."""
    return f"{member.key.cluster} {member.key.instance_id}"


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--interval", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=120.0)
    add_options(parser)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    with greeter() as port:
        each = curl_seconds(port)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        found = asyncio.run(watch(options.members, options.interval, options.seconds, port))
    ours = found.cores / found.looks_a_second
    row = Row(
        what=f"monitor, {options.members} members every {options.interval:g} s, SSH greetings",
        bar=f"under one core, under {MOST_MEGABYTES} MB, no false suspect",
        ratio=f"{each / ours:.0f} times less of the processor than curl",
        measured=f"{found.cores:.2f} of a core, {found.megabytes:.0f} MB, {found.suspects} false suspects",
        beside=f"a curl for each greeting: {each * 1e3:.1f} ms of the processor, ours {ours * 1e3:.2f} ms; "
        f"so it would take {each * found.looks_a_second:.1f} cores",
        held=found.cores < 1.0 and found.megabytes < MOST_MEGABYTES and not found.suspects,
    )
    return finish([row], options)


if __name__ == "__main__":
    sys.exit(main())
