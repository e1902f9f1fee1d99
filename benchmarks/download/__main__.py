"""Our download of a snapshot, hashing included, beside curl's of the same file, by turns.

    python -m benchmarks.download [--gigabytes 5] [--rounds 3]

Both bring it from the same manager of the lab over TLS, and both end when it is on the disk. The best round
of each counts. The exit code is 0 when ours takes no more than 1.3 times as long, in less than 100 MB of
memory over what the process had before.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.download.server import SNAPSHOT, running_server
from benchmarks.results import Row, add_options, finish
from benchmarks.served import Served
from cmom.services.snapshots.archive import check_archive, hash_file

RATIO = 1.3
MEMORY_BYTES = 100_000_000
_SECONDS = 1800


def run_curl(server: Served, target: Path) -> dict[str, Any]:
    """Download it with curl; return how long that took."""
    config = [
        f'url = "https://{server.ip}:{server.port}/api/v3.1/snapshots/{SNAPSHOT}/archive"',
        f'user = "admin:{server.password}"',
        'header = "Tenant: default_tenant"',
        f'cacert = "{server.ca_cert}"',
        f'output = "{target}"',
    ]
    words = ["curl", "--silent", "--show-error", "--fail", "--config", "-"]
    began = time.monotonic()
    before = os.times()
    subprocess.run(words, input="\n".join(config), text=True, check=True, timeout=_SECONDS)
    after = os.times()
    synced = time.monotonic()
    with target.open("rb") as file:
        os.fsync(file.fileno())
    ended = time.monotonic()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return {"seconds": ended - began, "sync_seconds": ended - synced, "processor_seconds": used}


def run_ours(server: Served, target: Path) -> dict[str, Any]:
    """Download it with our own code; return what that process says."""
    words = [sys.executable, "-W", "ignore", "-m", "benchmarks.download.ours"]
    words += [server.ip, str(server.port), server.ca_cert, str(target)]
    done = subprocess.run(
        words, input=server.password, text=True, check=True, timeout=_SECONDS, stdout=subprocess.PIPE
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    add_options(parser)
    arguments = parser.parse_args()
    rounds: dict[str, list[dict[str, Any]]] = {"curl": [], "ours": []}
    with tempfile.TemporaryDirectory(prefix="cmom-benchmark-") as name:
        folder = Path(name)
        size_bytes = int(arguments.gigabytes * 1e9)
        with running_server(folder / "server", "127.0.8.3", size_bytes) as server:
            for number in range(arguments.rounds):
                for kind, run in (("curl", run_curl), ("ours", run_ours)):
                    target = folder / f"{kind}.zip"
                    told = run(server, target)
                    rounds[kind].append(told)
                    print(
                        f"round {number + 1}, {kind}: {told['seconds']:.1f} s, of it "
                        f"{told['sync_seconds']:.1f} s for the disk; of the processor "
                        f"{told['processor_seconds']:.1f} s",
                        flush=True,
                    )
                    if kind == "ours" and number == arguments.rounds - 1:
                        if hash_file(target)[0] != told["sha256"]:
                            raise SystemExit("the hash is not that of the file")
                        began = time.monotonic()
                        check_archive(target)
                        print(f"checking the archive afterwards: {time.monotonic() - began:.1f} s")
                    target.unlink()
    best = {kind: min(told["seconds"] for told in listed) for kind, listed in rounds.items()}
    memory_bytes = max(told["memory_bytes"] for told in rounds["ours"])
    ratio = best["ours"] / best["curl"]
    rows = [
        Row(
            what=f"download of a snapshot of {arguments.gigabytes:g} GB, hashed on the way",
            bar=f"{RATIO:g} times curl",
            ratio=f"{ratio:.2f} times curl",
            measured=f"{best['ours']:.1f} s",
            beside=f"curl {best['curl']:.1f} s",
            held=ratio <= RATIO,
        ),
        Row(
            what="memory for it, over what the process had before",
            bar=f"under {MEMORY_BYTES / 1e6:g} MB, whatever the size",
            ratio=f"{memory_bytes / (arguments.gigabytes * 1e9):.4f} of the file",
            measured=f"{memory_bytes / 1e6:.1f} MB",
            beside=f"the file {arguments.gigabytes * 1000:g} MB",
            held=memory_bytes < MEMORY_BYTES,
        ),
    ]
    return finish(rows, arguments)


if __name__ == "__main__":
    sys.exit(main())
